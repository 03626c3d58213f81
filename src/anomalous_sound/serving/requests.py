"""What a client may send, and how it is read; no path in it is ever opened."""

from __future__ import annotations

import base64
import binascii
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from anomalous_sound.configuration.base import FiniteFloat
from anomalous_sound.serving.judging import NAMELESS, write_samples

JSON, MULTIPART, RAW = "application/json", "multipart/form-data", "application/octet-stream"
_QUERY = ("machine_id", "false_alarm_rate")
_LONGEST_NAME = 200
_FIELD_BYTES = 1024


class RefusedError(Exception):
    """A request that is not answered with verdicts.

    Attributes:
        status: of HTTP.
        reason: what is wrong with it and what to do, in a sentence.
    """

    def __init__(self, status: int, reason: str) -> None:
        """Refuse a request."""
        super().__init__(reason)
        self.status, self.reason = status, reason


class Options(BaseModel):
    """What a client may say of a recording."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine_id: Annotated[str, Field(max_length=_LONGEST_NAME)] | None = Field(
        None, description="of the machine in the recording"
    )
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="alarms to accept among normal clips; default: the detector's own"
    )


class Sound(Options):
    """A recording as JSON: an audio file, or samples."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    audio: str | None = Field(None, description="an audio file (wav, FLAC, …) in base64")
    samples: (
        # one mistake in a million samples is told, not a million
        Annotated[list[FiniteFloat], Field(min_length=1, fail_fast=True)] | None
    ) = Field(None, description="mono, full scale ±1; kept as 32-bit floats")
    sample_rate: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="of the samples, Hz"
    )

    @model_validator(mode="after")
    def _is_one_recording(self) -> Sound:
        if (self.audio is None) == (self.samples is None):
            raise ValueError("give either audio, or samples with their sample_rate")
        if (self.samples is None) != (self.sample_rate is None):
            raise ValueError("samples and sample_rate go together")
        return self


@dataclass(frozen=True)
class Upload:
    """A request body that has been received.

    Attributes:
        path: a file of ours that holds it; where it is JSON, the recording replaces it.
        options: what the client says of it.
        name: what the client calls it.
        is_json: whether it is JSON that has not been read yet.
    """

    path: Path
    options: Options
    name: str = NAMELESS
    is_json: bool = False

    def opened(self) -> Upload:
        """Return the recording itself, out of JSON if need be.

        Raises:
            RefusedError: the JSON cannot be used.
        """
        if not self.is_json:
            return self
        try:
            sound = Sound.model_validate_json(self.path.read_bytes())
        except ValidationError as error:
            raise _refused(error, "the JSON") from None
        given = sound.model_dump(include=set(_QUERY), exclude_none=True)
        if sound.audio is not None:
            try:
                self.path.write_bytes(base64.b64decode(sound.audio, validate=True))
            except (binascii.Error, ValueError):
                raise RefusedError(
                    400, "audio is not base64; give the content of an audio file, not its name."
                ) from None
        elif sound.samples is not None and sound.sample_rate is not None:
            write_samples(self.path, np.array(sound.samples, dtype=np.float32), sound.sample_rate)
        return Upload(self.path, _joined(self.options, given), self.name)


async def receive(request: Request, path: Path, max_bytes: int) -> Upload:
    """Receive the body of a request into a file.

    Args:
        request: none of whose body has been read.
        path: the file.
        max_bytes: of the body.

    Raises:
        RefusedError: it is too large, of an unknown type, or has parameters that are not known.
    """
    options = _options(request.query_params, "the query")
    kind = request.headers.get("content-type", RAW).partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await _receive_form(request, path, max_bytes, options)
    if kind not in (JSON, RAW) and not kind.startswith("audio/"):
        raise RefusedError(
            415,
            f"the content type is '{_shown(kind)}'; send an audio file as {RAW}, audio/… or "
            f"{MULTIPART}, or {JSON}.",
        )
    _check_length(request, max_bytes)
    received = 0
    with path.open("wb") as file:
        async for block in request.stream():
            received += len(block)
            if received > max_bytes:
                raise _too_large(max_bytes)
            file.write(block)
    _check_is_there(received)
    return Upload(path, options, is_json=kind == JSON)


async def _receive_form(request: Request, path: Path, max_bytes: int, options: Options) -> Upload:
    """Receive a form with one file in it; its other fields are options."""
    _check_length(request, max_bytes)
    received = 0

    async def receive_within_bounds() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    limited = Request(request.scope, receive_within_bounds)
    try:
        form = await limited.form(max_files=1, max_fields=len(_QUERY), max_part_size=_FIELD_BYTES)
    except HTTPException as error:
        raise RefusedError(400, f"the form cannot be read: {error.detail}") from None
    try:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if len(files) != 1:
            raise RefusedError(400, "the form holds no file; send one, as in curl -F file=@x.wav.")
        with path.open("wb") as file:
            shutil.copyfileobj(files[0].file, file)
        _check_is_there(path.stat().st_size)
        return Upload(path, _joined(options, fields), _name(files[0].filename))
    finally:
        await form.close()


def _check_length(request: Request, max_bytes: int) -> None:
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)


def _check_is_there(received: int) -> None:
    if not received:
        raise RefusedError(400, "the request is empty; send an audio file, or JSON.")


def _too_large(max_bytes: int) -> RefusedError:
    return RefusedError(
        413, f"the request is too large: at most {max_bytes} bytes are read (serve --max-bytes)."
    )


def _options(given: Mapping[str, str], where: str) -> Options:
    try:
        # an empty machine ID is one that is not known
        return Options.model_validate(dict(given))
    except ValidationError as error:
        raise _refused(error, where) from None


def _joined(options: Options, given: Mapping[str, object]) -> Options:
    """Add what the body says to what the query says.

    Raises:
        RefusedError: the same is said twice, or something unknown.
    """
    said = options.model_dump(exclude_none=True)
    if twice := sorted(set(said) & set(given)):
        raise RefusedError(422, f"{twice[0]} is given twice; say it once.")
    try:
        return Options.model_validate(said | dict(given))
    except ValidationError as error:
        raise _refused(error, "the form") from None


def _refused(error: ValidationError, where: str) -> RefusedError:
    """Say the first mistake in a sentence."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"][:2]))
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    status = 400 if first["type"] == "json_invalid" else 422
    named = f"{where}, {_shown(place)}" if place else where
    return RefusedError(status, f"{named}: {said[:1].lower()}{said[1:]}.")


def _name(filename: str | None) -> str:
    """Return what may be repeated of a name: its last part, if it can be printed."""
    last = PurePosixPath((filename or "").replace("\\", "/")).name
    return last if last.isprintable() and 0 < len(last) <= _LONGEST_NAME else NAMELESS


def _shown(text: str) -> str:
    return text[:60].encode("ascii", "replace").decode()
