"""Which spectrum of a clip, distance and margin tell foreign sound from normal sound?

    python -m experiments.choose_spectrum --recordings DIR

DIR holds a folder of recordings for each machine type. The rule, written down before any number
was seen: take the candidate that finds the largest share of foreign sound (the mean over the
machine types of the mean over white noise, a tone, hum, hard clipping and each other machine
type), of those that call normal clips foreign at most a quarter as often as 1 in n + 1 on
average, and more often than that nowhere. Normal clips are those of the real recordings, of which
6 (of fans 5) a machine ID are drawn and the others judged, and of simulated corpora, of which 6
to 48 are drawn. Then each machine type is judged by the choice of the others, and the choice by
simulated corpora that had no part in it. Written to experiments/results/choose_spectrum.csv.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.features.levels import mean_spectrum, rms_dbfs, spectral_flux
from anomalous_sound.features.log_mel import log_mel_spectrogram
from anomalous_sound.sources.layout import identify_clips
from anomalous_sound.sources.simulation.corpus import write_corpus
from anomalous_sound.sources.simulation.settings import SimulationSettings
from anomalous_sound.vocabulary import Label, Split
from benchmarks.configuration import parameters, simulation
from experiments.foreign_sound import changed, made_up

RESULTS = Path(__file__).parent / "results" / "choose_spectrum.csv"
MARGINS = np.arange(1.0, 1.81, 0.05).round(2)
CHOOSE_SEEDS, CHECK_SEEDS = (11, 12, 13, 14), (21, 22)
SIMULATED = {"training_clips": 48, "normal_test_clips": 30, "anomalous_test_clips": 12}
KINDS = ("white noise", "sine, 1 kHz", "silence with hum", "clipped (×200)")
SIZES = (6, 12, 24, 48)  # normal clips drawn of a simulated machine ID
REAL_DRAWS, SIMULATED_DRAWS = 200, 10  # of real recordings there are few
BOTH = "mean power, spectral flux"
CANDIDATE = ["spectrum", "distance", "against", "margin"]


def without_level(decibel: np.ndarray) -> np.ndarray:
    return decibel - decibel.mean()


SPECTRA: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean power": mean_spectrum,
    "mean decibels": lambda frames: without_level(frames.mean(axis=0, dtype=float)),
    "90th percentile": lambda frames: without_level(np.percentile(frames, 90, axis=0)),
    "10th percentile": lambda frames: without_level(np.percentile(frames, 10, axis=0)),
    "mean power, 32 bands": lambda frames: mean_spectrum(frames).reshape(32, -1).mean(axis=1),
    "spectral flux": spectral_flux,
    # whichever is farther
    BOTH: lambda frames: np.stack([mean_spectrum(frames), spectral_flux(frames)]),
}
DISTANCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "root mean square": lambda difference: np.sqrt(np.mean(difference**2, axis=-1)),
    "mean absolute": lambda difference: np.abs(difference).mean(axis=-1),
    "largest": lambda difference: np.abs(difference).max(axis=-1),
}
SCALED = ("scaled by band", "Mahalanobis")
FLUX_BY = {f"root mean square, flux by {by}": by for by in (1.1, 1.2, 1.3)}  # times the margin
AGAINST = ("all others", "normal others")  # for the first a promise is proven


def ratios(normal: np.ndarray, judged: np.ndarray, distance: str, against: str) -> np.ndarray:
    """Return the distance of each judged clip over the largest of the normal clips.

    Args:
        normal: clips × bands; or clips × kinds × bands, of which the kind that is farthest counts.
        judged: clips × bands, or clips × kinds × bands.
        distance: a name of DISTANCES, "scaled by band" or "Mahalanobis"; of two kinds also one of
            FLUX_BY, where the second has so many times the margin of the first.
        against: what each clip is compared with the mean of: all other clips, the judged one
            included, or only the normal ones.
    """
    if normal.ndim == 3:
        over = (1.0, FLUX_BY.get(distance, 1.0))
        distance = distance.split(", flux")[0]
        each = [
            ratios(normal[:, kind], judged[:, kind], distance, against) / over[kind]
            for kind in (0, 1)
        ]
        return np.max(each, axis=0)
    clips = len(normal)
    if distance in SCALED:
        around = normal - normal.mean(axis=0)
        covariance = around.T @ around / (clips - 1)
        if distance == "scaled by band":
            covariance = np.diag(np.diag(covariance) + 1.0)  # dB²: no band is exact
        else:  # shrunk half the way to a multiple of the identity
            spread = np.trace(covariance) / len(covariance)
            covariance = (covariance + spread * np.eye(len(covariance))) / 2
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        normal, judged = normal @ whitening, judged @ whitening
        distance = "root mean square"
    length = DISTANCES[distance]
    if against == "normal others":
        left_out = (normal - normal.mean(axis=0)) * clips / (clips - 1)
        return length(judged - normal.mean(axis=0)) / length(left_out).max()
    centres = (normal.sum(axis=0) + judged) / (clips + 1)
    return length(judged - centres) / length(normal - centres[:, None]).max(axis=1)


def heard(corpus: AudioCorpus, name: str) -> pd.DataFrame:
    """Return what each clip of a corpus is, and its spectra; of made-up sounds too."""
    settings = parameters("standard")
    features = FeatureSettings(audio=settings.audio, log_mel=settings.log_mel)
    found, _ = identify_clips(sorted(corpus.recordings), corpus.folder_name, corpus.labels)
    rows, made = [], set()
    for clip, it in found.items():
        samples = corpus.mono_clip(clip, features.audio)
        sounds = {str(it.label): samples}
        if it.label == Label.NORMAL and it.machine_id not in made:
            made.add(it.machine_id)
            sounds |= made_up(rms_dbfs(samples)) | changed(samples)
        for kind, sound in sounds.items():
            frames = log_mel_spectrogram(sound, features)
            spectra = {spectrum: of_frames(frames) for spectrum, of_frames in SPECTRA.items()}
            is_training = kind == Label.NORMAL and it.split != Split.TEST
            rows.append((name, it.machine_id, kind, is_training, spectra))
    return pd.DataFrame(rows, columns=["corpus", "machine_id", "kind", "is_training", "spectra"])


def simulated(seed: int) -> pd.DataFrame:
    """Simulate a corpus of normal clips of two machine IDs, and return what :func:`heard` does."""
    machine_ids = ["00", "04"] if seed % 2 else ["02", "06"]
    chosen = simulation() | SIMULATED | {"seed": seed, "machine_ids": machine_ids}
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder, "audio"), SimulationSettings.parse(chosen))
        corpus = AudioFolderDataset(audio_dir=str(Path(folder, "audio"))).load()
        return heard(corpus, f"simulated {seed}")


def spectra_of(rows: pd.DataFrame, spectrum: str) -> np.ndarray:
    """Return clips × bands, or clips × kinds × bands."""
    return np.stack([spectra[spectrum] for spectra in rows.spectra])


def shares_found(clips: pd.DataFrame, spectrum: str, *how: str) -> Iterator[dict[str, object]]:
    """Yield the part of each kind of foreign sound found, for each machine type and margin."""
    for machine_type, own in clips.groupby("corpus", sort=False):
        tested = clips[~clips.is_training & clips.kind.isin([Label.NORMAL, Label.ANOMALOUS])]
        kinds = {
            **{kind: own[own.kind == kind] for kind in KINDS},
            **{of: rows for of, rows in tested.groupby("corpus") if of != machine_type},
        }
        for kind, judged in kinds.items():
            found = []
            for machine_id, of_id in own.groupby("machine_id"):
                normal = spectra_of(of_id[of_id.is_training], spectrum)
                own_kind = judged[judged.machine_id == machine_id] if kind in KINDS else judged
                found.append(ratios(normal, spectra_of(own_kind, spectrum), *how))
            for margin in MARGINS:
                yield {
                    "corpus": machine_type,
                    "kind": kind,
                    "margin": margin,
                    "share": np.mean(np.concatenate(found) > margin),
                }


def false_alarms(
    clips: pd.DataFrame, sizes: tuple[int, ...], spectrum: str, *how: str
) -> Iterator[dict[str, object]]:
    """Yield the part of normal clips called foreign, over what it may be, for each margin.

    Args:
        clips: of several corpora.
        sizes: normal clips that are drawn; no more than all but one.
        spectrum: a name of SPECTRA.
        how: distance and against; see :func:`ratios`.
    """
    normal = clips[clips.kind == Label.NORMAL]
    rng = np.random.default_rng(0)  # the same draws for all candidates
    for corpus, of_corpus in normal.groupby("corpus", sort=False):
        for size in sizes:
            found, may_be = [], []
            draws = SIMULATED_DRAWS if corpus.startswith("simulated") else REAL_DRAWS
            for _, of_id in of_corpus.groupby("machine_id"):
                spectra = spectra_of(of_id, spectrum)
                drawn = min(size, len(spectra) - 1)
                for _ in range(draws):
                    order = rng.permutation(len(spectra))
                    judged = ratios(spectra[order[:drawn]], spectra[order[drawn:]], *how)
                    found.append(judged)
                    may_be.append(np.full(len(judged), 1 / (drawn + 1)))
            for margin in MARGINS:
                share = np.mean(np.concatenate(found) > margin)
                yield {
                    "corpus": corpus,
                    "kind": f"normal, {size} drawn",
                    "margin": margin,
                    "share": share,
                    "of_allowed": share / np.concatenate(may_be).mean(),
                }


def measure(clips: pd.DataFrame, sizes: tuple[int, ...], *, foreign: bool) -> pd.DataFrame:
    """Measure all candidates on some corpora.

    Returns:
        One row for each candidate. A column for each corpus with the share of foreign sound found,
        mean over its kinds; and one for each corpus and size with the normal clips called foreign,
        as a part of 1 in n + 1.
    """
    tables = []
    for spectrum, distance, against in product(SPECTRA, [*DISTANCES, *SCALED, *FLUX_BY], AGAINST):
        if distance in FLUX_BY and spectrum != BOTH:
            continue
        if distance in SCALED and against == "all others":
            continue  # a scale from the normal clips alone makes it no promise
        how = (spectrum, distance, against)
        rows = list(false_alarms(clips, sizes, *how))
        if foreign:
            rows += shares_found(clips, *how)
        tables.append(pd.DataFrame(rows).assign(**dict(zip(CANDIDATE, how, strict=False))))
    return wide(pd.concat(tables, ignore_index=True))


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn a row for each corpus and kind into a column, one row for each candidate."""
    is_normal = rows.kind.str.startswith("normal")
    column = rows.corpus + ": " + rows.kind.where(is_normal, "foreign")
    value = rows.of_allowed.where(is_normal, rows.share)
    values = rows.assign(column=column, value=value)
    table = values.pivot_table(index=CANDIDATE, columns="column", values="value", sort=False)
    return table.rename_axis(columns=None)


