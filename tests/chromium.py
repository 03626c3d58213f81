"""Headless Chromium with real clicks, by its DevTools protocol over a pair of pipes.

See https://chromedevtools.github.io/devtools-protocol/: with ``--remote-debugging-pipe`` Chromium
reads commands from file descriptor 3 and answers on 4, each a JSON text that ends in a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
_PATIENCE_S = 60


class Browser:
    """One page in headless Chromium; use it in a ``with`` statement."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        commands, self._commands = _pipe()
        self._answers, answers = _pipe()
        arguments = [CHROMIUM, *QUIET, "--mute-audio", "--remote-debugging-pipe"]
        self._process = os.posix_spawn(
            CHROMIUM,
            [*arguments, f"--user-data-dir={profile}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
        )
        os.close(commands)
        os.close(answers)
        self._received = b""
        self._number = 0
        self._session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._session = None
        try:
            self.send("Browser.close")
        except (OSError, EOFError):
            os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)
        os.close(self._commands)
        os.close(self._answers)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        content = json.dumps(message).encode() + b"\0"
        while content:
            content = content[os.write(self._commands, content) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str, *, width: int, height: int, dark: bool = False) -> None:
        """Open a page in a window of this size, CSS pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def as_printed(self, *, dark: bool = False) -> None:
        """Show the page as it is printed; ``open`` shows it on a screen again."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="print", features=[scheme])

    def printed(self) -> bytes:
        """Print the page on A4, and return the PDF."""
        return base64.b64decode(
            self.send("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]
        )

    def value(self, expression: str) -> Any:
        """Return the value of an expression in JavaScript."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            if value := self.value(expression):
                return value
            time.sleep(0.05)
        raise AssertionError(f"not true after {_PATIENCE_S} s: {expression}")

    def click(self, selector: str, *, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """Move the mouse to a share of the width and height of an element, and click."""
        place = self.value(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); "
            "found.scrollIntoView({block: 'center'}); const box = found.getBoundingClientRect(); "
            "return [box.left, box.top, box.width, box.height]; })()"
        )
        left, top, width, height = place
        where = {"x": left + at[0] * width, "y": top + at[1] * height}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def press(self, key: str) -> None:
        """Press a key such as ``ArrowDown``."""
        codes = {"ArrowDown": 40, "ArrowUp": 38}
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]},
            )

    def picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], _PATIENCE_S)
            assert ready, f"Chromium did not answer within {_PATIENCE_S} s"
            received = os.read(self._answers, 1 << 20)
            if not received:
                raise EOFError("Chromium has ended")
            self._received += received
        first, _, self._received = self._received.partition(b"\0")
        answer: dict[str, Any] = json.loads(first)
        return answer


def _pipe() -> tuple[int, int]:
    """Make a pipe whose descriptors are not those that Chromium will have."""
    ends = os.pipe()
    above = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return above[0], above[1]
