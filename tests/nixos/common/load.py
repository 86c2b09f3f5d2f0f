"""Asks for ADDRESS until SIGTERM, from four sides at once, each time over a new connection, and prints what became of it.

load.py ADDRESS... with the authority to trust in SLIPWAY_CA_FILE
"""

import json
import os
import signal
import ssl
import sys
import threading
import time
import urllib.request

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
trusted = ssl.create_default_context(cafile=os.environ["SLIPWAY_CA_FILE"])
answered = []
failed = []


def ask():
    while not ended.is_set():
        for address in sys.argv[1:]:
            began = time.monotonic()
            try:
                with urllib.request.urlopen(address, context=trusted, timeout=45) as answer:
                    answer.read()
                answered.append(time.monotonic() - began)
            except OSError as error:
                failed.append(f"{address}: {error}")
        time.sleep(0.01)


sides = [threading.Thread(target=ask) for _ in range(4)]
for side in sides:
    side.start()
ended.wait()
for side in sides:
    side.join()
print(json.dumps({"answered": len(answered), "slowest": max(answered, default=0), "failed": failed}))
