"""Recordings that were cut into clips: when each of them raised an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anomalous_sound.corpus.segments import clock_time
from anomalous_sound.reporting.drawing import BLUE, VERMILION, Figure, new_figure, say
from anomalous_sound.reporting.facts import CorpusFacts, corpus_title
from anomalous_sound.vocabulary import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = 6  # recordings in the figure
_SPREAD_FOR_LOGARITHM = 30  # the highest score to the threshold
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200)
_TICKS = 9


def cut_recordings(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the clips that are parts of recordings, in their order.

    Args:
        judged: ``clip_id, recording, start_s`` a clip.
    """
    return judged[judged.recording != judged.clip_id].sort_values(["recording", "start_s"])


def time_in_recording(start_s: float, duration_s: float) -> str:
    """Write from when to when a clip lasts, by the clock of its recording.

    >>> time_in_recording(3620.0, 10.0)
    '1:00:20–1:00:30'
    """
    return f"{clock_time(start_s)}–{clock_time(start_s + duration_s)}"


def recording_table(judged: pd.DataFrame) -> pd.DataFrame:
    """Sum up each recording that was cut.

    Args:
        judged: ``clip_id, recording, start_s, duration_s, decision`` a clip.

    Returns:
        ``recording, length, clips, alarms`` and ``when``: from when to when they last; clips that
        follow each other are one alarm there. Most alarms first.
    """
    rows = []
    for recording, clips in cut_recordings(judged).groupby("recording", sort=False):
        alarms = clips[clips.decision == Label.ANOMALOUS]
        rows.append(
            {
                "recording": recording,
                "length": clock_time((clips.start_s + clips.duration_s).max()),
                "clips": len(clips),
                "alarms": len(alarms),
                "when": ", ".join(
                    time_in_recording(begin, end - begin) for begin, end in _joined(alarms)
                ),
            }
        )
    table = pd.DataFrame(rows, columns=["recording", "length", "clips", "alarms", "when"])
    return table.sort_values("alarms", ascending=False, kind="stable")


def recordings_figure(judged: pd.DataFrame, corpus: CorpusFacts) -> Figure:
    """Draw the score over time of the recordings that were cut, one below the other.

    Those with the most alarms are drawn, at most six.

    Args:
        judged: ``clip_id, recording, start_s, duration_s, score, threshold, decision`` a clip.
        corpus: named in the title.
    """
    table = recording_table(judged)
    shown = table.recording.head(_PANELS).tolist()
    figure = new_figure(11, 1.4 + 2.2 * max(len(shown), 1))
    axes = figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0]
    if not shown:
        say(axes[0], "No recording was long enough to be cut into clips.")
        axes[0].set_axis_off()
    clips = cut_recordings(judged)
    for panel, recording in zip(axes, shown, strict=False):
        _draw_recording(panel, recording, clips[clips.recording == recording])
    title = f"Score over time – {corpus_title(corpus)}"
    if len(shown) < len(table):
        title += f"\n{len(shown)} of {len(table)} recordings: those with the most alarms"
    figure.suptitle(title, fontsize=11)
    if shown:
        axes[0].legend(loc="lower left", bbox_to_anchor=(0.6, 1.0), ncols=3, frameon=False)
        axes[-1].set_xlabel("time in the recording (h:mm:ss)")
    return figure


def _draw_recording(panel: Axes, name: str, clips: pd.DataFrame) -> None:
    middle = clips.start_s + clips.duration_s / 2
    alarm = (clips.decision == Label.ANOMALOUS).to_numpy()
    panel.plot(middle, clips.score, ".-", color=BLUE, linewidth=0.8, markersize=3, label="clip")
    panel.plot(middle[alarm], clips.score[alarm], "o", color=VERMILION, markersize=6, label="alarm")
    panel.plot(middle, clips.threshold, "--", color="black", linewidth=1.2, label="threshold")
    end_s = float((clips.start_s + clips.duration_s).max())
    step_s = next((step for step in _STEPS_S if end_s / step <= _TICKS), _STEPS_S[-1])
    ticks = np.arange(0, end_s + step_s / 2, step_s)
    panel.set_xticks(ticks, [clock_time(tick) for tick in ticks])
    panel.set(xlim=(0, end_s), ylabel="anomaly score")
    if clips.score.min() > 0 and clips.score.max() > _SPREAD_FOR_LOGARITHM * clips.threshold.max():
        panel.set_yscale("log")
    panel.set_title(f"{name}: {alarm.sum()} alarms in {len(clips)} clips", loc="left", fontsize=10)
    panel.grid(alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _joined(clips: pd.DataFrame) -> list[tuple[float, float]]:
    """Return begin and end of what clips cover, those that touch or overlap as one."""
    covered: list[tuple[float, float]] = []
    ends_s = clips.start_s + clips.duration_s
    for start_s, end_s in zip(clips.start_s.tolist(), ends_s.tolist(), strict=True):
        if covered and start_s <= covered[-1][1] + 1e-6:
            covered[-1] = (covered[-1][0], max(end_s, covered[-1][1]))
        else:
            covered.append((start_s, end_s))
    return covered
