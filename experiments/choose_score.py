"""How the standard score was chosen: over machine types, each judged by a choice it had no part in.

    python -m experiments.choose_score --recordings DIR [--jobs 2]

DIR holds a folder of recordings for each machine type. Beside them stand simulated slide rails with
five seeds, none of them that of the project's own simulated corpus.

The rule, written down before this script was run: the score with the highest AUC, averaged over
outer folds (see :mod:`experiments.left_out_errors`), then over the corpora of a machine type, then
over machine types, then over the methods `lstm` and `gru`. To judge the rule itself, each machine
type is left out in turn: what the others choose is what it is judged by.

Writes results/choose_score.csv (a row for each corpus, fold, method and score) and
results/choose_score.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pydantic import TypeAdapter

from anomalous_sound.configuration.scoring import BandDeviationSettings, Pooling
from anomalous_sound.evaluation.metrics import auc
from anomalous_sound.scoring.band_deviation import BandDeviationScore
from anomalous_sound.scoring.band_errors import squared
from anomalous_sound.scoring.pooling import pool_over_time
from anomalous_sound.vocabulary import Label
from experiments.left_out_errors import Corpus, LeftOutErrors, train

RESULTS = Path(__file__).parent / "results"
METHODS, CHOOSING = ("lstm", "gru", "lstm_dense"), ("lstm", "gru")
SEEDS = (11, 12, 13, 14, 15)
CHOSEN = "errors: Mahalanobis + spectrum: local density"

ERRORS, HEARD, SPECTRUM = "errors", "errors, also of clips heard", "spectrum"
RANKED = {"type": "ranked", "decay": 0.5}


def _of_package(settings: dict[str, Any], values: np.ndarray) -> np.ndarray:
    return pool_over_time(values, TypeAdapter(Pooling).validate_python(settings))


def _ranked_from_below(values: np.ndarray) -> np.ndarray:
    return -pool_over_time(-values, TypeAdapter(Pooling).validate_python(RANKED))


def _generalised_mean(power: float, values: np.ndarray) -> np.ndarray:
    return np.mean(values.astype(float) ** power, axis=0) ** (1 / power)


POOLINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ranked .5": partial(_of_package, RANKED),
    "ranked .9": partial(_of_package, {"type": "ranked", "decay": 0.9}),
    "mean": partial(_of_package, {"type": "mean"}),
    "maximum": partial(_of_package, {"type": "maximum"}),
    "99th percentile": partial(_of_package, {"type": "percentile", "percentile": 99.0}),
    "generalised mean 3": partial(_generalised_mean, 3.0),
    "generalised mean 6": partial(_generalised_mean, 6.0),
    "ranked .5, low end": _ranked_from_below,
}


class _Fitted:
    """A score of whitened bands that the package does not have."""

    def __init__(self, settings: BandDeviationSettings, values: np.ndarray, ids: np.ndarray):
        self._bands = BandDeviationScore.fit(settings, values, ids, seed=1)
        self._normal = self._bands.whiten(values, ids)

    def score(self, values: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return 10 * np.log10(self._squares(self._bands.whiten(values, ids)) + 1e-12)

    def _squares(self, whitened: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class PcaResidual(_Fitted):
    """What the principal components that hold 90 % of the normal variance do not explain."""

    def _squares(self, whitened: np.ndarray) -> np.ndarray:
        _, values, directions = np.linalg.svd(self._normal, full_matrices=False)
        kept = np.searchsorted(np.cumsum(values**2) / (values**2).sum(), 0.9) + 1
        known = directions[:kept]
        return np.square(whitened - whitened @ known.T @ known).mean(axis=1)


class SubBandNeighbours(_Fitted):
    """The mean over eight sub-bands of the distance to the nearest normal clip."""

    def _squares(self, whitened: np.ndarray) -> np.ndarray:
        found = []
        for bands in np.array_split(np.arange(whitened.shape[1]), 8):
            apart = whitened[:, None, bands] - self._normal[None, :, bands]
            found.append(np.square(apart).mean(axis=2).min(axis=1))
        return np.mean(found, axis=0)


@dataclass(frozen=True)
class Part:
    """One reading of a clip and how it is compared with normal clips.

    Attributes:
        reads: ERRORS, HEARD or SPECTRUM.
        pooling: a name of POOLINGS.
        scale: of the pooled bands.
        options: of a band-deviation score; None: the mean over the bands, nothing is fitted.
        other: a score that the package does not have.
    """

    reads: str
    pooling: str = "ranked .5"
    scale: str = "linear"
    options: Mapping[str, Any] | None = None
    other: type[_Fitted] | None = None

    def fit(self, values: np.ndarray, machine_ids: np.ndarray):
        settings = TypeAdapter(BandDeviationSettings).validate_python(
            {
                "type": "band_deviation",
                "reads": "errors",
                "pooling": RANKED,  # done already
                "scale": self.scale,
                "whitening": "band",
                "reference": "machine_id",
                "prior_clips": 0.0,
                "backend": {"type": "mean_square"},
            }
            | dict(self.options or {})
        )
        if self.other is not None:
            return self.other(settings, values, machine_ids)
        return BandDeviationScore.fit(settings, values, machine_ids, seed=1)


MAHALANOBIS = {"whitening": "mahalanobis"}
GAUSSIAN = MAHALANOBIS | {
    "backend": {"type": "gaussian_mixture", "components": 1, "reg_covar": 0.1}
}
DENSITY = {"backend": {"type": "local_density", "neighbours": 4}, "prior_clips": 1.0}
NEIGHBOURS = {"backend": {"type": "nearest_neighbours", "neighbours": 1}, "prior_clips": 1.0}

_LOG = partial(Part, ERRORS, scale="logarithmic")
_BEST_OF_ERRORS = _LOG(options=MAHALANOBIS)
_DENSE_SPECTRUM = Part(SPECTRUM, options=DENSITY)
_MAHALANOBIS_SPECTRUM = Part(SPECTRUM, options=MAHALANOBIS)

CANDIDATES: dict[str, tuple[Part, ...]] = {
    "errors: mean of windows (the report's)": (Part(ERRORS, "mean"),),
    "errors of clips heard: linear, Mahalanobis, one Gaussian (the former standard)": (
        Part(HEARD, options=GAUSSIAN),
    ),
    "errors of clips heard: Mahalanobis": (Part(HEARD, scale="logarithmic", options=MAHALANOBIS),),
    "errors: linear, Mahalanobis, one Gaussian": (Part(ERRORS, options=GAUSSIAN),),
    "errors: Mahalanobis": (_BEST_OF_ERRORS,),
    **{
        f"errors: Mahalanobis, {pooling}": (_LOG(pooling, options=MAHALANOBIS),)
        for pooling in POOLINGS
        if pooling != "ranked .5"
    },
    "errors: Mahalanobis, machine IDs drawn together (1 clip)": (
        _LOG(options=MAHALANOBIS | {"prior_clips": 1.0}),
    ),
    "errors: Mahalanobis, all machine IDs together": (
        _LOG(options=MAHALANOBIS | {"reference": "machine_type"}),
    ),
    "errors: band": (_LOG(options={}),),
    "errors: local density": (_LOG(options=DENSITY),),
    "errors: nearest neighbour": (_LOG(options=NEIGHBOURS),),
    "errors: PCA residual": (_LOG(options={}, other=PcaResidual),),
    "errors: sub-band neighbours": (_LOG(options={}, other=SubBandNeighbours),),
    "spectrum: Mahalanobis": (_MAHALANOBIS_SPECTRUM,),
    "spectrum: local density": (_DENSE_SPECTRUM,),
    "spectrum: local density, ranked .9": (Part(SPECTRUM, "ranked .9", options=DENSITY),),
    "spectrum: local density, mean": (Part(SPECTRUM, "mean", options=DENSITY),),
    "spectrum: nearest neighbour": (Part(SPECTRUM, options=NEIGHBOURS),),
    "spectrum: sub-band neighbours": (Part(SPECTRUM, options={}, other=SubBandNeighbours),),
    "spectrum: Mahalanobis + local density": (_MAHALANOBIS_SPECTRUM, _DENSE_SPECTRUM),
    "errors: Mahalanobis + local density": (_BEST_OF_ERRORS, _LOG(options=DENSITY)),
    "errors + spectrum: Mahalanobis": (_BEST_OF_ERRORS, _MAHALANOBIS_SPECTRUM),
    "errors + spectrum: local density": (_LOG(options=DENSITY), _DENSE_SPECTRUM),
    CHOSEN: (_BEST_OF_ERRORS, _DENSE_SPECTRUM),
    "errors: Mahalanobis, high and low end": (
        _BEST_OF_ERRORS,
        _LOG("ranked .5, low end", options=MAHALANOBIS),
    ),
    "errors: Mahalanobis + spectrum: local density, Mahalanobis": (
        _BEST_OF_ERRORS,
        _DENSE_SPECTRUM,
        _MAHALANOBIS_SPECTRUM,
    ),
}


def score_fold(corpus: Corpus, method: str, tested: set[str]) -> list[tuple[str, float]]:
    """Return the AUC of every candidate on one outer fold."""
    clips, frames = corpus.loaded
    errors = train(corpus, method, tested)
    by_id = clips.set_index("clip_id")
    is_anomalous = (by_id.label[list(errors.test)] == Label.ANOMALOUS).to_numpy()
    readings = Readings(errors, frames, by_id.machine_id)
    return [(name, auc(is_anomalous, readings.joined(parts))) for name, parts in CANDIDATES.items()]


class Readings:
    """The pooled bands of the clips of one outer fold."""

    def __init__(
        self, errors: LeftOutErrors, frames: Mapping[str, np.ndarray], machine_ids: pd.Series
    ) -> None:
        self._errors, self._frames, self._ids = errors, frames, machine_ids
        self._pooled: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    def joined(self, parts: Iterable[Part]) -> np.ndarray:
        """Return the score of each test clip: as the package's joined score."""
        parts = tuple(parts)
        scores = []
        for part in parts:
            found, left_out = self._scores(part, left_out=len(parts) > 1)
            scores.append((found - left_out.mean()) / left_out.std(ddof=1))
        return np.mean(scores, axis=0)

    def _scores(self, part: Part, *, left_out: bool) -> tuple[np.ndarray, np.ndarray]:
        training, test = self._values(part)
        clips = self._errors.heard if part.reads == HEARD else self._errors.left_out
        ids, test_ids = (self._ids[list(some)].to_numpy() for some in (clips, self._errors.test))
        if part.options is None:
            return test.mean(axis=(0, 2)), np.array([-1.0, 1.0])
        fitted = part.fit(training, ids)
        found = np.mean([fitted.score(of_network, test_ids) for of_network in test], axis=0)
        if not left_out:  # one part is not weighed against another
            return found, np.array([-1.0, 1.0])
        alone = []
        for clip in range(len(training)):
            others = np.arange(len(training)) != clip
            without = part.fit(training[others], ids[others])
            alone.append(without.score(training[[clip]], ids[[clip]])[0])
        return found, np.array(alone)

    def _values(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """Return clips × bands of training, and networks × clips × bands of test clips."""
        key = (part.reads, part.pooling)
        if key not in self._pooled:
            pool = POOLINGS[part.pooling]
            if part.reads == SPECTRUM:
                training = [pool(self._spectrum(name)) for name in self._errors.left_out]
                test = [[pool(self._spectrum(name)) for name in self._errors.test]]
            else:
                heard = part.reads == HEARD
                clips = self._errors.heard if heard else self._errors.left_out
                training = [pool(squared(roots)) for roots in clips.values()]
                test = [
                    [pool(squared(roots)) for roots in of_network]
                    for of_network in zip(*self._errors.test.values(), strict=True)
                ]
                test = test[:1] if heard else test
            self._pooled[key] = np.array(training), np.array(test)
        return self._pooled[key]

    def _spectrum(self, clip_id: str) -> np.ndarray:
        frames = self._frames[clip_id]
        return (frames - frames.min()) / (frames.max() - frames.min())


def rows_of(corpus: Corpus, method: str, fold: int, tested: set[str]) -> pd.DataFrame:
    """Return ``corpus, machine_type, fold, method, score, auc`` of one outer fold."""
    table = pd.DataFrame(score_fold(corpus, method, tested), columns=["score", "auc"])
    return table.assign(
        corpus=corpus.name, machine_type=corpus.machine_type, fold=fold, method=method
    )


def by_machine_type(table: pd.DataFrame) -> pd.DataFrame:
    """Average over folds and corpora: scores × (method, machine type)."""
    of_corpus = table.groupby(["method", "machine_type", "corpus", "score"]).auc.mean()
    of_type = of_corpus.groupby(["score", "method", "machine_type"]).mean().reset_index()
    return of_type.pivot_table(index="score", columns=["method", "machine_type"], values="auc")


def choose(averages: pd.DataFrame, machine_types: Iterable[str]) -> str:
    """Apply the rule to some machine types; return the score that it chooses."""
    kept = [(method, name) for method in CHOOSING for name in machine_types]
    return str(averages[kept].mean(axis=1).idxmax())


def report(table: pd.DataFrame) -> str:
    """Write the table of candidates, and what the rule chooses without each machine type."""
    averages = by_machine_type(table)
    types = list(dict.fromkeys(table.machine_type))
    methods = [name for name in METHODS if name in set(table.method)]
    lines = [
        "# How the standard score was chosen\n",
        "AUC, averaged over outer folds and corpora; `mean` is over machine types. The rule takes "
        "the highest mean over `lstm` and `gru`.\n",
    ]
    for method in methods:
        of_method = averages[method][types].assign(mean=averages[method][types].mean(axis=1))
        lines += [f"\n## {method}\n", "| score | " + " | ".join([*types, "mean"]) + " |"]
        lines.append("|---|" + "---|" * (len(types) + 1))
        for name, row in of_method.sort_values("mean", ascending=False).iterrows():
            lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    lines += [
        "\n## What the rule chooses without each machine type\n",
        "| left out | chosen by the others | "
        + " | ".join(f"AUC {name}" for name in methods)
        + " |",
        "|---|---|" + "---|" * len(methods),
    ]
    judged = []
    for left_out in types:
        chosen = choose(averages, [name for name in types if name != left_out])
        judged.append([averages.loc[chosen, (method, left_out)] for method in methods])
        lines.append(
            f"| {left_out} | {chosen} | "
            + " | ".join(f"{value:.3f}" for value in judged[-1])
            + " |"
        )
    means = " | ".join(f"{value:.3f}" for value in np.mean(judged, axis=0))
    lines.append(f"| mean of those left out | | {means} |")
    lines.append(f"\nOf all machine types together it chooses: **{choose(averages, types)}**.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    arguments = parser.parse_args()
    folders = sorted(folder for folder in arguments.recordings.iterdir() if folder.is_dir())
    corpora = [Corpus(folder.name, folder.name, str(folder)) for folder in folders]
    corpora += [Corpus(f"simulated {seed}", "simulated", seed=seed) for seed in SEEDS]
    tasks = (
        delayed(rows_of)(corpus, method, fold, tested)
        for corpus in corpora
        for method in arguments.methods
        for fold, tested in enumerate(corpus.tested())
    )
    tables = []
    for table in Parallel(arguments.jobs, return_as="generator")(tasks):
        tables.append(table)
        first = table.iloc[0]
        print(first.corpus, first.fold, first.method, flush=True)
    everything = pd.concat(tables, ignore_index=True)
    RESULTS.mkdir(exist_ok=True)
    everything.round(4).to_csv(RESULTS / "choose_score.csv", index=False)
    (RESULTS / "choose_score.md").write_text(report(everything), encoding="utf-8")


if __name__ == "__main__":
    main()
