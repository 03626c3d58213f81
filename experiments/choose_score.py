"""How the standard score was chosen: over machine types, each judged by a choice it had no part in.

    python -m experiments.choose_score --recordings DIR [--jobs 2]

DIR holds a folder of recordings for each machine type. Beside them stand simulated slide rails with
five seeds, none of them that of the project's own simulated corpus.

The rule, written down before this script was run:

1. **The score**: with four networks, the score with the highest AUC, averaged over outer folds (see
   :mod:`experiments.left_out_errors`), then over the corpora of a machine type, then over machine
   types, then over the methods `lstm` and `gru`.
2. **The number of networks**, for that score: among NETWORKS, those whose training takes at most
   twice the time of one network. Of these the highest AUC, averaged in the same way; but if others
   lie within .003 of it, the one of them with the fewest networks. The time is that of two
   processes on two cores, which share the networks: seconds of a processor, so that what else the
   machine does hardly counts, of all networks of all corpora, and for networks of K the part of
   the process that has more of them, ceil(K / 2) / K. Networks are compared on the real recordings
   and on the simulated corpora of NETWORK_SEEDS.

To judge the rule itself, each machine type is left out in turn: what the others choose is what it
is judged by. Intervals are bootstrap intervals over the test clips (:mod:`experiments.intervals`);
they say nothing of other training clips or other seeds.

The scores of the test clips are kept in a folder outside of the repository's files (``--scores``);
what is there already is not computed again. Corpora whose scores are not there keep the AUC of
choose_score.csv, without an interval. Writes to results/: choose_score.csv (the AUC of each
corpus, fold, method and number of networks, a column for each score), choose_score_intervals.csv,
choose_score.md and, with ``--times``, training_times.csv: seconds of a clock on the slide rail.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pydantic import TypeAdapter

from anomalous_sound.configuration.scoring import BandDeviationSettings, Pooling
from anomalous_sound.scoring.band_deviation import BandDeviationScore
from anomalous_sound.scoring.band_errors import squared
from anomalous_sound.scoring.pooling import pool_over_time
from anomalous_sound.vocabulary import Label
from benchmarks.configuration import REPOSITORY
from experiments import choice_docs
from experiments.choice_docs import CHOSEN, FORMER, REPORTED, WITHOUT
from experiments.choice_page import KEYS, SIMULATED, Choice, intervals, page
from experiments.left_out_errors import (
    Corpus,
    LeftOutErrors,
    seconds_side_by_side,
    train_with_seeds,
)
from experiments.rule import (
    CHOOSING,
    DELIVERED,
    METHODS,
    NETWORKS,
    ONE,
    PROCESSES,
    STANDARD,
    Networks,
)

RESULTS = Path(__file__).parent / "results"
DOCUMENTS = (REPOSITORY / "docs" / "scores.md", REPOSITORY / "README.md")
TIMES = RESULTS / "training_times.csv"
SEEDS, NETWORK_SEEDS = (11, 12, 13, 14, 15), (11,)
SHOWN = {CHOSEN: "chosen", WITHOUT: "no network", FORMER: "former standard", REPORTED: "report's"}
ROUNDS, RESAMPLES = 3, 2000
ALONE, FITS = 1000, 100  # clips that are each left out alone at most; parts of more of them

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
    REPORTED: (Part(ERRORS, "mean"),),
    FORMER: (Part(HEARD, options=GAUSSIAN),),
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
    WITHOUT: (_MAHALANOBIS_SPECTRUM, _DENSE_SPECTRUM),
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


def tables_of(
    corpus: Corpus, method: str, fold: int, tested: set[str], division: Networks
) -> Iterator[tuple[Networks, pd.DataFrame]]:
    """Yield the scores of the test clips of one outer fold, with one seed, with two, and so on.

    Yields:
        The networks, and ``corpus, machine_type, fold, method, networks, cpu_s, clip_id,
        is_anomalous``, with a column for each candidate.
    """
    clips, frames = corpus.loaded
    by_id = clips.set_index("clip_id")
    trained = train_with_seeds(corpus, method, tested, division)
    for seeds, errors in enumerate(trained, start=1):
        networks = Networks(division.folds, seeds)
        readings = Readings(errors, frames, by_id.machine_id)
        table = pd.DataFrame(
            {
                "corpus": corpus.name,
                "machine_type": corpus.machine_type,
                "fold": fold,
                "method": method,
                "networks": networks.name,
                "cpu_s": sum(errors.cpu_s),
                "clip_id": list(errors.test),
                "is_anomalous": (by_id.label[list(errors.test)] == Label.ANOMALOUS).to_numpy(),
            }
        )
        scores = {name: readings.joined(parts) for name, parts in CANDIDATES.items()}
        yield networks, table.assign(**scores)


class Readings:
    """The pooled bands of the clips of one outer fold."""

    def __init__(
        self, errors: LeftOutErrors, frames: Mapping[str, np.ndarray], machine_ids: pd.Series
    ) -> None:
        self._errors, self._frames, self._ids = errors, frames, machine_ids
        self._pooled: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self._scored: dict[tuple[Any, ...], tuple[np.ndarray, np.ndarray]] = {}

    def joined(self, parts: Iterable[Part]) -> np.ndarray:
        """Return the score of each test clip: as the package's joined score."""
        parts = tuple(parts)
        scores = []
        for part in parts:
            found, left_out = self._known_scores(part, left_out=len(parts) > 1)
            spread = left_out.std(ddof=1)
            scores.append((found - left_out.mean()) / (spread if spread > 0 else 1.0))
        return np.mean(scores, axis=0)

    def _known_scores(self, part: Part, *, left_out: bool) -> tuple[np.ndarray, np.ndarray]:
        key = (part.reads, part.pooling, part.scale, str(part.options), part.other, left_out)
        if key not in self._scored:
            self._scored[key] = self._scores(part, left_out=left_out)
        return self._scored[key]

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
        # left out, the only clip of a machine ID would be compared with others alone
        usual = np.array([(ids == own).sum() > 1 for own in ids])
        usual = usual if usual.any() else ~usual
        # of very many clips, neighbours are left out together: else the fits take hours
        together = 1 if len(training) <= ALONE else -(-len(training) // FITS)
        block = np.arange(len(training)) // together
        alone = []
        for left in np.unique(block[usual]):
            without = part.fit(training[block != left], ids[block != left])
            own = usual & (block == left)
            alone.extend(without.score(training[own], ids[own]))
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


@dataclass(frozen=True)
class Task:
    """The networks of one outer fold, and where the scores of its test clips are kept.

    Attributes:
        corpus: the clips.
        method: whose networks.
        fold: number of the outer fold.
        tested: its test clips.
        division: how many networks are trained; the scores of fewer seeds are kept as well.
    """

    corpus: Corpus
    method: str
    fold: int
    tested: frozenset[str]
    division: Networks

    def file(self, folder: Path, seeds: int) -> Path:
        """Return where the scores are kept."""
        networks = f"{self.division.folds}x{seeds}"
        return folder / f"{self.corpus.name}_{self.fold}_{self.method}_{networks}.parquet"

    def is_done(self, folder: Path) -> bool:
        """Say whether all its scores are kept."""
        return all(self.file(folder, 1 + n).exists() for n in range(self.division.seeds))

    def run(self, folder: Path) -> str:
        """Compute the scores and keep them; return what was done."""
        tables = tables_of(self.corpus, self.method, self.fold, set(self.tested), self.division)
        for networks, table in tables:
            file = self.file(folder, networks.seeds)
            table.to_parquet(file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)
        return f"{self.corpus.name} {self.fold} {self.method} {self.division.name}"


def tasks_of(recordings: Path) -> Iterator[Task]:
    """Yield what is computed: what chooses the score first, and what costs most last."""
    folders = sorted(folder for folder in recordings.iterdir() if folder.is_dir())
    real = [Corpus(folder.name, folder.name, str(folder)) for folder in folders]
    simulated = [Corpus(f"simulated {seed}", SIMULATED, seed=seed) for seed in SEEDS]
    for networks in (STANDARD, DELIVERED):
        yield from _tasks([*real, *simulated], METHODS, networks)
    compared = [*real, *(corpus for corpus in simulated if corpus.seed in NETWORK_SEEDS)]
    for networks in sorted(NETWORKS, key=lambda one: one.count):
        if networks not in (STANDARD, DELIVERED):
            yield from _tasks(compared, CHOOSING, networks)


def _tasks(corpora: Iterable[Corpus], methods: Iterable[str], networks: Networks) -> Iterator[Task]:
    for corpus in corpora:
        for method in methods:
            for fold, tested in enumerate(corpus.tested()):
                yield Task(corpus, method, fold, frozenset(tested), networks)


def measure_times(corpus: Corpus) -> None:
    """Measure the seconds of a clock that networks take side by side, and write them.

    In every round each number of networks has its turn, so that what else the machine does meets
    all of them.
    """
    seconds_side_by_side(corpus, CHOOSING[0], ONE, processes=PROCESSES)  # for what is loaded once
    seconds_side_by_side(corpus, CHOOSING[0], Networks(2), processes=PROCESSES)
    rows = []
    for number in range(1, ROUNDS + 1):
        for networks in sorted(NETWORKS, key=lambda one: one.count):
            for method in CHOOSING:
                load = os.getloadavg()[0]
                seconds = seconds_side_by_side(corpus, method, networks, processes=PROCESSES)
                rows.append((number, method, networks.name, seconds, load))
                print(*rows[-1], flush=True)
                columns = ["round", "method", "networks", "seconds", "load_before"]
                pd.DataFrame(rows, columns=columns).round(2).to_csv(TIMES, index=False)


def stored_aucs() -> pd.DataFrame | None:
    """Return the AUCs of results/choose_score.csv, a row for each score; None if there are none."""
    file = RESULTS / "choose_score.csv"
    if not file.exists():
        return None
    return pd.read_csv(file, dtype={"networks": str}).melt(KEYS, var_name="score", value_name="auc")


def write_results(scores: pd.DataFrame) -> None:
    """Write the tables and the page of results/; what has no scores keeps its stored AUC."""
    choice = Choice(scores, RESAMPLES, stored_aucs())
    # a pivot table leaves out rows whose seconds are missing
    wide = choice.aucs.fillna({"cpu_s": -1.0}).pivot_table(
        index=KEYS, columns="score", values="auc", sort=False
    )
    wide = wide[choice.candidates].reset_index().replace({"cpu_s": {-1.0: np.nan}})
    wide.round(5).to_csv(RESULTS / "choose_score.csv", index=False)
    found = intervals(choice, chosen=CHOSEN, without=WITHOUT, shown=SHOWN)
    found.round(6).to_csv(RESULTS / "choose_score_intervals.csv", index=False)
    for document in DOCUMENTS:
        choice_docs.write_into(
            document, choice_docs.tables(found.round(6), choice.chosen_by_others())
        )
    text = page(choice, chosen=CHOSEN, without=WITHOUT, shown=SHOWN)
    (RESULTS / "choose_score.md").write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--scores", type=Path, default=REPOSITORY / "build" / "choose_score")
    parser.add_argument("--times", action="store_true", help="measure the clock as well")
    parser.add_argument("--write-only", action="store_true", help="the results of what is there")
    arguments = parser.parse_args()
    arguments.scores.mkdir(parents=True, exist_ok=True)
    if not arguments.write_only:
        tasks = (
            delayed(task.run)(arguments.scores)
            for task in tasks_of(arguments.recordings)
            if not task.is_done(arguments.scores)
        )
        side_by_side = Parallel(
            arguments.jobs,
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch=arguments.jobs,
        )
        for done in side_by_side(tasks):
            print(done, flush=True)
    if arguments.times:
        measure_times(Corpus("slider", "slider", str(arguments.recordings / "slider")))
    kept = [pd.read_parquet(file) for file in sorted(arguments.scores.glob("*.parquet"))]
    write_results(pd.concat(kept, ignore_index=True))


if __name__ == "__main__":
    main()
