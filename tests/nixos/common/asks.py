"""Asks for ADDRESS twenty times a second until SIGTERM, each time over a new connection, and prints what became of it: how
many were answered, which failed, the slowest, and the longest time in which nothing was answered.

asks.py ADDRESS [TIMEOUT] with the authority to trust in SLIPWAY_CA_FILE
"""

import json
import os
import signal
import ssl
import sys
import threading
import time
import urllib.request

RATE = 20

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
address = sys.argv[1]
patience = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
trusted = ssl.create_default_context(cafile=os.environ["SLIPWAY_CA_FILE"])
began = time.monotonic()
answers = []
failed = []


def ask():
    asked = time.monotonic()
    try:
        with urllib.request.urlopen(address, context=trusted, timeout=patience) as answer:
            answer.read()
        now = time.monotonic()
        answers.append((now - began, now - asked))
    except OSError as error:
        failed.append(f"after {asked - began:.2f} s: {error}")


asking = []
while not ended.wait(1 / RATE):
    one = threading.Thread(target=ask)
    one.start()
    asking.append(one)
for one in asking:
    one.join()
times = sorted(at for at, _ in answers)
silent = max((after - before for before, after in zip(times, times[1:])), default=0)
print(
    json.dumps(
        {
            "answered": len(answers),
            "failed": failed,
            "slowest": round(max((took for _, took in answers), default=0), 3),
            "silent": round(silent, 3),
        }
    )
)
