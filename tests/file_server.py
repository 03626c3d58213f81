"""A file server on this machine that misbehaves when asked to."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import threading
import time
import zipfile
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import soundfile
from support import RATE, noise

CHUNK = 1024
# as in conf/base/globals.yml, in milliseconds
DOWNLOAD = {
    "retries": 3,
    "backoff_s": 0.001,
    "max_backoff_s": 0.002,
    "timeout_s": 5.0,
    "chunk_bytes": CHUNK,
    "unpacked_ratio": 1.5,
    "keep_archives": False,
}


@dataclass
class Request:
    name: str
    range: str | None
    sent: int = 0


class FileServer:
    """Serves ``files``; ``plan`` says how the next answers misbehave, ``always`` the rest.

    An answer is None (as it should be), a status, a pair of status and headers, or one of
    ``drop`` (half of it, then the connection is closed), ``stall`` (half of it, then silence),
    ``slow``, ``wrong`` (other bytes), ``no length``, ``shifted`` (another range than was
    asked for).
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.plan: list[Any] = []
        self.always: Any = None
        self.ignores_ranges = False
        self._stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/records/1/files/{{name}}?download=1"

    def stop(self) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, contents: bytes) -> dict[str, Any]:
        """Serve a file; returns what a configuration says of it."""
        self.files[name] = contents
        return {"name": name, "md5": hashlib.md5(contents).hexdigest(), "bytes": len(contents)}

    def add_record(self, number: str, files: dict[str, bytes]) -> str:
        """Serve files and a record that describes them, as Zenodo's API does; returns its URL."""
        host = f"http://127.0.0.1:{self._server.server_port}"
        entries = []
        for name, contents in files.items():
            added = self.add(name, contents)
            entries.append(
                {
                    "key": name,
                    "size": added["bytes"],
                    "checksum": f"md5:{added['md5']}",
                    "links": {"self": f"{host}/{name}"},
                }
            )
        self.files[number] = json.dumps({"id": int(number), "files": entries}).encode()
        return f"{host}/api/records/{number}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.partition("?")[0].rpartition("/")[2]
        request = Request(name, handler.headers.get("Range"))
        self.requests.append(request)
        how = self.plan.pop(0) if self.plan else self.always
        if how is None and name not in self.files:
            how = 404
        if isinstance(how, int | tuple):
            status, headers = how if isinstance(how, tuple) else (how, {})
            handler.send_response(status)
            for header, value in {"Content-Length": "0", **headers}.items():
                handler.send_header(header, value)
            handler.end_headers()
            return
        contents = self.files[name]
        start = 0
        if request.range and not self.ignores_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", request.range)[1])
            start -= how == "shifted"
        if start >= len(contents):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(contents)}")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header(
                "Content-Range", f"bytes {start}-{len(contents) - 1}/{len(contents)}"
            )
        body = contents[start:]
        if how == "wrong":
            body = bytes(255 - value for value in body)
        if how != "no length":
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if how in ("drop", "stall"):
            body = body[: len(body) // 2]
        step = len(body) // 5 if how == "slow" else len(body)
        for place in range(0, len(body), step):
            request.sent += len(body[place : place + step])
            handler.wfile.write(body[place : place + step])
            handler.wfile.flush()
            if how == "slow":
                time.sleep(0.15)
        if how == "stall":
            self._stopped.wait(10)


def zip_of(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in entries.items():
            archive.writestr(name, contents)
    return buffer.getvalue()


def zip_with_link(name: str, target: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("slider/train/normal_id_00_00000000.wav", clip(0))
        link = zipfile.ZipInfo(name)
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, target)
        archive.writestr(f"{name}/planted.wav", clip(1))
    return buffer.getvalue()


def clip(seed: int, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(seed, seconds=0.5, channels=channels), RATE, format="WAV")
    return buffer.getvalue()


def development(machine_type: str) -> bytes:
    names = ["train/normal_id_00_00000000", "train/normal_id_00_00000001"]
    names += ["train/normal_id_02_00000000", "test/normal_id_00_00000000"]
    names += ["test/anomaly_id_00_00000000", "test/anomaly_id_02_00000000"]
    return zip_of({f"{machine_type}/{name}.wav": clip(i) for i, name in enumerate(names)})


def evaluation(machine_type: str) -> bytes:
    return zip_of({f"{machine_type}/test/id_01_{i:08d}.wav": clip(20 + i) for i in range(2)})


def mimii(machine_type: str) -> bytes:
    names = [f"id_00/normal/{number:08d}" for number in range(4)] + ["id_00/abnormal/00000000"]
    return zip_of({f"{machine_type}/{name}.wav": clip(i, 8) for i, name in enumerate(names)})


# a small data set in the layout of 2022 and after: for each section, of either domain
SECTIONS = ("00", "01")
TEST_CLIPS = {("source", "normal"): 3, ("source", "anomaly"): 3, ("target", "normal"): 2}
TEST_CLIPS[("target", "anomaly")] = 3


def sections(machine_type: str, channels: int = 1, test: str = "test") -> dict[str, bytes]:
    """Return the files of a development archive; ``test`` with {} for 2021's folders."""
    names = []
    for section in SECTIONS:
        for domain, count in (("source", 4), ("target", 2)):
            names += [
                f"train/section_{section}_{domain}_train_normal_{number:04d}_vel_{number}.wav"
                for number in range(count)
            ]
        for (domain, label), count in TEST_CLIPS.items():
            names += [
                f"{test.format(domain)}/section_{section}_{domain}_test_{label}_{number:04d}.wav"
                for number in range(count)
            ]
    return {
        f"{machine_type}/{name}": clip(seed, channels) for seed, name in enumerate(names, start=50)
    }


def attribute_table(file_names: list[str]) -> bytes:
    rows = [f"{name},vel,{number},nz,n{number}" for number, name in enumerate(file_names)]
    return "\n".join(["file_name,d1p,d1v,d2p,d2v", *rows]).encode()
