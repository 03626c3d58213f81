"""Nodes that look at the raw sound. Clips are decoded one at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
)
from anomalous_sound.corpus.audio_corpus import AudioCorpus, clip_places
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.features import levels
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting import exploration, exploration_figures, exploration_page
from anomalous_sound.reporting.drawing import Figure


def measure_clips(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    audio: AudioSettings,
    welch_segment: int,
    bands_per_octave: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the level of every clip and the average spectrum of each machine ID and label.

    Returns:
        ``clip_id, rms_dbfs, peak_dbfs`` a clip, and ``machine_id, label, clips, frequency_hz,
        mean_db, std_db`` a frequency band: mean and standard deviation over clips of the power
        density in dB.
    """
    measured, spectra = [], {}
    places = clip_places(clips)
    for clip in clips.itertuples():
        samples = raw_audio.mono_clip(places[clip.clip_id], audio)
        measured.append((clip.clip_id, levels.rms_dbfs(samples), levels.peak_dbfs(samples)))
        frequencies_hz, decibel = levels.octave_bands(
            *_spectrum(samples, audio, welch_segment), bands_per_octave=bands_per_octave
        )
        group = spectra.setdefault((clip.machine_id, clip.label), levels.RunningSpread())
        group.add(decibel)
    averages = [
        pd.DataFrame(
            {
                "machine_id": machine_id,
                "label": label,
                "clips": group.count,
                "frequency_hz": frequencies_hz,
                "mean_db": group.mean,
                "std_db": group.standard_deviation,
            }
        )
        for (machine_id, label), group in sorted(spectra.items())
    ]
    return (
        pd.DataFrame(measured, columns=["clip_id", "rms_dbfs", "peak_dbfs"]),
        pd.concat(averages, ignore_index=True),
    )


def plot_waveforms(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    audio: AudioSettings,
    machine_ids_shown: int,
) -> Figure:
    """Draw the waveforms of a normal and an anomalous clip of each machine ID."""
    shown = exploration.choose_clips(clips, machine_ids_shown)
    places = clip_places(clips)
    waveforms = {}
    for clip_id in shown.clip_ids.values():
        samples = raw_audio.mono_clip(places[clip_id], audio)
        low, high = levels.envelope(samples, exploration_figures.WAVEFORM_POINTS)
        waveforms[clip_id] = (len(samples) / audio.sample_rate, low, high)
    return exploration_figures.waveform_figure(waveforms, shown, corpus_summary)


def plot_spectra(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    audio: AudioSettings,
    welch_segment: int,
    machine_ids_shown: int,
) -> Figure:
    """Draw the frequency spectra of a normal and an anomalous clip of each machine ID."""
    shown = exploration.choose_clips(clips, machine_ids_shown)
    places = clip_places(clips)
    spectra = {
        clip_id: _spectrum(raw_audio.mono_clip(places[clip_id], audio), audio, welch_segment)
        for clip_id in shown.clip_ids.values()
    }
    return exploration_figures.spectrum_figure(spectra, shown, corpus_summary)


def plot_spectrograms(
    log_mel: Frames,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    audio: AudioSettings,
    log_mel_settings: LogMelSettings,
    machine_ids_shown: int,
) -> Figure:
    """Draw the log-mel spectrograms of a normal and an anomalous clip of each machine ID."""
    shown = exploration.choose_clips(clips, machine_ids_shown)
    features = FeatureSettings(audio=audio, log_mel=log_mel_settings)
    return exploration_figures.spectrogram_figure(log_mel, features, shown, corpus_summary)


def write_report(
    corpus_summary: CorpusSummary,
    clip_table: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    audio: AudioSettings,
) -> str:
    """Write the page that a person reads first."""
    return exploration_page.exploration_page(
        corpus=corpus_summary, clip_table=clip_table, rejected_clips=rejected_clips, audio=audio
    )


def _spectrum(
    samples: np.ndarray, audio: AudioSettings, welch_segment: int
) -> tuple[np.ndarray, np.ndarray]:
    return levels.power_spectrum(samples, sample_rate=audio.sample_rate, segment=welch_segment)
