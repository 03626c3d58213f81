"""The thresholds that decide, and the decisions they make, from normal clips alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.configuration.decision import Per, ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.evidence import softened
from anomalous_sound.decision.strategies import STRATEGIES, Strategy, Threshold, conformal
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Decision

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_NAMED = 3  # clips, in a message


@dataclass(frozen=True)
class Thresholds:
    """The thresholds that decide.

    Attributes:
        strategy: the strategy that could be computed: the one asked for, or its fallback.
        by_machine_id: the threshold of each machine ID that was calibrated.
        per: whether it was computed from all clips (``machine_type``) or for each machine ID from
            its own.
        note: why it is the fallback; empty if it is not.
        for_unseen: whether the threshold was calibrated for machine IDs not trained on, too.
        false_alarm_rate: the rate that the strategy promises; None if it promises none.
        with_foreign: whether it is the rate of the whole verdict, foreign sound included, and not
            of the score alone.
    """

    strategy: str
    by_machine_id: Mapping[str, float]
    per: Per
    note: str = ""
    for_unseen: bool = False
    false_alarm_rate: float | None = None
    with_foreign: bool = False

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Thresholds:
        """Take what :meth:`to_json` returned."""
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values."""
        values = asdict(self) | {"by_machine_id": dict(self.by_machine_id)}
        if not self.with_foreign:
            del values["with_foreign"]  # as in earlier detectors, whose digest is of what is there
        return values

    @property
    def shared(self) -> float | None:
        """The threshold, if it is the same for all machine IDs."""
        values = set(self.by_machine_id.values())
        return values.pop() if len(values) == 1 else None

    @property
    def unseen_note(self) -> str:
        """What to bear in mind of machine IDs not trained on; empty if they are not judged.

        The clips of a machine ID are alike, so its rate rests on machine IDs and not on clips.
        """
        if not self.for_unseen:
            return ""
        machine_ids = len(self.by_machine_id)
        return (
            f"for machine IDs not trained on, it rests on {machine_ids} machine IDs: no rate below "
            f"1 in {machine_ids + 1} has anything to stand on"
        )

    def of(self, machine_id: str | None) -> float:
        """Return the threshold of a machine ID; NaN if there is none.

        A threshold that machine IDs share says nothing of others, unless it was calibrated for
        them.
        """
        if machine_id is not None and machine_id in self.by_machine_id:
            return self.by_machine_id[machine_id]
        shared = self.shared if self.for_unseen else None
        return math.nan if shared is None else shared

    def judges(self, machine_id: str | None) -> bool:
        """Return whether there is a threshold for a machine ID."""
        return not math.isnan(self.of(machine_id))


def deploy(
    calibration: CalibrationScores, settings: ThresholdSettings, *, for_unseen: bool = False
) -> Thresholds:
    """Choose the thresholds that decide the clips of the machine IDs that were calibrated.

    Args:
        calibration: scores of held-out normal clips.
        settings: of the thresholds.
        for_unseen: whether whole machine IDs were left out, so that it speaks for others too.

    Returns:
        The strategy asked for if it can be computed for every machine ID, else the fallback.

    Raises:
        InputError: the fallback cannot be computed either.
    """
    names = sorted(set(calibration.machine_ids))
    if not names:
        raise InputError("no threshold can be deployed: there are no calibration clips.")
    notes: list[str] = []
    for strategy in (settings.deployed, settings.fallback):
        compute = _computing(STRATEGIES[strategy], calibration, settings)
        found = _of_each(calibration, settings.per, compute)
        missing = next((name for name in names if not found[name].given), None)
        if missing is None:
            values = {name: threshold.value for name, threshold in found.items()}
            rate = settings.false_alarm_rate if STRATEGIES[strategy].promises else None
            joint = STRATEGIES[strategy].joint and calibration.foreign is not None
            note = "".join(notes)
            return Thresholds(strategy, values, settings.per, note, for_unseen, rate, joint)
        whose = f"machine ID {missing}: " if settings.per == "machine_id" else ""
        why = _why(found[missing], calibration, missing if settings.per == "machine_id" else None)
        notes.append(f"{strategy} cannot be given: {whose}{why}")
    raise InputError(
        f"no threshold can be deployed: {'; '.join(notes)}; give more normal clips or deploy "
        "another one (parameters thresholds.deployed and thresholds.fallback)."
    )


