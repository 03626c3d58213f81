"""The page that can be heard: one HTML file with players, pictures and what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.reporting.embedding import data_uri
from anomalous_sound.reporting.facts import (
    CorpusFacts,
    DeployedThresholds,
    machine_id_name,
    machine_id_names,
    strategy_name,
)
from anomalous_sound.reporting.official_table import OfficialFacts
from anomalous_sound.reporting.pages import render_html
from anomalous_sound.reporting.recordings import time_in_recording
from anomalous_sound.reporting.shown_clips import ShownClips, ShownEvent
from anomalous_sound.scoring.event_words import in_hertz
from anomalous_sound.scoring.localisation import FREQUENCY
from anomalous_sound.vocabulary import Decision, Label, Split

_NAMED_BANDS = 3
_FILTERS = {"machine_id": "machine ID", "split": "split", "decision": "decision"}


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page.

    Attributes:
        title: above it.
        text: what it shows, for those who cannot see it.
        png: the file's bytes.
    """

    title: str
    text: str
    png: bytes

    @property
    def uri(self) -> str:
        """The figure inside the page."""
        return data_uri(self.png, "image/png")


def sound_page(
    *,
    method: str,
    corpus: CorpusFacts,
    trained_on: CorpusFacts,
    judged: pd.DataFrame,
    events: pd.DataFrame,
    localisation: pd.DataFrame,
    shown: ShownClips,
    thresholds: DeployedThresholds,
    calibration_scores: Sequence[float],
    promise: str,
    calibration: pd.DataFrame | None,
    unit: str,
    figures: Iterable[PageFigure],
    not_computed: Mapping[str, str],
    official: OfficialFacts | None,
    rejected_clips: pd.DataFrame,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
    page: PageSettings,
) -> str:
    """Write the page of one training run, or of recordings that a detector has judged.

    Args:
        method: the method's title.
        corpus: the clips of the page.
        trained_on: the clips that the detector was trained on; the same ones after a training.
        judged: ``clip_id, machine_id, split, label, score, threshold, decision, p_value, note,
            recording, start_s, duration_s``, one row per clip; and ``channel``, the one that stands
            out most, where several are judged.
        events: EVENT_COLUMNS.
        localisation: LOCALISATION_COLUMNS: what is said of a clip without an event.
        shown: the clips with a player.
        thresholds: those that decide.
        calibration_scores: of the held-out normal clips.
        promise: what is promised of false alarms, in words.
        calibration: the table behind it; None: nothing was measured.
        unit: what an anomaly score measures.
        figures: further figures; only those that show something.
        not_computed: what could not be computed, and why.
        official: the figures of a challenge; None: none were computed.
        rejected_clips: ``clip_id, reason``.
        settings: that the sound was judged by.
        versions: of the programs that did it.
        page: of the page.

    Returns:
        HTML that fetches nothing.
    """
    ranked = judged.sort_values("score", ascending=False, kind="stable")
    players = {clip.clip_id: clip for clip in shown.clips}
    words = {
        str(clip_id): list(dict.fromkeys(of_clip))
        for clip_id, of_clip in events.sort_values("rank").groupby("clip_id").words
    }
    rows = [_row(row, words.get(row["clip_id"], [])) for row in ranked.to_dict("records")]
    by_id = {row["clip_id"]: row for row in rows}
    return render_html(
        "sound_page.html.j2",
        method=method,
        corpus=corpus,
        trained_on=trained_on,
        heard_clips=_heard(judged, corpus),
        alarms=_alarms(judged),
        promise=promise,
        calibration=calibration,
        cards=[
            {
                "row": by_id[clip_id],
                "clip": clip,
                "events": grouped(clip.events),
                "bands": _bands(localisation[localisation.clip_id == clip_id]),
            }
            for clip_id, clip in players.items()
        ],
        rows=[row for row in rows if row["clip_id"] not in players][: page.listed],
        count=len(rows),
        page=page,
        gain_db=shown.gain_db,
        filters={
            column: (title, values)
            for column, title in _FILTERS.items()
            if len(values := sorted(set(judged[column].astype(str)))) > 1
        },
        unit=unit,
        thresholds=_thresholds(thresholds, judged, calibration_scores),
        strategy=strategy_name(thresholds.strategy),
        note=thresholds.note,
        figures=list(figures),
        not_computed=_reasons(not_computed),
        official=official,
        rejected_clips=rejected_clips,
        settings=settings,
        versions=versions,
    )


