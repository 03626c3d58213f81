"""What ``/openapi.json`` says of judging: a body of several types, which FastAPI cannot infer."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from anomalous_sound.decision.identity import Identity
from anomalous_sound.serving.requests import JSON, MULTIPART, RAW, Options, Sound


class Answer(BaseModel):
    """What a detector says of a recording."""

    detector: Identity
    verdicts: list[dict[str, Any]] = Field(description="a verdict on each clip that was judged")
    rejections: list[dict[str, Any]] = Field(description="clips that could not be judged, and why")


class Refusal(BaseModel):
    """Why a request was not answered with verdicts."""

    detail: str


_FILE = {"schema": {"type": "string", "format": "binary"}}
_REFUSALS = {
    400: "empty, cut off, or no JSON",
    401: "no token, or a wrong one",
    408: "it did not arrive in time",
    413: "too large, or too long",
    415: "of an unknown type",
    422: "no audio, or nothing that the detector can judge",
    503: "too many requests wait, or the answer took too long; see Retry-After",
}


def _parameters() -> list[dict[str, Any]]:
    properties = Options.model_json_schema()["properties"]
    return [{"in": "query", "name": name, "schema": what} for name, what in properties.items()]


def _form() -> dict[str, Any]:
    properties = Options.model_json_schema()["properties"] | {"file": _FILE["schema"]}
    return {"schema": {"type": "object", "required": ["file"], "properties": properties}}


JUDGE: dict[str, Any] = {
    "response_model": Answer,
    "responses": {
        status: {"model": Refusal, "description": said} for status, said in _REFUSALS.items()
    },
    "openapi_extra": {
        "parameters": _parameters(),
        "requestBody": {
            "required": True,
            "content": {
                RAW: _FILE,
                "audio/*": _FILE,
                MULTIPART: _form(),
                JSON: {"schema": Sound.model_json_schema()},
            },
        },
    },
}