def conformal_at(
    calibration: CalibrationScores,
    rate: float,
    *,
    per: Per,
    for_unseen: bool = False,
    by_score: bool = False,
) -> Thresholds:
    """Return the conformal thresholds for a false-alarm rate.

    Args:
        calibration: scores of held-out normal clips.
        rate: above 0 and below 1.
        per: which clips share a threshold.
        for_unseen: whether whole machine IDs were left out, so that it speaks for others too.
        by_score: whether it is the rate of scores at or above the threshold, and not that of the
            whole verdict, foreign sound included.

    Raises:
        InputError: there are too few clips for the rate, or too many of them are foreign; it says
            how many are needed.
    """
    scores = calibration.values if by_score else calibration.joint
    found = _of_each(calibration, per, lambda machine_id: conformal(scores(machine_id), rate))
    if not found:
        raise InputError("no threshold can be computed: there are no calibration clips.")
    for name, threshold in found.items():
        if not threshold.given:
            whose = f"machine ID {name or '(none given)'}: " if per == "machine_id" else ""
            why = _why(threshold, calibration, name if per == "machine_id" else None)
            raise InputError(
                f"the false-alarm rate {rate:g} cannot be promised: {whose}{why}; "
                "accept a higher rate, or calibrate with more normal clips "
                "(anomalous-sound recalibrate)."
            )
    values = {name: threshold.value for name, threshold in found.items()}
    joint = not by_score and calibration.foreign is not None
    return Thresholds("conformal", values, per, "", for_unseen, rate, joint)


def _why(threshold: Threshold, calibration: CalibrationScores, machine_id: str | None) -> str:
    """Say why a threshold cannot be given, and which clips stand in its way."""
    foreign = calibration.foreign_clips(machine_id)
    if not (threshold.strategy == "conformal" and foreign):
        return threshold.note
    some = ", ".join(foreign[:_NAMED]) + ", …" * (len(foreign) > _NAMED)
    return f"{threshold.note}; listen to them, and take out what is not normal ({some})"


def _computing(
    strategy: Strategy, calibration: CalibrationScores, settings: ThresholdSettings
) -> Callable[[str | None], Threshold]:
    return lambda machine_id: strategy.of(calibration, settings, machine_id)


def _of_each(
    calibration: CalibrationScores, per: Per, compute: Callable[[str | None], Threshold]
) -> dict[str, Threshold]:
    """Compute the threshold of each machine ID: from its own clips, or the same from all."""
    names = sorted(set(calibration.machine_ids))
    if per == "machine_id":
        return {name: compute(name) for name in names}
    return dict.fromkeys(names, compute(None)) if names else {}


def check_thresholds(machine_ids: Iterable[str], settings: ThresholdSettings) -> None:
    """Make sure, before anything is trained, that there are enough clips for a threshold.

    Args:
        machine_ids: of each normal clip that will calibrate.
        settings: of the thresholds.

    Raises:
        InputError: there are too few for the strategy asked for and for the fallback.
    """
    names = tuple(map(str, machine_ids))
    scores = tuple(map(float, range(1, len(names) + 1)))  # any that differ
    deploy(CalibrationScores(names, names, scores), settings)


@dataclass(frozen=True)
class Decisions:
    """What is decided about some clips.

    Attributes:
        threshold: of each clip; NaN if there is none.
        decision: ``ANOMALOUS`` if the score is at or above it, ``NORMAL`` if it is below, and
            ``UNDECIDED`` without a threshold: the clip's machine ID was not calibrated.
        p_value: how often a normal clip would score as high; see
            :func:`.calibration.conformal_p_value`. NaN if the clip is undecided.
    """

    threshold: np.ndarray
    decision: tuple[Decision, ...]
    p_value: np.ndarray


