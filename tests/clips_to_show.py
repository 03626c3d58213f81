"""Clips with all that the page shows of them, made by hand."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from events_of_clips import EVENTS
from features_of_report import FEATURES
from support import RATE, corpus_summary, noise

from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import log_mel_spectrogram, mel_band_edges_hz
from anomalous_sound.reporting.shown_clips import ShownClips, chosen_clips, show_clips
from anomalous_sound.reporting.sound_page import sound_page
from anomalous_sound.scoring.event_words import describe
from anomalous_sound.scoring.events import EVENT_COLUMNS, EventLimits, find_events

SECONDS = 4.0
PAGE = PageSettings(highest=2, normal=1, disputed=2, listed=10, audio="flac", lead_s=0.5)
LIMITS = EventLimits(level=1.0, mass=60.0, peak=5.0, smooth_windows=5, smooth_bands=3)
JUDGED = pd.DataFrame(
    [
        ("b.wav", "02", "test", "anomalous", 3.0, 2.0, "anomalous", 0.1),
        ("a.wav", "00", "test", "normal", 1.0, 2.0, "normal", 0.8),
        ("d.wav", "00", "test", "normal", 0.5, 2.0, "normal", 0.9),
        ("c.wav", "02", "test", "anomalous", 1.5, 2.0, "normal", 0.3),
        ("e.wav", "02", "train", "normal", 1.2, 2.0, "normal", 0.5),
    ],
    columns=[
        *("clip_id", "machine_id", "split", "label"),
        *("score", "threshold", "decision", "p_value"),
    ],
).pipe(
    lambda table: table.assign(recording=table.clip_id, start_s=0.0, duration_s=SECONDS, note="")
)


LOCALISATION = pd.DataFrame(
    [
        ("c.wav", "time", 1, 1.0, 1.25, 0.2),
        ("c.wav", "frequency", 2, 790.0, 850.0, 0.1),
        ("c.wav", "frequency", 1, 2000.0, 2200.0, 0.3),
        ("c.wav", "frequency", 3, 2040.0, 2140.0, 0.05),
    ],
    columns=["clip_id", "axis", "rank", "start", "end", "share"],
)


def deviations(clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """A block above normal from 2 to 3 s, in the anomalous clip alone."""
    times_s = FEATURES.frame_s * np.arange(10, 125)
    values = np.zeros((len(times_s), 128))
    if clip_id == "b.wav":
        values[(times_s >= 2) & (times_s <= 3), 100:] = 4.0
    return values, times_s


def events_of(judged: pd.DataFrame, frames: Frames) -> pd.DataFrame:
    edges = mel_band_edges_hz(128, RATE)
    rows = []
    for clip_id in judged.clip_id:
        values, times_s = deviations(clip_id)
        found = find_events(values, LIMITS, times_s=times_s, band_edges_hz=edges, count=5)
        words = describe(
            found,
            frames.clip(clip_id),
            frame_s=FEATURES.frame_s,
            band_edges_hz=edges,
            levels=None,
            settings=EVENTS.words,
        )
        for rank, (event, text) in enumerate(zip(found, words, strict=True), start=1):
            rows.append(
                {"clip_id": clip_id, "rank": rank, **dataclasses.asdict(event), "words": text}
            )
    return pd.DataFrame(rows, columns=EVENT_COLUMNS)


def sound_of(clip_id: str) -> np.ndarray:
    return noise(ord(clip_id[0]), SECONDS)[:, 0].astype(np.float32)


def shown_and_events(
    judged: pd.DataFrame = JUDGED, settings: PageSettings = PAGE
) -> tuple[ShownClips, pd.DataFrame]:
    """Return the clips shown, and the events of all."""
    frames = Frames.in_memory(
        {name: log_mel_spectrogram(sound_of(name), FEATURES) for name in judged.clip_id}
    )
    events = events_of(judged, frames)
    shown = show_clips(
        chosen_clips(judged, settings),
        samples=sound_of,
        maps=deviations,
        frames=frames,
        events=events,
        features=FEATURES,
        settings=settings,
    )
    return shown, events


def page(judged: pd.DataFrame = JUDGED, settings: PageSettings = PAGE, **changed: Any) -> str:
    """Write a page about the clips."""
    shown, events = shown_and_events(judged, settings)
    thresholds = {"strategy": "conformal", "note": "", "per": "machine_type"}
    thresholds |= {"by_machine_id": {"00": 2.0, "02": 2.0}, "shared": 2.0}
    facts = {
        "method": "LSTM frame prediction",
        "corpus": corpus_summary(machine_ids=["00", "02"]),
        "trained_on": corpus_summary(machine_ids=["00", "02"]),
        "judged": judged,
        "events": events,
        "localisation": LOCALISATION,
        "shown": shown,
        "thresholds": SimpleNamespace(**thresholds),
        "calibration_scores": [0.5, 1.0, 2.5],
        "promise": "at most 2.0% false alarms",
        "calibration": None,
        "unit": "a unit",
        "figures": [],
        "not_computed": {},
        "official": None,
        "rejected_clips": pd.DataFrame({"clip_id": [], "reason": []}),
        "settings": {"log_mel": {"n_mels": 128}},
        "versions": {"Python": "3.11"},
        "page": settings,
    }
    return sound_page(**facts | changed)
