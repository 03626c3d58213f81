"""Which runs a campaign consists of: machine types × seeds."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomalous_sound.config_loader import corpus_name
from anomalous_sound.configuration.mistakes import suggestion
from anomalous_sound.configuration.names import safe_name
from anomalous_sound.corpus.folder import list_recordings
from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.settings import PublishedArchives
from anomalous_sound.sources.layout import LABELS_FILE, is_part_of_a_machine

ALL = "all"


@dataclass(frozen=True)
class Child:
    """One run of a campaign.

    Attributes:
        name: of its detector, and of the folders of all that it makes.
        seed: of all that is drawn.
        params: what Kedro is given in place of ``--params``.
    """

    name: str
    seed: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is run, one after the other, and what the table of all is called.

    Attributes:
        name: of the folders of the table.
        children: machine type by machine type, each with all seeds.
        machine_types: how many there are.
    """

    name: str
    children: tuple[Child, ...]
    machine_types: int


def is_campaign(params: Mapping[str, Any]) -> bool:
    """Whether parameters of a command ask for several runs: ``seeds``, several types, or all."""
    wanted = _group(params, "corpus").get("machine_type")
    return params.get("seeds") is not None or wanted == ALL or isinstance(wanted, list)


def of_one_run(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that all runs of a campaign share."""
    shared = copy.deepcopy(dict(params))
    shared.pop("seeds", None)
    corpus = _group(shared, "corpus")
    wanted = corpus.get("machine_type")
    if wanted == ALL or isinstance(wanted, list):
        del corpus["machine_type"]
    return shared


def make_plan(
    params: Mapping[str, Any], parameters: Mapping[str, Any], of_globals: Mapping[str, Any]
) -> Plan:
    """Expand machine types and seeds into runs.

    Args:
        params: of the command.
        parameters: of the project, with :func:`of_one_run` of these.
        of_globals: of the environment: the source of sound and the archives.

    Raises:
        InputError: there are no such machine types, or no such number of seeds.
    """
    shared = of_one_run(params)
    wanted = _group(params, "corpus").get("machine_type")
    if wanted == ALL or isinstance(wanted, list):
        places = _places(wanted, parameters, of_globals)
    else:
        places = {None: {}}
    if len(places) > 1 and not {"machine_ids"} & set(_group(params, "corpus")):
        # those of a profile are of one machine type
        places = {
            kind: merged(place, {"corpus": {"machine_ids": None}}) for kind, place in places.items()
        }
    seeds = _seeds(params.get("seeds"), int(parameters["seed"]))
    given = parameters["detector"].name
    children = []
    for kind, place in places.items():
        of_type = merged(shared, place)
        name = _name(given, kind, of_type, parameters, of_globals)
        for seed in seeds or [int(parameters["seed"])]:
            own = safe_name(name, f"seed{seed}") if seeds else name
            of_run = {"seed": seed, "detector": {"name": own}}
            children.append(Child(own, seed, merged(of_type, of_run)))
    return Plan(
        _plan_name(given, list(places), parameters, of_globals), tuple(children), len(places)
    )


def _seeds(count: Any, first: int) -> list[int] | None:
    if count is None:
        return None
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InputError(f"seeds is {count}; give how many trainings there are to be, 1 or more.")
    return list(range(first, first + count))


def _places(
    wanted: str | Sequence[str], parameters: Mapping[str, Any], of_globals: Mapping[str, Any]
) -> dict[str | None, dict[str, Any]]:
    """Return the parameters of each machine type."""
    if wanted != ALL and not wanted:
        raise InputError("corpus.machine_type is an empty list; name machine types, or give all.")
    if parameters["audio_dir"] is not None:
        folders = _folders(Path(parameters["audio_dir"]).expanduser())
        names = list(folders) if wanted == ALL else list(dict.fromkeys(wanted))
        for name in names:
            if name not in folders:
                raise InputError(
                    f"corpus.machine_type names '{name}', which is not among the folders of "
                    f"{parameters['audio_dir']}; {_hint(name, list(folders))}"
                )
        return {name: {"audio_dir": str(folders[name])} for name in names}
    if of_globals["source"] != "published":
        raise InputError(
            "corpus.machine_type asks for several machine types, and the simulated corpus has one; "
            "give a data set, as in --env dcase2020, or audio_dir=DIR with a folder for each."
        )
    published = PublishedArchives.read(of_globals["archives"], of_globals["download"])
    parts = parameters["corpus"].parts or of_globals["parts"]
    if wanted == ALL:
        names = published.machine_types(parts)
        if not names:
            raise InputError(
                f"corpus.parts is [{', '.join(parts)}], which have no machine type in common; take "
                "parts of the same machine types."
            )
    else:
        names = list(dict.fromkeys(wanted))
        for name in names:
            published.choose(name, parts)
    return {name: {"corpus": {"machine_type": name}} for name in names}


def _folders(place: Path) -> dict[str, Path]:
    """Return the folders of machine types below a folder, by name.

    Raises:
        InputError: there are none.
    """
    if not place.is_dir():
        raise InputError(f"audio_dir: {place} does not exist; give a folder of recordings.")
    below = sorted(path for path in place.iterdir() if path.is_dir() and path.name[0] != ".")
    found = {path.name: path for path in below if list_recordings(path, path)}
    parts = [name for name in found if is_part_of_a_machine(name)]
    if parts or not found:
        holds = (
            f"holds {', '.join(f'{name}/' for name in parts)}, parts of one machine type"
            if (parts)
            else "has no folders with recordings in them"
        )
        raise InputError(
            f"audio_dir: {place} {holds}; several machine types need a folder each below it. Leave "
            "corpus.machine_type out to train on all of it."
        )
    if (place / LABELS_FILE).exists():
        raise InputError(
            f"audio_dir: {place} has a {LABELS_FILE} for all of its folders, and each machine type "
            "is read by itself; put one into each folder, with the files' names below it."
        )
    return found


def _hint(name: str, known: list[str]) -> str:
    close = suggestion(name, known)
    return (f"did you mean '{close}'? " if close else "") + f"There are {', '.join(known)}."


def _name(
    given: str | None,
    kind: str | None,
    of_type: Mapping[str, Any],
    parameters: Mapping[str, Any],
    of_globals: Mapping[str, Any],
) -> str:
    """Name the detector of a machine type, as its run alone would be named."""
    if given is not None:
        return safe_name(given, *([] if kind is None else [kind]))
    chosen = {"audio_dir": of_type.get("audio_dir", parameters["audio_dir"])}
    machine_type = _group(of_type, "corpus").get("machine_type", parameters["corpus"].machine_type)
    corpus = parameters["corpus"].model_copy(update={"machine_type": machine_type})
    return corpus_name({**parameters, **chosen, "corpus": corpus}, of_globals)


def _plan_name(
    given: str | None,
    types: Sequence[str | None],
    parameters: Mapping[str, Any],
    of_globals: Mapping[str, Any],
) -> str:
    if given is not None:
        return safe_name(given)
    if parameters["audio_dir"] is not None:
        return corpus_name(parameters, of_globals)
    if len(types) == 1:
        only = {} if types[0] is None else {"corpus": {"machine_type": types[0]}}
        return _name(None, types[0], only, parameters, of_globals)
    parts = parameters["corpus"].parts
    other = [] if parts in (None, of_globals["parts"]) else parts
    return safe_name(of_globals["data_set"]["folder"], *other)


def _group(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    group = params.get(name)
    return group if isinstance(group, dict) else {}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with what others say; groups are merged."""
    both = copy.deepcopy(dict(one))
    for name, value in other.items():
        is_group = isinstance(value, Mapping) and isinstance(both.get(name), Mapping)
        both[name] = merged(both[name], value) if is_group else copy.deepcopy(value)
    return both
