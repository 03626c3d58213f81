"""A web server on this machine that takes events, and misbehaves when asked to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class EventReceiver:
    """Takes POSTs; ``plan`` says how the next are answered, ``always`` the rest.

    An answer is a status, a pair of status and headers, ``hang`` (none at all until it is
    released), or ``drop`` (the connection is closed). With a status of 2xx it counts as ``taken``.
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[dict[str, str], str, str]] = []  # headers, path, body
        self.taken: list[dict[str, Any]] = []
        self.plan: list[Any] = []
        self.always: Any = 204
        self.released, self.changed = threading.Event(), threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer._answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.taken]

    def wait_for(self, is_so, seconds: float = 60.0) -> None:
        """Wait until something is so; a test that waits for long has failed."""
        with self.changed:
            assert self.changed.wait_for(lambda: is_so(self), seconds), self.requests

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        with self.changed:
            how = self.plan.pop(0) if self.plan else self.always
            self.requests.append((dict(handler.headers), handler.path, body))
            self.changed.notify_all()
        if how == "hang":
            self.released.wait(60)
            how = "drop"
        if how == "drop":
            handler.close_connection = True
            return
        status, headers = how if isinstance(how, tuple) else (how, {})
        if 200 <= status < 300:
            with self.changed:
                self.taken.append(json.loads(body))
                self.changed.notify_all()
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
