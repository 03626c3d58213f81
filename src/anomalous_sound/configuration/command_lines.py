"""Commands to type, for messages."""

from __future__ import annotations

import shlex


def kedro_run(pipeline: str, **params: object) -> str:
    """Return a command that runs a pipeline; parameters that are None are left out.

    >>> kedro_run("lstm", audio_dir="press 3", detector=None, seed=1)
    "kedro run --pipeline lstm --params 'audio_dir=press 3,seed=1'"
    >>> kedro_run("lstm", audio_dir="press, old")
    "AUDIO_DIR='press, old' kedro run --pipeline lstm"
    """
    words = ["kedro", "run", "--pipeline", pipeline]
    given = {name: str(value) for name, value in params.items() if value is not None}
    before = ""
    if "," in given.get("audio_dir", ""):  # at which --params is split
        before = f"AUDIO_DIR={shlex.quote(given.pop('audio_dir'))} "
    if given:
        words += ["--params", ",".join(f"{name}={value}" for name, value in given.items())]
    return before + shlex.join(words)
