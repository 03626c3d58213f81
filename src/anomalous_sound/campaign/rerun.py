"""What a run of a table is run again with: all that its scores depend on, as it was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomalous_sound.campaign.plan import Child, merged
from anomalous_sound.configuration.names import safe_name
from anomalous_sound.errors import InputError
from anomalous_sound.methods.discovery import methods
from anomalous_sound.provenance.table import TableProvenance, TableRun

_OF_METHODS = {"network", "training", "score"}  # groups that each method has of its own


def reproduced_name(name: str) -> str:
    """Name what is run again, so that the folders of the first run stay as they are.

    >>> reproduced_name("dcase2020-fan-seed1")
    'reproduced-dcase2020-fan-seed1'
    """
    return safe_name("reproduced", name)


def child_of(run: TableRun, audio_dir: Path | None) -> Child:
    """Return what is to be run.

    Args:
        run: of a table.
        audio_dir: the recordings, where the table is of a user's own.

    Raises:
        InputError: the method or the recordings are not there.
    """
    if run.method not in methods():
        known = ", ".join(methods())
        raise InputError(f"{run.called()}: there is no method '{run.method}'; there are {known}.")
    place = _place(run, audio_dir)
    of_run = {"profile": run.origin.profile, "seed": run.seed, **place}
    name = reproduced_name(run.name)
    params = merged(run.origin.given, _settings(run))
    return Child(name, run.seed, merged(params, of_run | {"detector": {"name": name}}))


def params_of_table(made: TableProvenance, names: list[str]) -> dict[str, Any]:
    """Return the parameters that join the runs as those of the table were joined.

    Args:
        made: what the table was made of.
        names: of the runs.
    """
    return {
        "profile": made.runs[0].origin.profile,
        "seed": made.seed,
        "evaluation": made.evaluation,
        "detector": {"name": reproduced_name(made.name)},
        "campaign": {"names": sorted(set(names)), "title": made.title},
    }


def _settings(run: TableRun) -> dict[str, Any]:
    """Return the settings of a run as parameters: some groups are those of its method."""
    own = _OF_METHODS | ({"windows"} if methods()[run.method].own_windows else set())
    groups: Mapping[str, Any] = run.made["settings"]
    shared = {name: dict(values) for name, values in groups.items() if name not in own}
    if shared.get("corpus", {}).get("parts") is None:
        shared.get("corpus", {}).pop("parts", None)  # those of the environment
    return shared | {run.method: {name: groups[name] for name in own if name in groups}}


def _place(run: TableRun, audio_dir: Path | None) -> dict[str, str | None]:
    """Return where the recordings are: a folder for each machine type, or the only one."""
    if run.origin.source != "folder":
        if audio_dir is None:
            return {"audio_dir": None}  # whatever conf/local or AUDIO_DIR names
        raise InputError(
            f"{run.called()} is of {run.corpus.name}, which is fetched or made, and --audio-dir is "
            "for recordings of one's own; leave it out."
        )
    folder = run.origin.folder or ""
    if audio_dir is None:
        raise InputError(
            f"{run.called()} is of recordings in a folder called {folder}; say where they are: "
            "--audio-dir DIR."
        )
    place = audio_dir.expanduser().resolve()
    if not place.exists():
        raise InputError(f"--audio-dir: {place} does not exist; give the folder of recordings.")
    return {"audio_dir": str(place / folder if (place / folder).exists() else place)}
