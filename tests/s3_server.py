"""An S3 on the loopback address, for tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class S3Server:
    """moto's server, and the environment by which fsspec and its libraries find it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from moto.server import ThreadedMotoServer

        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, ",".join(filter(None, [os.environ.get(name), "127.0.0.1"])))

    def make_bucket(self, name: str) -> None:
        self._files.mkdir(name)

    def put(self, folder: Path, url: str) -> None:
        """Copy the files of a folder to a URL."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{url.removeprefix('s3://')}/{path.relative_to(folder).as_posix()}"
                self._files.pipe_file(key, path.read_bytes())

    def put_object(self, url: str, content: bytes) -> None:
        """Write an object by any name that S3 takes, also one that no folder has."""
        self._files.pipe_file(url.removeprefix("s3://"), content)

    def files(self, url: str) -> dict[str, bytes]:
        """Return the content of each object below a URL, by its name there."""
        below = url.removeprefix("s3://").rstrip("/") + "/"
        self._files.invalidate_cache()
        return {
            name.removeprefix(below): self._files.cat_file(name)
            for name in sorted(self._files.find(below))
        }

    @property
    def _files(self):
        import fsspec

        return fsspec.filesystem("s3")

    def stop(self) -> None:
        from s3fs import S3FileSystem

        self._server.stop()
        S3FileSystem.clear_instance_cache()
