"""Takes what Alertmanager sends: a line of JSON for each alert, in the file that is named for the path."""

import http.server
import json
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(folder / self.path.strip("/"), "a") as file:
            for alert in message["alerts"]:
                file.write(json.dumps({"status": alert["status"], **alert["labels"]}) + "\n")
        self.send_response(200)
        self.end_headers()


http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
