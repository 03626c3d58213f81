"""The card of a detector, in the manner of a model card (Mitchell et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from anomalous_sound.reporting.facts import CorpusFacts, DeployedThresholds, machine_id_name
from anomalous_sound.reporting.official_table import official_facts
from anomalous_sound.reporting.pages import render
from anomalous_sound.reporting.report_page import deployed_calibration

_DECISION_GROUPS = ("thresholds", "evidence")


def card_page(
    *,
    method: str,
    summary: str,
    corpus: CorpusFacts,
    made: Mapping[str, Any],
    trained_on: Mapping[str, str],
    networks: int,
    parameters: int,
    training_s: float | None,
    metrics: Mapping[str, Any],
    unit: str,
    deployed: DeployedThresholds,
    calibration_clips: int,
    calibration: pd.DataFrame,
    version: str,
    revision: str,
    packages: str,
) -> str:
    """Write the card.

    Args:
        method: its title.
        summary: what it does, in a line.
        corpus: the clips that the detector was trained and tested on.
        made: how the run was made, with ``method``, ``seed`` and ``settings`` by group.
        trained_on: ``device`` and ``precision``.
        networks: that judge together.
        parameters: trained values of all of them.
        training_s: how long the training took, seconds; None: nothing was trained.
        metrics: as :func:`anomalous_sound.evaluation.metrics.evaluate` returns them, with
            ``official`` where the figures of a challenge were computed.
        unit: what an anomaly score measures.
        deployed: the thresholds that decide.
        calibration_clips: normal clips that these come from.
        calibration: the false-alarm rates promised and delivered.
        version: of this package.
        revision: of its code.
        packages: whether their versions are those of the lock, in words.

    Returns:
        Markdown.
    """
    settings = {
        name: ", ".join(f"{key} {value}" for key, value in _flat(group).items())
        for name, group in made["settings"].items()
    }
    return render(
        "card.md.j2",
        method=method,
        name=made["method"],
        summary=summary,
        corpus=corpus,
        seed=made["seed"],
        settings={k: v for k, v in settings.items() if k not in _DECISION_GROUPS},
        decided_by={k: v for k, v in settings.items() if k in _DECISION_GROUPS},
        trained_on=trained_on,
        networks=networks,
        parameters=f"{parameters:,}",
        training_s=training_s,
        metrics=metrics,
        by_machine_id=_by_machine_id(metrics["per_machine_id"]),
        official=official_facts(metrics.get("official")),
        unit=unit,
        deployed=deployed,
        calibration_clips=calibration_clips,
        calibration=deployed_calibration(calibration),
        undecided=metrics.get("deployed", {}).get("undecided", 0),
        version=version,
        revision=revision,
        packages=packages,
    )


def _by_machine_id(values: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "machine ID": machine_id_name(machine_id),
            "AUC": of_id["auc"],
            "pAUC": of_id["pauc"],
            "normal test clips": of_id["n_normal"],
            "anomalous test clips": of_id["n_anomalous"],
        }
        for machine_id, of_id in values.items()
    ]
    return pd.DataFrame(rows).astype({"AUC": float, "pAUC": float})


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {
            key: inner
            for part, one in value.items()
            for key, inner in _flat(one, f"{name}.{part}" if name else str(part)).items()
        }
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        return _flat({str(place): one for place, one in enumerate(value, start=1)}, name)
    return {name: value}
