"""Another program: fills a Redis list with jobs and answers health checks. Standard library only; knows no cronsole.

Usage: neighbour.py REDIS_SOCKET LIST COUNT. Prints the port of its health endpoint, pushes when it reads "push" on
standard input, and ends with it. The entries are those of the Dart `JobQueue`: the id is a millisecond clock, so that
entries pushed within one millisecond share it.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Health(BaseHTTPRequestHandler):
    """200 on /health."""

    def do_GET(self) -> None:
        """Answer."""
        body = b'{"status":"healthy"}'
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def entry(n: int) -> bytes:
    """One job, as Dart's jsonEncode writes it."""
    job = {
        "id": str(int(time.time() * 1000)),
        "type": "send_email",
        "payload": {"to": f"user{n}@example.org", "subject": f"Invoice {n}", "body": "Grüße aus dem Nachbarhaus ✉"},
        "createdAt": datetime.now().isoformat(),  # local time without a zone, as Dart has it
        "attempts": 0,
    }
    return json.dumps(job, ensure_ascii=False, separators=(",", ":")).encode()


def push(path: str, key: str, count: int) -> None:
    """RPUSH the jobs one by one."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        for n in range(count):
            words = (b"RPUSH", key.encode(), entry(n))
            server.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            answer = server.recv(64)
            if not answer.startswith(b":"):
                raise SystemExit(f"Redis said {answer!r}")


def main() -> None:
    """Serve until standard input ends."""
    path, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    health = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    print(health.server_port, flush=True)  # noqa: T201
    for line in sys.stdin:
        if line.strip() == "push":
            push(path, key, count)
            print("pushed", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