def decide(
    scores: Sequence[float] | np.ndarray,
    machine_ids: Sequence[str | None],
    thresholds: Thresholds,
    calibration: CalibrationScores,
    foreign: Sequence[bool] | np.ndarray | None = None,
    comparable: Sequence[bool] | np.ndarray | None = None,
) -> Decisions:
    """Decide clips that are not calibration clips.

    Args:
        scores: one score per clip.
        machine_ids: the machine ID of each clip; None if unknown.
        thresholds: the thresholds that decide.
        calibration: what they were computed from.
        foreign: which clips are foreign (see :mod:`.evidence`): as if their score was above all;
            None: no clip.
        comparable: which clips are as long as normal ones (see :mod:`.evidence`): the others are
            undecided; None: all are.
    """
    of_machine_id = {machine_id: thresholds.of(machine_id) for machine_id in machine_ids}
    values = np.asarray(scores, dtype=float)
    if foreign is not None:
        values = np.where(np.asarray(foreign, dtype=bool), np.inf, values)
    limits = np.array([of_machine_id[machine_id] for machine_id in machine_ids], dtype=float)
    if comparable is not None:
        limits = np.where(np.asarray(comparable, dtype=bool), limits, np.nan)
    return Decisions(
        threshold=limits,
        decision=tuple(
            Decision.UNDECIDED
            if math.isnan(limit)
            else Decision.ANOMALOUS
            if value >= limit
            else Decision.NORMAL
            for value, limit in zip(values, limits, strict=True)
        ),
        p_value=np.where(
            np.isnan(limits),
            np.nan,
            calibration.p_values(values, machine_ids, per=thresholds.per),
        ),
    )


def decide_new_clips(
    clip_scores: pd.DataFrame,
    thresholds: Thresholds,
    calibration: CalibrationScores,
    evidence: pd.DataFrame,
) -> pd.DataFrame:
    """Decide clips that the detector has not seen in training or calibration.

    Args:
        clip_scores: ``clip_id, machine_id, score``. A clip ID that a calibration clip has too is
            another clip here.
        thresholds: the thresholds that decide.
        calibration: what they were computed from.
        evidence: as :func:`.evidence_table.weigh_clips` returns it.

    Returns:
        ``clip_id, score, threshold, decision, p_value, foreign, note``, one row per clip; see
        :class:`Decisions`. Where ``clip_scores`` has ``recording, start_s``, they follow.
    """
    beside = evidence.set_index("clip_id").loc[clip_scores.clip_id]
    found = decide(
        clip_scores.score.to_numpy(),
        clip_scores.machine_id.tolist(),
        thresholds,
        calibration,
        foreign=beside.foreign.to_numpy(),
        comparable=beside.comparable.to_numpy(),
    )
    if not beside.comparable.all():
        logger.warning(
            "%d clips are undecided: they last much longer or shorter than the normal clips that "
            "the detector knows. Their notes say how long these are.",
            (~beside.comparable).sum(),
        )
    undecided = np.isnan(found.threshold) & beside.comparable.to_numpy()
    if undecided.any():
        names = {name or "(none given)" for name in clip_scores.machine_id[undecided]}
        logger.warning(
            "%d clips are undecided: no normal clip of machine ID %s has calibrated the detector.",
            undecided.sum(),
            ", ".join(sorted(names)),
        )
    places = [name for name in ("recording", "start_s") if name in clip_scores]
    decided = clip_scores[["clip_id", "score", *places]].assign(
        threshold=found.threshold,
        decision=np.array(found.decision, dtype=str),
        p_value=found.p_value,
        foreign=beside.foreign.to_numpy(),
        note=[
            softened(note) if score >= limit else note
            for note, score, limit in zip(
                # an empty one is read from a file as NaN
                *(beside.note.astype(object).fillna(""), clip_scores.score, found.threshold),
                strict=True,
            )
        ],
    )
    verdict = ["threshold", "decision", "p_value", "foreign", "note"]
    return decided[["clip_id", "score", *verdict, *places]]


def decide_clips(
    clip_scores: pd.DataFrame,
    thresholds: Thresholds,
    calibration: CalibrationScores,
    evidence: pd.DataFrame,
) -> pd.DataFrame:
    """Decide all clips of the corpus that the calibration clips belong to.

    Args:
        clip_scores: ``clip_id, machine_id, score``.
        thresholds: the thresholds that decide.
        calibration: what they were computed from.
        evidence: as :func:`.evidence_table.weigh_clips` returns it.

    Returns:
        As :func:`decide_new_clips`. A calibration clip has the p-value NaN: it cannot be compared
        with itself.
    """
    table = decide_new_clips(clip_scores, thresholds, calibration, evidence)
    return table.assign(p_value=table.p_value.mask(table.clip_id.isin(calibration.clip_ids)))
