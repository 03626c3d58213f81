"""The thresholds that decide, and the decisions they make, from normal clips alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.decision import Per, ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Label


@dataclass(frozen=True)
class Thresholds:
    """The thresholds that decide.

    Attributes:
        strategy: the strategy that could be computed: the one asked for, or its fallback.
        by_machine_id: the threshold of each machine ID.
        per: whether it was computed from all clips (``machine_type``) or for each machine ID from
            its own.
        note: why it is the fallback; empty if it is not.
    """

    strategy: str
    by_machine_id: Mapping[str, float]
    per: Per
    note: str = ""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Thresholds:
        """Take what :meth:`to_json` returned."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return ``strategy, by_machine_id, per, note`` as JSON values."""
        return asdict(self) | {"by_machine_id": dict(self.by_machine_id)}

    @property
    def shared(self) -> float | None:
        """The threshold, if it is the same for all machine IDs."""
        values = set(self.by_machine_id.values())
        return values.pop() if len(values) == 1 else None

    def of(self, machine_id: str | None) -> float:
        """Return the threshold of a machine ID; NaN if there is none.

        A threshold that all machine IDs share holds for unknown ones as well.
        """
        if machine_id is not None and machine_id in self.by_machine_id:
            return self.by_machine_id[machine_id]
        return math.nan if self.shared is None else self.shared

    def judges(self, machine_id: str | None) -> bool:
        """Return whether there is a threshold for a machine ID."""
        return not math.isnan(self.of(machine_id))


def deploy(
    calibration: CalibrationScores, machine_ids: Iterable[str], settings: ThresholdSettings
) -> Thresholds:
    """Choose the thresholds that decide.

    Args:
        calibration: scores of held-out normal clips.
        machine_ids: those that need a threshold.
        settings: of the thresholds.

    Returns:
        The strategy asked for if it can be computed for every machine ID, else the fallback.

    Raises:
        InputError: the fallback cannot be computed either.
    """
    names = sorted(set(machine_ids))
    notes: list[str] = []
    for strategy in (settings.deployed, settings.fallback):
        compute = STRATEGIES[strategy].threshold
        if settings.per == "machine_id":
            found = {name: compute(calibration.values(name), settings) for name in names}
        else:
            found = dict.fromkeys(names, compute(calibration.values(), settings))
        missing = next((name for name in names if not found[name].given), None)
        if missing is None:
            values = {name: threshold.value for name, threshold in found.items()}
            return Thresholds(strategy, values, settings.per, "".join(notes))
        whose = f"machine ID {missing}: " if settings.per == "machine_id" else ""
        notes.append(f"{strategy} cannot be given: {whose}{found[missing].note}")
    raise InputError(
        f"no threshold can be deployed: {'; '.join(notes)}; give more normal clips or deploy "
        "another one (parameters thresholds.deployed and thresholds.fallback)."
    )


@dataclass(frozen=True)
class Decisions:
    """What is decided about some clips.

    Attributes:
        threshold: of each clip.
        decision: ``Label.ANOMALOUS`` if the score is at or above it, else ``Label.NORMAL``.
        p_value: how often a normal clip would score as high; see
            :func:`.calibration.conformal_p_value`.
    """

    threshold: np.ndarray
    decision: tuple[Label, ...]
    p_value: np.ndarray


def decide(
    scores: Sequence[float] | np.ndarray,
    machine_ids: Sequence[str | None],
    thresholds: Thresholds,
    calibration: CalibrationScores,
) -> Decisions:
    """Decide clips that are not calibration clips.

    Args:
        scores: one score per clip.
        machine_ids: the machine ID of each clip; None if unknown.
        thresholds: the thresholds that decide.
        calibration: what they were computed from.

    Raises:
        InputError: there is no threshold for a machine ID.
    """
    of_machine_id = {machine_id: thresholds.of(machine_id) for machine_id in machine_ids}
    for machine_id in of_machine_id:
        if not thresholds.judges(machine_id):
            raise InputError(
                f"there is no threshold for machine ID '{machine_id or ''}' (there are those of "
                f"{', '.join(sorted(thresholds.by_machine_id))})."
            )
    values = np.asarray(scores, dtype=float)
    limits = np.array([of_machine_id[machine_id] for machine_id in machine_ids], dtype=float)
    return Decisions(
        threshold=limits,
        decision=tuple(Label.ANOMALOUS if high else Label.NORMAL for high in values >= limits),
        p_value=calibration.p_values(values, machine_ids, per=thresholds.per),
    )


def decide_new_clips(
    clip_scores: pd.DataFrame, thresholds: Thresholds, calibration: CalibrationScores
) -> pd.DataFrame:
    """Decide clips that the detector has not seen in training or calibration.

    Args:
        clip_scores: ``clip_id, machine_id, score``. A clip ID that a calibration clip has too is
            another clip here.
        thresholds: the thresholds that decide.
        calibration: what they were computed from.

    Returns:
        ``clip_id, score, threshold, decision, p_value``, one row per clip; see :class:`Decisions`.
        Where ``clip_scores`` has ``recording, start_s``, they follow.
    """
    found = decide(
        clip_scores.score.to_numpy(), clip_scores.machine_id.tolist(), thresholds, calibration
    )
    places = [name for name in ("recording", "start_s") if name in clip_scores]
    decided = clip_scores[["clip_id", "score", *places]].assign(
        threshold=found.threshold,
        decision=np.array(found.decision, dtype=str),
        p_value=found.p_value,
    )
    return decided[["clip_id", "score", "threshold", "decision", "p_value", *places]]


def decide_clips(
    clip_scores: pd.DataFrame, thresholds: Thresholds, calibration: CalibrationScores
) -> pd.DataFrame:
    """Decide all clips of the corpus that the calibration clips belong to.

    Args:
        clip_scores: ``clip_id, machine_id, score``.
        thresholds: the thresholds that decide.
        calibration: what they were computed from.

    Returns:
        As :func:`decide_new_clips`. A calibration clip is decided by its calibration score, which
        is what ``score`` then holds, and has the p-value NaN: it cannot be compared with itself.
    """
    calibrated = dict(zip(calibration.clip_ids, calibration.scores, strict=True))
    own = clip_scores.clip_id.isin(list(calibrated))
    scores = clip_scores.score.mask(own, clip_scores.clip_id.map(calibrated))
    table = decide_new_clips(clip_scores.assign(score=scores), thresholds, calibration)
    return table.assign(p_value=table.p_value.mask(own))
