"""A watch with all that its page shows, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from clips_to_show import LIMITS, PAGE, SECONDS, deviations, sound_of
from events_of_clips import EVENTS
from features_of_report import FEATURES
from support import RATE, corpus_summary, describe_network

from anomalous_sound.decision.explanation import Explanation
from anomalous_sound.decision.identity import Identity
from anomalous_sound.decision.verdict import Band, Verdict
from anomalous_sound.features.log_mel import log_mel_spectrogram, mel_band_edges_hz
from anomalous_sound.reporting.watch_page import AnomalousClip, Heard, watch_page
from anomalous_sound.scoring.event_words import list_events
from anomalous_sound.vocabulary import Decision


def watching(**changed: Any) -> Any:
    """Return as much of a detector as the page needs; it is not there to judge."""
    identity = {"method": "lstm", "trained_at": "2026-03-01", "version": "1", "digest": "abc"}
    return SimpleNamespace(
        description=describe_network(
            *("lstm", {"hidden_size": 4, "num_layers": 1}),
            features=FEATURES,
            corpus=corpus_summary(**changed),
        ),
        score=SimpleNamespace(unit="a unit", settings=SimpleNamespace(model_dump=lambda mode: {})),
        identity=Identity(**identity, recalibrated_at=None, exported_from=None),
    )


def clip(
    name: str, *, at: str, machine_id: str = "00", has_alarm: bool = False, **changed: Any
) -> AnomalousClip:
    """Return an anomalous clip; that of ``b.wav`` deviates from 2 to 3 s."""
    edges = mel_band_edges_hz(128, RATE)
    values, times_s = deviations(name)
    frames = log_mel_spectrogram(sound_of(name), FEATURES)
    events = list_events(
        *(values, frames, LIMITS),
        times_s=times_s,
        frame_s=FEATURES.frame_s,
        band_edges_hz=edges,
        levels=None,
        settings=EVENTS,
    )
    verdict = {"score": 3.0, "threshold": 2.0, "p_value": 0.1, "segments": ()}
    verdict |= {"bands": (Band(790.0, 850.0, 0.2),), "machine_id": machine_id}
    return AnomalousClip(
        event={"id": f"id-{name}", "at": at, "sensor": changed.pop("sensor", [])},
        verdict=Verdict(
            **verdict | {"decision": Decision.ANOMALOUS, "source": Path("/in", name)} | changed
        ),
        explanation=Explanation(sound_of(name), frames, values, times_s, events),
        has_alarm=has_alarm,
    )


CLIPS = [
    clip("b.wav", at="2026-03-14T02:15:00+01:00", has_alarm=True),
    clip("c.wav", at="2026-03-14T02:10:00+01:00", machine_id="02", sensor=["level"]),
]
HAPPENED = [
    ("2026-03-14T02:15:01+01:00", "ALARM: machine ID 00, /in/b.wav at 0:00:00"),
    ("2026-03-14T02:10:01+01:00", "SENSOR level: /in/c.wav at 0:00:00: 9 dB louder"),
]


def heard(**changed: Any) -> Heard:
    """Return what was heard."""
    facts = {
        "place": "/in",
        "is_stream": False,
        "began": "2026-03-14T02:00:00+01:00",
        "until": "2026-03-14T02:15:01+01:00",
        "promise": "at most one false alarm in 30 days of each machine ID",
        "rests_on": ["An alarm: 4 of the last 10 looks."],
        "seconds": 600 * SECONDS,
        "segments": {"normal": 590, "anomalous": 8, "doubtful": 2},
        "machine_ids": {"00", "02"},
        "events": {"alarm": 1, "suppressed": 7, "drift": 0},
        "sensor": {"level": 1, "silence": 3},
        "alarms_on": {"00"},
        "watches_for": frozenset({"alarm", "drift"}),
    }
    return Heard(**facts | changed)


def page_of_watch(
    clips: Sequence[AnomalousClip] = CLIPS, *, detector: Any = None, **changed: Any
) -> str:
    """Write a page about a watch."""
    more = {"which": "All of them.", "told": 2, "kept": Path("/hall 3/kept")}
    more |= {"happened": HAPPENED}
    more |= {name: changed.pop(name) for name in tuple(more) if name in changed}
    return watch_page(
        *(heard(**changed), clips, more.pop("happened")),
        **more,
        detector=detector or watching(),
        page=PAGE,
    )
