"""A web server that never comes to the end of an answer, from a certain request on."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
_NOT_PASSED_ON = {"host", "connection", "content-length", "accept-encoding", "transfer-encoding"}


class DrippingServer:
    """Sends a byte from time to time, which is a sign of life to whoever waits for each byte.

    Attributes:
        asked: the paths that it was asked for.
    """

    def __init__(
        self, pause_s: float, *, before: str | None = None, drips_at: str = "", drips_after: int = 0
    ) -> None:
        """Start it on the loopback address.

        Args:
            pause_s: from one byte to the next.
            before: the server that it passes on to until it drips.
            drips_at: in the path of the request that is the first not to be passed on.
            drips_after: such requests are passed on, too.
        """
        self.asked: list[str] = []
        self._ended, self._drips = threading.Event(), before is None
        self._left, server = drips_after, self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.answer(self, body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._before, self._pause_s, self._drips_at = before, pause_s, drips_at
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        """Pass a request on, or answer it byte by byte."""
        self.asked.append(f"{request.command} {request.path}")
        if not self._drips and self._drips_at in self.asked[-1]:
            self._drips = self._left == 0
            self._left -= 1
        if self._drips:
            self._drip(request)
            return
        passed_on = requests.request(
            request.command,
            f"{self._before}{request.path}",
            headers={k: v for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON},
            data=body,
            timeout=60,
        )
        request.send_response(passed_on.status_code)
        request.send_header("Content-Type", passed_on.headers.get("Content-Type", ""))
        request.send_header("Content-Length", str(len(passed_on.content)))
        request.end_headers()
        request.wfile.write(passed_on.content)

    def _drip(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        try:
            request.wfile.write(HEADER)
            while not self._ended.wait(self._pause_s):
                request.wfile.write(b" ")
        except OSError:
            pass  # nobody listens any more

    def close(self) -> None:
        """End it."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
