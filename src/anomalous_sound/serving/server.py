"""Run a server: its address, who may reach it, and how it ends."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn

from anomalous_sound.decision.detector import Detector
from anomalous_sound.errors import InputError
from anomalous_sound.serving.app import create_app
from anomalous_sound.serving.judging import example_clip
from anomalous_sound.serving.limits import Limits

TOKEN_VARIABLE = "ANOMALOUS_SOUND_TOKEN"  # nosec B105  # the name of a variable
_SHORTEST_TOKEN = 16  # characters; a shorter one could be guessed
_CONNECTIONS = 256  # more are answered with 503


def find_token(file: Path | None) -> str | None:
    """Return the token that clients must show: of a file, or else of the environment.

    Raises:
        InputError: the file cannot be read, or the token is short enough to be guessed.
    """
    if file is None:
        token, place = os.environ.get(TOKEN_VARIABLE), f"the variable {TOKEN_VARIABLE}"
    else:
        try:
            token, place = file.read_text(encoding="utf-8").strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--token-file: {file} cannot be read ({error}).") from None
    if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii()):
        raise InputError(
            f"the token in {place} has {len(token)} characters; give {_SHORTEST_TOKEN} and more, "
            "of letters and digits, such as those that openssl rand -hex 32 prints."
        )
    return token


def is_on_this_machine(host: str) -> bool:
    """Whether a host can be reached from this machine alone."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def bind(host: str, port: int) -> socket.socket:
    """Take an address.

    Args:
        host: a name or address of this machine.
        port: 0: any that is free.

    Raises:
        InputError: it is in use, or is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_CONNECTIONS)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"serve cannot listen at {host}, port {port} ({error}); give another --port or --host."
        ) from None


def serve(
    detector: Detector,
    info: Mapping[str, Any],
    limits: Limits,
    *,
    host: str,
    port: int,
    token: str | None,
    tell: Callable[[str], None],
) -> None:
    """Answer requests until SIGTERM or Ctrl-C; what is being judged then is answered still.

    Args:
        detector: what judges.
        info: what it says of itself.
        limits: how much is taken on.
        host: where to listen.
        port: where to listen; 0: any that is free.
        token: what clients must show; None: nothing.
        tell: is told the address.

    Raises:
        InputError: the address can be reached from elsewhere and there is no token, or it cannot be
            listened at.
    """
    if token is None and not is_on_this_machine(host):
        raise InputError(
            f"--host {host} can be reached from other machines, so clients must show a token: "
            f"give one in the variable {TOKEN_VARIABLE}, or --token-file FILE."
        )
    if detector.identity.exported_from is None:  # an export has no torch, and one thread for a clip
        import torch

        torch.set_num_threads(1)  # each recording has a thread of its own
    listening = bind(host, port)
    # the first clip takes longer: what it needs is imported
    samples, rate = example_clip(detector)
    detector.judge(samples, rate, machine_id=detector.description.machine_ids[0])
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(detector, info, limits, token),
            http="h11",
            loop="asyncio",
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=round(limits.timeout_s) + 1,
        )
    )
    number = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    tell(f"Listening at http://{shown}:{number}; detector {detector.identity.digest}")
    # uvicorn ends what is in hand, and then raises the signal again
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
