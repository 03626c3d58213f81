"""What one run leaves for others to join: how it was made, and scores of its test clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pydantic import BaseModel

from anomalous_sound.errors import InputError
from anomalous_sound.evaluation.metrics import labelled_test
from anomalous_sound.methods.discovery import methods
from anomalous_sound.storage.identity import code_identity

TEST_COLUMNS = ["clip_id", "machine_id", "domain", "label", "score"]
JOINED_COLUMNS = ["method", "machine_type", "seed", *TEST_COLUMNS]
# what tells the runs of a campaign apart, and not how they were made
_OF_ONE_RUN = {"corpus": {"machine_type"}, "detector": {"name"}}
_CODE = (
    *("corpus", "features", "scoring", "decision", "training"),
    *("methods.base", "methods.network", "methods.trained"),
)
_LIBRARIES = ("numpy", "scikit-learn", "torch")


def describe(method: str, seed: int, **settings: BaseModel) -> dict[str, Any]:
    """Describe how a run is made: two runs of one description and one corpus give the same scores.

    Args:
        method: its name.
        seed: of all that is drawn.
        **settings: each group that scores and decisions depend on.

    Returns:
        ``method, seed, settings, code`` as JSON values.
    """
    groups = {
        name: group.model_dump(mode="json", exclude=_OF_ONE_RUN.get(name))
        for name, group in settings.items()
    }
    own = methods()[method].settings.__module__
    code = code_identity(
        *(f"anomalous_sound.{name}" for name in _CODE), own, distributions=_LIBRARIES
    )
    return {"method": method, "seed": seed, "settings": groups, "code": code}


def what_differs(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say how a run was made otherwise than is wanted; empty if it was not.

    Args:
        made: as :func:`describe` returned it then.
        wanted: as it returns it now.
    """
    there, now = _flat(made), _flat(wanted)
    names = [name for name in sorted({*there, *now}) if there.get(name) != now.get(name)]
    if names == ["code"]:
        return "by other code"
    told = [f"{name} {there.get(name)}, not {now.get(name)}" for name in names if name != "code"]
    return f"with {', '.join(told)}" if told else ""


def test_table(clip_scores: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the labelled test clips, TEST_COLUMNS by name, as JSON values."""
    test = labelled_test(clip_scores)[TEST_COLUMNS].sort_values("clip_id")
    return {str(name): test[name].tolist() for name in TEST_COLUMNS}


def join(
    results: Mapping[tuple[str, str], Mapping[str, Any]], names: Sequence[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Join the results of several runs that can stand in one table.

    Those of a method are made alike, except for the seed; all of a machine type are about the same
    test clips. Others are left out, and told.

    Args:
        results: by name of the run and method.
        names: those wanted; None: all.

    Returns:
        JOINED_COLUMNS, and what is left out or missing, in sentences.

    Raises:
        InputError: there is nothing to join, or two runs have the same method, machine type and
            seed.
    """
    told: list[str] = []
    usable = {}
    for key, result in sorted(results.items()):
        if names is not None and key[0] not in names:
            continue
        if "run" not in result or "test" not in result:
            told.append(f"{_called(key)}: it is of an earlier version; run it again.")
        elif not result["test"]["clip_id"]:
            told.append(f"{_called(key)}: it has no labelled test clips.")
        else:
            usable[key] = result
    usable = _made_alike(usable, told)
    usable = _on_the_same_clips(usable, told)
    _refuse_twins(usable)
    for method in sorted({method for _, method in usable}):
        absent = [name for name in names or [] if (name, method) not in results]
        told += [f"{_called((name, method))}: it has not been run." for name in absent]
    if not usable:
        raise InputError(
            "there are no results to join" + (f": {' '.join(told)}" if told else "; run a method.")
        )
    tables = [
        pd.DataFrame(result["test"]).assign(
            method=method, machine_type=_machine_type(result), seed=result["run"]["seed"]
        )
        for (_, method), result in usable.items()
    ]
    return pd.concat(tables, ignore_index=True)[JOINED_COLUMNS], told


_Results = dict[tuple[str, str], Mapping[str, Any]]


def _made_alike(results: _Results, told: list[str]) -> _Results:
    """Keep those of each method that are made as most of them are."""
    kept = {}
    for method in sorted({method for _, method in results}):
        own = {key: result for key, result in results.items() if key[1] == method}
        made = {key: result["run"] | {"seed": 0} for key, result in own.items()}
        common = _most_common(list(made.values()))
        for key, result in own.items():
            if differs := what_differs(made[key], common):
                told.append(f"{_called(key)}: it was run {differs} as the others were.")
            else:
                kept[key] = result
    return kept


def _on_the_same_clips(results: _Results, told: list[str]) -> _Results:
    kept = {}
    for kind in sorted({_machine_type(result) for result in results.values()}):
        own = {key: r for key, r in results.items() if _machine_type(r) == kind}
        labels = {
            key: [result["test"][name] for name in TEST_COLUMNS if name != "score"]
            for key, result in own.items()
        }
        common = _most_common(list(labels.values()))
        for key, result in own.items():
            if labels[key] == common:
                kept[key] = result
            else:
                told.append(f"{_called(key)}: it was tested on other clips than the others were.")
    return kept


def _refuse_twins(results: _Results) -> None:
    seen: dict[tuple[str, str, int], str] = {}
    for (name, method), result in results.items():
        what = (method, _machine_type(result), int(result["run"]["seed"]))
        if what in seen:
            raise InputError(
                f"{seen[what]} and {name} both hold {method} on {what[1]} with seed {what[2]}; "
                f"name those to join: --params campaign.names=[{name},…]"
            )
        seen[what] = name


def _most_common(values: Iterable[Any]) -> Any:
    """Return the value that is there most often; of several the first."""
    listed = list(values)
    counted = Counter(map(repr, listed))
    return max(listed, key=lambda value: counted[repr(value)])


def _machine_type(result: Mapping[str, Any]) -> str:
    return str(result["corpus"]["machine_type"])


def _called(key: tuple[str, str]) -> str:
    name, method = key
    return f"{method}, {name}"


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        parts: dict[str, Any] = {}
        for key, inner in value.items():
            skipped = not name and key == "settings"  # their groups have names enough
            parts |= _flat(inner, "" if skipped else f"{name}.{key}" if name else str(key))
        return parts
    return {name: value}
