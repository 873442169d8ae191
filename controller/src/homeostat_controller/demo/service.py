"""A small real web service for the demo's endpoints, which can be told to leak memory.

`GET /` and `GET /healthz` answer; `POST /leak` makes it grow by LEAK_MIB_PER_S until LEAK_MIB_MAX or its end.
"""

import argparse
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LEAK_MIB_PER_S = 24
# A leak that nobody stops must not hurt the machine that the demo runs on.
LEAK_MIB_MAX = 320

_leaked: list[bytearray] = []
_leaking = threading.Event()


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that http.server calls
        self._answer(b"ok\n")

    def do_POST(self) -> None:
        if self.path == "/leak" and not _leaking.is_set():
            _leaking.set()
            threading.Thread(target=_leak, daemon=True).start()
        self._answer(b"leaking\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server calls it by
        """Say nothing: the service's log is not what the demo shows."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _leak() -> None:
    while len(_leaked) < LEAK_MIB_MAX:
        # Written to, so that the pages are really resident.
        _leaked.append(bytearray(b"x" * (1 << 20)))
        time.sleep(1.0 / LEAK_MIB_PER_S)


def main() -> None:
    """Serve on 127.0.0.1 until ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="which service this is; only to be told apart in a process list")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    ThreadingHTTPServer(("127.0.0.1", arguments.port), _Answers).serve_forever()


if __name__ == "__main__":
    main()
