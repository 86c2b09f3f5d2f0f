"""A small api that keeps the settings contract: systemd's socket, readiness, draining at SIGTERM."""

import http.server
import os
import signal
import socket
import sys
import threading
import time


def notify(message):
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address.replace("@", "\0", 1))
            channel.send(message.encode())


def beat():
    while True:
        notify("WATCHDOG=1")
        time.sleep(5)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "proxy"

    def do_GET(self):
        secret = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", "/"), "SECRET_KEY")
        body = (open(secret).read() if os.path.exists(secret) else "no secret").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve():
    server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=3)
    server.server_name, server.server_port = "api", 0
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    notify("READY=1")
    server.serve_forever(poll_interval=0.1)


threading.Thread(target=beat, daemon=True).start()
if sys.argv[1] == "serve":
    serve()
elif sys.argv[1] == "run":
    notify("READY=1")
    signal.pause()
