"""The addresses of a server, and what each of them answers."""

from __future__ import annotations

import asyncio
import hmac
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.serving import metrics, openapi
from anomalous_sound.serving.judging import StoppedJudgingError, TooMuchSoundError, judge_upload
from anomalous_sound.serving.limits import Limits
from anomalous_sound.serving.pool import FullError, Place, Pool
from anomalous_sound.serving.requests import RefusedError, Upload, receive

_RATES = 8  # other false-alarm rates whose thresholds are kept
_RETRY_S = 1  # after which a client that was sent away may come back
_PATHS = {"/judge", "/health", "/info", "/metrics", "/openapi.json"}

Results = list[Verdict | Rejection]


def create_app(
    detector: Detector, info: Mapping[str, Any], limits: Limits, token: str | None = None
) -> FastAPI:
    """Create the application that judges.

    Args:
        detector: what judges.
        info: what it says of itself.
        limits: how much is taken on.
        token: what clients must show; None: nothing.
    """
    service = _Service(detector, limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with tempfile.TemporaryDirectory(prefix="anomalous-sound-") as folder:
            service.folder = Path(folder)
            yield
            service.pool.close()

    app = FastAPI(
        title="anomalous-sound",
        version=detector.identity.version,
        docs_url=None,  # that page loads its scripts from the internet
        redoc_url=None,
        lifespan=lifespan,
        openapi_url=None,
    )
    secured = [Depends(_Token(token))]
    app.add_middleware(_Counting, counted=service.metrics)

    @app.post("/judge", dependencies=secured, **openapi.JUDGE)
    async def judge(request: Request) -> Response:
        """Judge a recording, clip by clip if it is long."""
        return await service.judge(request)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the server judges, and which detector does."""
        return {"ready": True, "detector": detector.identity.digest}

    @app.get("/info", dependencies=secured)
    async def detector_info() -> JSONResponse:
        """What the detector was trained on, promises and reads."""
        return JSONResponse(dict(info))

    @app.get("/metrics", dependencies=secured)
    async def prometheus() -> Response:
        """Counts and times, for Prometheus."""
        return Response(service.metrics.text(), media_type=metrics.TEXT)

    @app.get("/openapi.json", dependencies=secured, include_in_schema=False)
    async def description() -> JSONResponse:
        return JSONResponse(app.openapi())

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        headers = {"Retry-After": str(_RETRY_S)} if error.status == 503 else None
        return JSONResponse({"detail": error.reason}, error.status, headers)

    @app.exception_handler(Exception)  # it is logged all the same
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the server has failed; its log says more."}, 500)

    return app


class _Service:
    """Receives requests, has them judged, and answers."""

    def __init__(self, detector: Detector, limits: Limits) -> None:
        self.detector, self.limits = detector, limits
        self.pool = Pool(limits.workers, limits.waiting)
        self.metrics = metrics.Metrics(lambda: self.pool.taken)
        self.folder = Path()
        self._at_rate = lru_cache(_RATES)(detector.at_rate)

    async def judge(self, request: Request) -> Response:
        """Answer a request, within the time that it may take.

        Raises:
            RefusedError: it is not answered with verdicts.
        """
        begin = time.monotonic()
        try:
            place = self.pool.enter()
        except FullError:
            raise RefusedError(503, "too many requests wait already; try again.") from None
        path = self.folder / uuid4().hex
        try:
            upload = await self._receive(request, path)
            rest_s = self.limits.timeout_s - (time.monotonic() - begin)
            detector, results = await self._judged(place, upload, rest_s)
        finally:
            place.release()
        self.metrics.judged(results, time.monotonic() - begin)
        return JSONResponse(
            {
                "detector": detector.identity.model_dump(mode="json"),
                "verdicts": [one.to_json() for one in results if isinstance(one, Verdict)],
                "rejections": [one.to_json() for one in results if isinstance(one, Rejection)],
            }
        )

    async def _receive(self, request: Request, path: Path) -> Upload:
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                return await receive(request, path, self.limits.max_bytes)
        except TimeoutError:
            path.unlink(missing_ok=True)
            raise RefusedError(
                408, f"the request did not arrive within {self.limits.timeout_s:g} s."
            ) from None
        except ClientDisconnect:
            path.unlink(missing_ok=True)
            raise RefusedError(400, "the request ended before it was complete.") from None
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    async def _judged(
        self, place: Place, upload: Upload, rest_s: float
    ) -> tuple[Detector, Results]:
        given_up = Event()

        def work() -> tuple[Detector, Results]:
            try:
                return self._work(upload, given_up)
            finally:
                upload.path.unlink(missing_ok=True)

        future = asyncio.wrap_future(self.pool.submit(place, work))
        try:
            return await asyncio.wait_for(asyncio.shield(future), rest_s)
        except TimeoutError:
            given_up.set()
            future.add_done_callback(_forget)
            raise RefusedError(
                503,
                f"there was no verdict within {self.limits.timeout_s:g} s; try again, or send a "
                "shorter recording.",
            ) from None
        except InputError as error:
            raise RefusedError(422, str(error)) from None
        except TooMuchSoundError as error:
            raise RefusedError(413, f"the recording is too large: {error}.") from None
        except UnreadableClipError as error:
            raise RefusedError(422, f"the recording cannot be judged: {error}.") from None

    def _work(self, upload: Upload, given_up: Event) -> tuple[Detector, Results]:
        """Judge what was received; called in one of the threads."""
        if given_up.is_set():
            raise StoppedJudgingError
        asked = upload.opened()
        rate = asked.options.false_alarm_rate
        detector = self.detector if rate is None else self._at_rate(rate)
        results = judge_upload(
            *(detector, asked.path),
            name=asked.name,
            machine_id=asked.options.machine_id,
            bounds=self.limits.sound,
            is_wanted=lambda: not given_up.is_set(),
        )
        return detector, list(results)


def _forget(future: asyncio.Future[Any]) -> None:
    """Take note of what became of work that nobody waits for."""
    with suppress(asyncio.CancelledError):
        future.exception()


class _Token:
    """Lets those in who show the token."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    async def __call__(self, request: Request) -> None:
        if self._token is None:
            return
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        # in constant time: how long a comparison takes would give the token away
        is_right = hmac.compare_digest(shown.strip().encode(), self._token)
        if scheme.lower() != "bearer" or not is_right:
            raise HTTPException(
                401,
                "a token is needed: send the header Authorization: Bearer TOKEN.",
                {"WWW-Authenticate": "Bearer"},
            )


class _Counting:
    """Counts the answers by path and status."""

    def __init__(self, app: ASGIApp, counted: metrics.Metrics) -> None:
        self._app, self._counted = app, counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = scope["path"] if scope["path"] in _PATHS else "other"
                self._counted.answered(path, message["status"])
            await send(message)

        await self._app(scope, receive, send_counted)