def _row(row: Mapping[Any, Any], words: list[str]) -> dict[str, Any]:
    """Return what the page says of a clip."""
    is_part = row["recording"] != row["clip_id"]
    known = row["label"] if row["label"] != Label.UNKNOWN else None
    when = time_in_recording(row["start_s"], row["duration_s"]) if is_part else None
    return {
        **{name: row[name] for name in ("clip_id", "machine_id", "split", "decision", "score")},
        "threshold": None if pd.isna(row["threshold"]) else row["threshold"],
        "p_value": None if pd.isna(row["p_value"]) else row["p_value"],
        "label": known,
        "when": when,
        "note": "" if pd.isna(row["note"]) else row["note"],
        "words": words,
        "channel": None if pd.isna(row.get("channel")) else int(row["channel"]),
    }


def grouped(events: Sequence[ShownEvent]) -> dict[str, list[ShownEvent]]:
    """Put together the events that share their words, in the order of time."""
    groups: dict[str, list[ShownEvent]] = {}
    for event in events:
        groups.setdefault(event.words, []).append(event)
    return {
        words: sorted(group, key=lambda event: event.start_s) for words, group in groups.items()
    }


def _bands(localisation: pd.DataFrame) -> list[str]:
    """Name the mel bands of a clip that contribute most."""
    bands = localisation[localisation.axis == FREQUENCY].sort_values("rank")
    return named_bands(bands[["start", "end"]].mean(axis=1))


def named_bands(middles_hz: Iterable[float]) -> list[str]:
    """Name the first few mel bands, Hz, of a clip without an event; neighbours are named once."""
    return list(dict.fromkeys(map(in_hertz, middles_hz)))[:_NAMED_BANDS]


def _heard(judged: pd.DataFrame, corpus: CorpusFacts) -> str:
    minutes = judged.duration_s.sum() / 60
    length = f"{minutes:.0f} minutes" if minutes >= 2 else f"{60 * minutes:.0f} seconds"
    return (
        f"{len(judged)} {_clips(len(judged))} ({length}), machine type {corpus.machine_type}, "
        f"machine IDs {machine_id_names(corpus.machine_ids)}"
    )


def _alarms(judged: pd.DataFrame) -> str:
    """Say how many of the clips that count raise an alarm, and what is known of them."""
    is_test = judged.split == Split.TEST
    counted = judged[is_test] if is_test.any() else judged
    kind = "test clips" if is_test.any() and not is_test.all() else "clips"
    called = counted.decision == Decision.ANOMALOUS
    text = f"{called.sum()} of {len(counted)} {kind} called anomalous"
    known = [
        f"{called[counted.label == label].sum()} of {(counted.label == label).sum()} {label} ones"
        for label in (Label.ANOMALOUS, Label.NORMAL)
        if (counted.label == label).any()
    ]
    if known:
        text += f" ({', '.join(known)})"
    if undecided := int((counted.decision == Decision.UNDECIDED).sum()):
        text += (
            f"; {undecided} undecided: no normal clip of their machine ID, or as long, was learned"
        )
    return text


def _thresholds(
    thresholds: DeployedThresholds, judged: pd.DataFrame, calibration_scores: Sequence[float]
) -> list[dict[str, Any]]:
    """Return each threshold, whose it is, and how many clips reach it."""
    values = thresholds.by_machine_id
    groups: dict[str | None, float] = (
        {None: thresholds.shared}
        if thresholds.shared is not None
        else {machine_id_name(name): value for name, value in values.items()}
    )
    rows = []
    for name, value in groups.items():
        row: dict[str, Any] = {"machine_id": name, "threshold": value}
        if len(groups) == 1:
            row["held_out"] = len(calibration_scores)
            row["reach_it"] = sum(score >= value for score in calibration_scores)
        rows.append(row)
    return rows


def _reasons(not_computed: Mapping[str, str]) -> str | None:
    """Say in one sentence what was not computed, and why."""
    names: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        names.setdefault(reason, []).append(name)
    return "; ".join(f"{', '.join(of)} ({reason})" for reason, of in names.items()) or None


def _clips(count: int) -> str:
    return "clip" if count == 1 else "clips"
