"""A server on this machine, with a detector that was trained on the small simulated corpus."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
import requests
import uvicorn

from anomalous_sound import Detector
from anomalous_sound.command.description import facts
from anomalous_sound.serving.app import create_app
from anomalous_sound.serving.limits import Limits
from anomalous_sound.serving.server import bind

LIMITS = {
    "max_bytes": 4_000_000,
    "max_seconds": 60.0,
    "timeout_s": 60.0,
    "workers": 2,
    "waiting": 16,
}


class Client:
    """Sends requests to a server."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy

    def get(self, path, **options):
        return self._session.get(self.url + path, timeout=60, **options)

    def judge(self, content=None, *, kind="application/octet-stream", headers=None, **options):
        headers = {**({"Content-Type": kind} if kind else {}), **(headers or {})}
        return requests.post(
            f"{self.url}/judge",
            data=content,
            headers=headers,
            timeout=60,
            proxies={"http": ""},
            **options,
        )


@contextmanager
def serving(detector, *, token=None, **limits):
    app = create_app(detector, facts(detector), Limits(**LIMITS | limits), token)
    listening = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Client(listening.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def clips(simulated_run):
    return sorted(simulated_run.data("01_raw/simulated/slider").rglob("*.wav"))


@pytest.fixture
def detector_folder(simulated_run):
    return simulated_run.data("06_models/slider/lstm/detector")


@pytest.fixture
def detector(detector_folder):
    return Detector.load(detector_folder)


@pytest.fixture
def client(detector):
    with serving(detector) as client:
        yield client
