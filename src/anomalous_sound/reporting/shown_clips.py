"""The clips that a page shows and plays, with all that it needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from anomalous_sound.configuration.base import Settings
from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.reporting.drawing import decibel_range, mel_ticks
from anomalous_sound.reporting.embedding import audio_uri, map_uri
from anomalous_sound.scoring.event_words import in_hertz
from anomalous_sound.vocabulary import Decision, Split

_LOUDEST = 0.9  # of full scale, in all players together
_ROOM_FOR_A_TICK = 0.12  # of the height of a picture
_CLEAR_DEVIATION = 4.0  # standard deviations that have the darkest colour


class ShownEvent(Settings):
    """An event: where it is, and where its box is drawn, in s and mel bands from the top."""

    words: str
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    top: float
    bands: float


class Tick(Settings):
    """A label on an axis, and where on it: a share of its length from the left or the top."""

    text: str
    at: float


class Picture(Settings):
    """A map, and from when to when it reaches in the clip, s."""

    uri: str
    start_s: float
    length_s: float


class ShownClip(Settings):
    """A clip with its sound, its pictures and its events; of some there are no deviations."""

    clip_id: str
    duration_s: float
    start_s: float  # where the player starts
    audio: str
    spectrogram: Picture
    deviations: Picture | None
    bands: int
    seconds: list[Tick]
    hertz: list[Tick]
    events: list[ShownEvent]


class ShownClips(Settings):
    """All clips shown.

    Attributes:
        clips: highest score first.
        gain_db: by which all of them are louder than recorded.
    """

    clips: list[ShownClip]
    gain_db: float


def chosen_clips(judged: pd.DataFrame, settings: PageSettings) -> list[str]:
    """Choose the clips with a player: the highest scores, and some that are called normal.

    Only test clips are chosen, if there are any.

    Args:
        judged: ``clip_id, split, score, decision``, one row per clip.
        settings: how many.

    Returns:
        Clip IDs, the highest score first. The normal ones are those in the middle of all that are
        called normal: what this machine usually sounds like.
    """
    is_test = judged.split == Split.TEST
    ranked = judged[is_test] if is_test.any() else judged
    ranked = ranked.sort_values("score", ascending=False, kind="stable")
    highest = ranked.clip_id[: settings.highest].tolist()
    normal = ranked[(ranked.decision == Decision.NORMAL) & ~ranked.clip_id.isin(highest)]
    first = max((len(normal) - settings.normal) // 2, 0)
    return highest + normal.clip_id[first : first + settings.normal].tolist()


def show_clips(
    clip_ids: list[str],
    *,
    samples: Callable[[str], np.ndarray],
    maps: Callable[[str], tuple[np.ndarray, np.ndarray]] | None,
    frames: Frames,
    events: pd.DataFrame,
    features: FeatureSettings,
    settings: PageSettings,
) -> ShownClips:
    """Gather sound, pictures and events of clips.

    Args:
        clip_ids: the clips, in their order.
        samples: returns a clip's mono samples, full scale ±1.
        maps: returns a clip's map of deviations (windows × mel bands), and where each window's
            error lies in the clip, s; None: no deviations are shown.
        frames: log-mel frames, dB.
        events: EVENT_COLUMNS.
        features: how the frames were computed.
        settings: of the page.
    """
    sounds = {clip_id: samples(clip_id) for clip_id in clip_ids}
    # one gain for all, so that a loud clip sounds louder than a quiet one
    peak = max((float(np.abs(sound).max()) for sound in sounds.values()), default=0.0)
    gain = _LOUDEST / peak if peak else 1.0
    rate = features.audio.sample_rate
    shown = []
    for clip_id in clip_ids:
        duration_s = len(sounds[clip_id]) / rate
        of_clip = list(_shown_events(events[events.clip_id == clip_id], features))
        marked_s = of_clip[0].start_s if of_clip else 0.0
        shown.append(
            ShownClip(
                clip_id=clip_id,
                duration_s=duration_s,
                start_s=max(marked_s - settings.lead_s, 0.0),
                audio=audio_uri(gain * sounds[clip_id], rate, settings.audio),
                spectrogram=_spectrogram(frames.mean_clip(clip_id), features),
                deviations=maps and _deviations(*maps(clip_id), features.frame_s),
                bands=features.log_mel.n_mels,
                seconds=_ticks_in_seconds(duration_s),
                hertz=_ticks_in_hertz(features),
                events=of_clip,
            )
        )
    return ShownClips(clips=shown, gain_db=float(20 * np.log10(gain)))


def _shown_events(events: pd.DataFrame, features: FeatureSettings) -> Iterator[ShownEvent]:
    n_mels = features.log_mel.n_mels
    edges = mel_band_edges_hz(n_mels, features.audio.sample_rate)
    for row in events.sort_values("rank").to_dict("records"):
        low, high = np.interp([row["low_hz"], row["high_hz"]], edges, np.arange(n_mels + 1))
        yield ShownEvent(
            words=row["words"],
            **{name: float(row[name]) for name in ("start_s", "end_s", "low_hz", "high_hz")},
            top=float(n_mels - high),
            bands=float(high - low),
        )


def _spectrogram(decibels: np.ndarray, features: FeatureSettings) -> Picture:
    lowest, highest = decibel_range(decibels, features)
    return Picture(
        uri=map_uri(decibels, lowest=lowest, highest=highest, colours="magma"),
        start_s=-features.frame_s / 2,  # frames are centred: frame n lies around n hops
        length_s=len(decibels) * features.frame_s,
    )


def _deviations(deviations: np.ndarray, times_s: np.ndarray, frame_s: float) -> Picture:
    return Picture(
        uri=map_uri(deviations, lowest=0, highest=_CLEAR_DEVIATION, colours="Reds"),
        start_s=float(times_s[0]) - frame_s / 2,
        length_s=len(deviations) * frame_s,
    )


def _ticks_in_hertz(features: FeatureSettings) -> list[Tick]:
    """Return round frequencies, as many as find room on a small picture."""
    ticks: list[Tick] = []
    for position, hz in reversed(mel_ticks(features)):
        at = 1 - (position + 0.5) / features.log_mel.n_mels
        if not ticks or at - ticks[-1].at >= _ROOM_FOR_A_TICK:
            ticks.append(Tick(text=in_hertz(hz), at=at))
    return ticks


def _ticks_in_seconds(duration_s: float) -> list[Tick]:
    """Return five or six round numbers of seconds."""
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10) if duration_s / step <= 6), 30)
    return [
        Tick(text=f"{second:g} s", at=float(second / duration_s))
        for second in np.arange(0, duration_s, step).round(1)
    ]
