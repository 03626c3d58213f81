"""A real MQTT broker on this machine."""

from __future__ import annotations

import getpass
import os
import queue
import shutil
import socket
import subprocess
import threading
from pathlib import Path

SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
MOSQUITTO = shutil.which("mosquitto", path=SBIN)


class Mosquitto:
    """The broker, and somebody who listens to it."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", *settings]
        if os.geteuid() == 0:  # else it could not read the folder
            lines.append(f"user {getpass.getuser()}")
        if not settings:
            lines.append("allow_anonymous true")
        self._config.write_text("\n".join(lines) + "\n")
        self.received = queue.Queue()
        self._listener = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        for line in self._process.stderr:
            if b"running" in line:
                break
        else:
            raise RuntimeError("mosquitto has not started")
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def listen(self, user=None, ca=None, topic="press/#"):
        from paho.mqtt.client import CallbackAPIVersion, Client

        listener = Client(CallbackAPIVersion.VERSION2)
        listener.reconnect_delay_set(1, 1)
        if user:
            listener.username_pw_set(*user)
        if ca:
            listener.tls_set(str(ca))
        subscribed = threading.Event()
        listener.on_connect = lambda *_: listener.subscribe(topic, qos=1)
        listener.on_subscribe = lambda *_: subscribed.set()
        listener.on_message = lambda _, __, got: self.received.put(
            (got.topic, got.payload.decode(), got.qos)
        )
        listener.connect("localhost", self.port)
        listener.loop_start()
        assert subscribed.wait(60)
        self._listener = listener
        return subscribed

    def next(self) -> tuple[str, str, int]:
        return self.received.get(timeout=60)

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.disconnect()
            self._listener.loop_stop()
        self.kill()
