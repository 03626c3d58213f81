"""The page of recordings that a detector has judged."""

from __future__ import annotations

import pandas as pd

from anomalous_sound.reporting.facts import CorpusFacts, DeployedThresholds
from anomalous_sound.reporting.pages import render
from anomalous_sound.reporting.recordings import recording_table, time_in_recording
from anomalous_sound.vocabulary import Decision, Label

FIGURES = {"timeline_figure.png": "Deviation from normal in time and frequency"}

RECORDINGS_FIGURE = {"recordings_figure.png": "Score over time, recording by recording"}

_NAMED_PLACES = 3  # segments or bands of a clip in the table


def judgement_page(
    *,
    judged: pd.DataFrame,
    localisation: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    corpus: CorpusFacts,
    method: str,
    trained_on: CorpusFacts,
    unit: str,
    thresholds: DeployedThresholds,
    calibration_clips: int,
    in_folds: bool,
) -> str:
    """Write which clips are called anomalous, and when and where they deviate from normal.

    Args:
        judged: ``clip_id, machine_id, label, score, threshold, decision, p_value, note, recording,
            start_s, duration_s``, one row per clip; and ``channel``, the one that stands out most,
            where several are judged.
        localisation: ``clip_id, axis, rank, start, end``: what contributes most to each score.
        rejected_clips: ``clip_id, reason``.
        corpus: the judged clips.
        method: the title of the detector's method.
        trained_on: the clips that the detector was trained on.
        unit: what an anomaly score measures.
        thresholds: the detector's.
        calibration_clips: held-out normal clips that p-values are computed from.
        in_folds: whether each of these was scored by another network and score.

    Returns:
        Markdown; the figures are expected in the same folder.
    """
    recordings = recording_table(judged)
    anomalous = judged[judged.decision == Decision.ANOMALOUS].sort_values("score", ascending=False)
    return render(
        "judgement.md.j2",
        corpus=corpus,
        judged=len(judged),
        anomalous=len(anomalous),
        undecided=int((judged.decision == Decision.UNDECIDED).sum()),
        rejected_clips=rejected_clips,
        method=method,
        trained_on=trained_on,
        unit=unit,
        thresholds=thresholds,
        unknown_machine_ids=sorted(set(judged.machine_id) - set(trained_on.machine_ids)),
        by_label=_by_label(judged),
        calibration_clips=calibration_clips,
        in_folds=in_folds,
        recordings=recordings,
        noted=judged[judged.note.notna() & (judged.note != "")][["clip_id", "note"]],
        anomalous_clips=_with_times(anomalous, bool(len(recordings))).assign(
            **{
                "when (s)": [_places(localisation, name, "time", 2) for name in anomalous.clip_id],
                "where (Hz)": [
                    _places(localisation, name, "frequency", 0) for name in anomalous.clip_id
                ],
            }
        ),
        figures=FIGURES | (RECORDINGS_FIGURE if len(recordings) else {}),
    )


def _with_times(clips: pd.DataFrame, is_cut: bool) -> pd.DataFrame:
    """Return what the table says of clips; where recordings were cut, when in them each lies."""
    channel = ["channel"] if "channel" in clips else []
    shown = clips[["clip_id", "machine_id", "score", "threshold", "p_value", *channel]]
    if not is_cut:
        return shown
    times = [
        time_in_recording(start_s, duration_s) if recording != clip_id else ""
        for clip_id, recording, start_s, duration_s in zip(
            clips.clip_id, clips.recording, clips.start_s, clips.duration_s, strict=True
        )
    ]
    shown.insert(1, "time in the recording", times)
    return shown


def _by_label(judged: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Return each label, how many of its clips are called anomalous, and how many there are."""
    counts = []
    for label in (Label.NORMAL, Label.ANOMALOUS):
        called = judged.decision[judged.label == label] == Decision.ANOMALOUS
        if len(called):
            counts.append((str(label), int(called.sum()), len(called)))
    return counts


def _places(localisation: pd.DataFrame, clip_id: str, axis: str, digits: int) -> str:
    """List the segments or bands of a clip that contribute most."""
    of_clip = localisation[(localisation.clip_id == clip_id) & (localisation.axis == axis)]
    first = of_clip.sort_values("rank").head(_NAMED_PLACES)
    return ", ".join(
        f"{start:.{digits}f}–{end:.{digits}f}"
        for start, end in zip(first.start, first.end, strict=True)
    )
