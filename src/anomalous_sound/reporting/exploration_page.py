"""The page of the raw recordings."""

from __future__ import annotations

import pandas as pd

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.reporting.facts import CorpusFacts, machine_id_name
from anomalous_sound.reporting.pages import render

FIGURES = {
    "waveform_figure.png": "Waveforms of normal and anomalous clips",
    "spectrum_figure.png": "Frequency spectra of normal and anomalous clips",
    "spectrogram_figure.png": "Log-mel spectrograms of normal and anomalous clips",
    "average_spectrum_figure.png": "Average spectra of normal and anomalous clips",
}


def exploration_page(
    *,
    corpus: CorpusFacts,
    clip_table: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    audio: AudioSettings,
) -> str:
    """Write what there is in a corpus.

    Args:
        corpus: the clips.
        clip_table: as :func:`anomalous_sound.reporting.exploration.tabulate_clips` returns it.
        rejected_clips: ``clip_id, reason``.
        audio: the form in which clips are read.

    Returns:
        Markdown; the figures are expected in the same folder.
    """
    channel = audio.channel
    if channel == "mean":
        named = "the mean of all channels"
    elif isinstance(channel, list):
        named = f"the mean of the channels {', '.join(map(str, channel))}"
    else:
        named = f"channel {channel}"
    return render(
        "exploration.md.j2",
        corpus=corpus,
        rejected_clips=rejected_clips,
        minutes=float(clip_table.minutes.sum()),
        channel=named,
        sample_rate=audio.sample_rate,
        clip_table=_readable(clip_table),
        figures=FIGURES,
    )


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the table of clips into text, in fewer columns."""

    def between(name: str, unit: str) -> list[str]:
        ends = table[[f"{name}_{end}_{unit}" for end in ("min", "median", "max")]]
        texts = [[f"{value:.1f}" for value in row] for row in ends.itertuples(index=False)]
        return [" / ".join(row) if len(set(row)) > 1 else row[0] for row in texts]

    return pd.DataFrame(
        {
            "machine ID": table.machine_id.map(machine_id_name),
            "split": table.split,
            "label": table.label,
            "clips": table.clips,
            "minutes": [f"{value:.1f}" for value in table.minutes],
            "duration (s)": between("duration", "s"),
            "RMS level (dBFS)": between("rms", "dbfs"),
            "highest peak (dBFS)": [f"{value:.1f}" for value in table.peak_max_dbfs],
            "sample rates (Hz)": table.sample_rates,
            "channels": table.channels,
        }
    )
