"""The command ``anomalous-sound serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anomalous_sound.command.options import detector_option, rate_option
from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector


@click.command()
@detector_option
@click.option(
    "--model",
    metavar="URI",
    help="A detector in MLflow's registry instead, such as models:/NAME@champion.",
)
@rate_option
@click.option(
    *("--host",),
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Beyond this machine, clients must show a token.",
)
@click.option(
    *("--port",),
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0: any that is free.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="Holds the token that clients must show; default: the variable ANOMALOUS_SOUND_TOKEN.",
)
@click.option(
    *("--max-bytes",),
    type=click.IntRange(min=1),
    default=32 * 2**20,
    show_default=True,
    help="Of a request.",
)
@click.option(
    *("--max-seconds",),
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Of sound in a request.",
)
@click.option(
    *("--timeout", "timeout_s"),
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds from a request to its answer, at most.",
)
@click.option(
    *("--jobs",),
    type=click.IntRange(min=-1),
    default=-1,
    show_default=True,
    help="Recordings judged at once; -1: as many as there are cores.",
)
@click.option(
    *("--waiting",),
    type=click.IntRange(min=0),
    default=16,
    show_default=True,
    help="Requests that may wait beside them; more are told to come back (503).",
)
def serve(
    chosen: str | None,
    model: str | None,
    rate: float | None,
    host: str,
    port: int,
    token_file: Path | None,
    max_bytes: int,
    max_seconds: float,
    timeout_s: float,
    jobs: int,
    waiting: int,
) -> None:
    """Judge what clients send over HTTP, until SIGTERM or Ctrl-C.

    POST a recording to /judge; /health, /info, /metrics (for Prometheus) and /openapi.json say how
    it is. Only this machine can reach it, unless --host says otherwise.
    """
    try:
        from anomalous_sound.serving import server
        from anomalous_sound.serving.limits import Limits
    except ModuleNotFoundError as error:
        raise InputError(
            f"serve needs {error.name}, which is not installed; run: "
            "pip install 'anomalous-sound[serve]'."
        ) from None
    if jobs == 0:
        raise InputError("--jobs is 0; give 1 or more, or -1 for as many as there are cores.")
    token = server.find_token(token_file)
    detector, info = _opened(chosen, model, rate)
    from anomalous_sound.compute.threads import job_count

    server.serve(
        detector,
        info,
        Limits(
            max_bytes=max_bytes,
            max_seconds=max_seconds,
            timeout_s=timeout_s,
            workers=job_count(jobs),
            waiting=waiting,
        ),
        host=host,
        port=port,
        token=token,
        tell=click.echo,
    )


def _opened(
    chosen: str | None, model: str | None, rate: float | None
) -> tuple[Detector, dict[str, Any]]:
    """Open the detector; return it with what ``info --json`` says of it."""
    from anomalous_sound.command.choice import detector_folder, open_detector

    if model is not None and chosen is not None:
        raise InputError("--detector and --model both name a detector; give one of them.")
    if model is None:
        place = detector_folder(chosen)
        named = str(place)
    else:
        from anomalous_sound.tracking.registry import download_detector

        place, named = download_detector(model), model
    detector = open_detector(str(place), rate=rate)
    from anomalous_sound.command.description import facts

    return detector, {"folder": named, **facts(detector)}