def summary(table: pd.DataFrame, machine_types: list[str]) -> pd.DataFrame:
    """Sum up each candidate, by the real corpora of some machine types and the simulated ones.

    Returns:
        ``share`` of foreign sound found, mean over machine types; ``of_allowed``: how often normal
        clips are called foreign, over 1 in n + 1: the mean over the real or the simulated corpora,
        whichever is more; ``most_of_allowed``: the most of any corpus.
    """
    foreign = table[[f"{name}: foreign" for name in machine_types]]
    real = table[[f"{name}: normal, 6 drawn" for name in machine_types]]
    made = table.filter(like="simulated")
    means = pd.concat([real.mean(axis=1), made.mean(axis=1)], axis=1)
    return pd.DataFrame(
        {
            "share": foreign.mean(axis=1),
            "of_allowed": means.max(axis=1),
            "most_of_allowed": pd.concat([real, made], axis=1).max(axis=1),
        }
    )


def choose(table: pd.DataFrame, machine_types: list[str]) -> tuple[str, str, str, float]:
    """Return the candidate that the rule takes, by the corpora of some machine types."""
    rows = summary(table, machine_types)
    return rows[(rows.of_allowed <= 0.25) & (rows.most_of_allowed <= 1)].share.idxmax()


def report(table: pd.DataFrame, machine_types: list[str]) -> tuple[str, str, str, float]:
    """Print what each way of comparing finds with its best margin, and return the choice."""
    chosen = choose(table, machine_types)
    rows = summary(table, machine_types).sort_values("share", ascending=False)
    allowed = rows[(rows.of_allowed <= 0.25) & (rows.most_of_allowed <= 1)]
    print(allowed.groupby(CANDIDATE[:3], sort=False).head(1).round(3).to_string())
    print("chosen:", *chosen)
    for left_out in machine_types:
        others = [name for name in machine_types if name != left_out]
        candidate = choose(table, others)
        there = summary(table, [left_out]).share.loc[candidate]
        print(f"{left_out}: the others choose {candidate}, which finds {there:.3f}")
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True)
    arguments = parser.parse_args()
    folders = sorted(folder for folder in arguments.recordings.iterdir() if folder.is_dir())
    real = pd.concat(
        heard(AudioFolderDataset(audio_dir=str(folder)).load(), folder.name) for folder in folders
    )
    machine_types = [folder.name for folder in folders]
    of_seeds = pd.concat(simulated(seed) for seed in CHOOSE_SEEDS)
    table = pd.concat(
        [measure(real, (6,), foreign=True), measure(of_seeds, SIZES, foreign=False)], axis=1
    )
    table.round(4).to_csv(RESULTS)
    chosen = report(table, machine_types)
    fresh = pd.concat(simulated(seed) for seed in CHECK_SEEDS)
    *how, margin = chosen
    check = pd.DataFrame(list(false_alarms(fresh, SIZES, *how)))
    print(check[check.margin == margin].groupby("kind", sort=False)[["share", "of_allowed"]].mean())


if __name__ == "__main__":
    main()
