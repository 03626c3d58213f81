"""Does a detector notice sound that is not its machine's?

    python -m experiments.foreign_sound --recordings DIR --detectors FOLDER [FOLDER ...]

DIR holds a folder of recordings for each machine type; each detector was trained on one of them.
Each judges the test clips of the other machine types, as of each of its own machine IDs in turn,
and sounds made up: noise, a tone, hum in silence, and a normal clip of its own with another gain or
clipped. Prints how many are called anomalous (or foreign, which is anomalous too, and so by the
spectrum or the spectral flux), and how many of its own test clips are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from anomalous_sound import Detector, Verdict
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.decision.evidence import FLUX, SPECTRUM
from anomalous_sound.features.levels import rms_dbfs
from anomalous_sound.sources.layout import identify_clips
from anomalous_sound.vocabulary import Label, Split

RATE, SECONDS, SEED = 16000, 10, 0
CLIPS = 8  # of each kind, at most
RESULTS = Path(__file__).parent / "results" / "foreign_sound.csv"


def made_up(level_dbfs: float) -> dict[str, np.ndarray]:
    """Return sounds that no machine makes, at the level of normal clips."""
    rng, times = np.random.default_rng(SEED), np.arange(RATE * SECONDS) / RATE
    hum = np.sin(2 * np.pi * 50 * times) + 0.01 * rng.standard_normal(len(times))
    sounds = {
        "white noise": rng.standard_normal(len(times)),
        "sine, 1 kHz": np.sin(2 * np.pi * 1000 * times),
        "silence with hum": hum,
    }
    return {
        name: (sound * 10 ** ((level_dbfs - rms_dbfs(sound)) / 20)).astype(np.float32)
        for name, sound in sounds.items()
    }


def changed(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Return a normal clip with another gain, and clipped."""
    return {
        "gain +20 dB": samples * 10,
        "gain −20 dB": samples / 10,
        "clipped (×200)": np.clip(samples * 200, -1, 1),
    }


def judged(detector: Detector, corpora: dict[str, AudioCorpus]) -> Iterator[tuple[str, Verdict]]:
    """Yield each kind of sound and what the detector says of it."""
    own = detector.description.corpus.machine_type
    audio = detector.description.features.audio
    for name, corpus in corpora.items():
        found, _ = identify_clips(sorted(corpus.recordings), corpus.folder_name, corpus.labels)
        of_type = next(iter(found.values())).machine_type
        tested = [clip for clip, it in found.items() if it.split != Split.TRAIN]
        if of_type != own:
            for clip in tested[:: max(len(tested) // CLIPS, 1)][:CLIPS]:
                samples = corpus.mono_clip(clip, audio)
                for machine_id in detector.description.machine_ids:
                    yield name, detector.judge(samples, RATE, machine_id=machine_id)
            continue
        for clip, it in found.items():
            if it.label == Label.ANOMALOUS:
                samples = corpus.mono_clip(clip, audio)
                yield "own anomalous", detector.judge(samples, RATE, machine_id=it.machine_id)
        normal = [(clip, it) for clip, it in found.items() if it.label == Label.NORMAL]
        for clip, it in normal:
            samples = corpus.mono_clip(clip, audio)
            if it.split == Split.TEST:
                yield "own normal", detector.judge(samples, RATE, machine_id=it.machine_id)
        for machine_id in detector.description.machine_ids:
            clip = next(clip for clip, it in normal if it.machine_id == machine_id)
            samples = corpus.mono_clip(clip, audio)
            sounds = made_up(rms_dbfs(samples)) | changed(samples)
            for kind, sound in sounds.items():
                yield kind, detector.judge(sound, RATE, machine_id=machine_id)


def _is_strange(verdict: Verdict, name: str) -> bool:
    return any(one.strange for one in verdict.evidence if one.name == name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--detectors", type=Path, nargs="+", required=True)
    arguments = parser.parse_args()
    folders = sorted(folder for folder in arguments.recordings.iterdir() if folder.is_dir())
    corpora = {folder.name: AudioFolderDataset(audio_dir=str(folder)).load() for folder in folders}
    rows = []
    for folder in arguments.detectors:
        detector = Detector.load(folder)
        for kind, verdict in judged(detector, corpora):
            rows.append(
                {
                    "detector": detector.description.corpus.machine_type,
                    "method": detector.identity.method,
                    "sound": kind,
                    "anomalous": verdict.is_anomalous,
                    "foreign": verdict.is_foreign,
                    "by_spectrum": _is_strange(verdict, SPECTRUM),
                    "by_flux": _is_strange(verdict, FLUX),
                    "warned": bool(verdict.notes),
                }
            )
    table = pd.DataFrame(rows).groupby(["detector", "method", "sound"], sort=False)
    summary = table.agg(
        judgements=("anomalous", "size"),
        anomalous=("anomalous", "sum"),
        foreign=("foreign", "sum"),
        by_spectrum=("by_spectrum", "sum"),
        by_flux=("by_flux", "sum"),
        warned=("warned", "sum"),
    ).reset_index()
    summary.to_csv(RESULTS, index=False)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
