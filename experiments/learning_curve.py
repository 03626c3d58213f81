"""From how many normal clips on does a network beat the spectrum under the same score?

    python -m experiments.learning_curve [--recordings DIR] [--clips 12 20 40 100 400 1000 2400]
        [--folds 2] [--processes 2]

On a simulated slide rail with a seed of its own, and on subsets of real recordings, the standard
score is computed from the errors of `lstm` and, in their place, from the log-mel frames themselves
(the row `spectrum` of `compare`). Test clips stay the same; the intervals are paired bootstrap
intervals over them. Writes results/learning_curve.csv and docs/images/learning_curve.png.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from anomalous_sound.evaluation.metrics import auc, draw_resamples, percentile_interval, resampled
from anomalous_sound.reporting.figures import BLUE, VERMILION
from anomalous_sound.vocabulary import Label, Split
from benchmarks.configuration import REPOSITORY, parameters
from experiments.choose_score import CANDIDATES, CHOSEN, Readings
from experiments.left_out_errors import Corpus, train

RESULTS = REPOSITORY / "experiments" / "results" / "learning_curve.csv"
IMAGE = REPOSITORY / "docs" / "images" / "learning_curve.png"
WITHOUT = "spectrum: Mahalanobis + local density"  # the chosen score, frames in place of errors
SEED = 11
REAL = {"slider": 24, "pump": 24, "valve": 24, "fan_8ch": 8}  # normal clips that are not tested
TITLES = {
    **{"slider": "slide rail", "pump": "pump", "valve": "valve", "fan_8ch": "fan"},
    "simulated": "simulated slide rail",
}
RESAMPLES, CONFIDENCE = 1000, 0.95


@dataclass(frozen=True)
class Subset:
    """A corpus of which some normal clips are trained on.

    Attributes:
        corpus: the clips.
        clips: how many normal clips are trained on, of the machine IDs in turn.
    """

    corpus: Corpus
    clips: int

    def left_aside(self) -> Iterator[tuple[set[str], set[str]]]:
        """Yield clips that are tested together, and the normal clips that are then not used."""
        clips, _ = self.corpus.loaded
        test = set(clips.clip_id[clips.split == Split.TEST])
        has_both = set(clips.label[clips.split == Split.TEST]) == {Label.NORMAL, Label.ANOMALOUS}
        for tested in [test] if has_both else self.corpus.tested():
            left = clips[(clips.label == Label.NORMAL) & ~clips.clip_id.isin(tested)]
            left = left[left.split == Split.TRAIN] if has_both else left
            turn = left.groupby("machine_id").cumcount()
            used = left.assign(turn=turn).sort_values(["turn", "machine_id"]).clip_id[: self.clips]
            yield tested, set(clips.clip_id[clips.label == Label.NORMAL]) - tested - set(used)


def measure(subset: Subset, method: str, *, folds: int, processes: int) -> dict[str, object]:
    """Train on a subset; return the AUC with and without the network, and their difference.

    Args:
        subset: the clips.
        method: whose networks.
        folds: networks.
        processes: that share them.
    """
    clips, frames = subset.corpus.loaded
    by_id = clips.set_index("clip_id")
    tested: list[str] = []
    parts: dict[str, list[np.ndarray]] = {CHOSEN: [], WITHOUT: []}
    for test, unused in subset.left_aside():
        errors = train(subset.corpus, method, test, unused=unused, folds=folds, processes=processes)
        readings = Readings(errors, frames, by_id.machine_id)
        tested += errors.test
        for name, of_fold in parts.items():
            of_fold.append(readings.joined(CANDIDATES[name]))
    is_anomalous = (by_id.label[tested] == Label.ANOMALOUS).to_numpy()
    scores = {name: np.concatenate(of_fold) for name, of_fold in parts.items()}
    draws = draw_resamples(is_anomalous, RESAMPLES, SEED)
    sampled = {name: resampled(auc, is_anomalous, of, draws) for name, of in scores.items()}
    low, high = percentile_interval(sampled[CHOSEN] - sampled[WITHOUT], CONFIDENCE)
    row: dict[str, object] = {
        "corpus": subset.corpus.name,
        "method": method,
        "folds": folds,
        "clips": subset.clips,
        "test_clips": len(is_anomalous),
    }
    for name, of in (("network", scores[CHOSEN]), ("spectrum", scores[WITHOUT])):
        row[name] = auc(is_anomalous, of)
    return row | {"difference": row["network"] - row["spectrum"], "low": low, "high": high}


def figure(table: pd.DataFrame) -> Figure:
    """Draw AUC against the number of clips, a panel for each corpus."""
    names = list(dict.fromkeys(table.corpus))
    result = Figure(figsize=(3.4 * len(names), 3.6), layout="constrained")
    panels = np.atleast_1d(result.subplots(1, len(names), sharey=True))
    for axes, name in zip(panels, names, strict=True):
        rows = table[table.corpus == name]
        axes.plot(rows.clips, rows.network, "o-", color=BLUE, label=f"{rows.method.iloc[0]}")
        axes.plot(rows.clips, rows.spectrum, "s--", color=VERMILION, label="spectrum, no network")
        axes.set_xscale("log")
        axes.set_xticks(rows.clips, rows.clips, fontsize=8)
        axes.minorticks_off()
        axes.set_title(TITLES[name], fontsize=11)
        axes.set_xlabel("normal clips to learn from")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("AUC of the test clips")
    panels[0].legend(fontsize=9)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--method", default="lstm")
    parser.add_argument("--clips", type=int, nargs="*", default=[12, 20, 40, 100, 400, 1000, 2400])
    parser.add_argument("--real-clips", type=int, nargs="*", default=[5, 8, 12, 16, 24])
    standard = parameters("standard").detector.folds
    parser.add_argument("--folds", type=int, default=standard, help="detector.folds")
    parser.add_argument("--processes", type=int, default=1, help="that share the networks")
    parser.add_argument("--draw-only", action="store_true", help="draw from the stored table")
    arguments = parser.parse_args()
    if not arguments.draw_only:
        rows = []
        subsets = []
        for name, most in REAL.items() if arguments.recordings else ():
            corpus = Corpus(name, name, str(arguments.recordings / name))
            subsets += [Subset(corpus, count) for count in arguments.real_clips if count <= most]
        largest = max(arguments.clips, default=4)
        simulated = Corpus("simulated", "simulated", seed=SEED, training_clips=largest // 4)
        subsets += [Subset(simulated, count) for count in arguments.clips]
        for subset in subsets:
            rows.append(
                measure(
                    subset,
                    arguments.method,
                    folds=arguments.folds,
                    processes=arguments.processes,
                )
            )
            print(rows[-1], flush=True)
            pd.DataFrame(rows).round(4).to_csv(RESULTS, index=False)
    figure(pd.read_csv(RESULTS)).savefig(IMAGE, dpi=110)


if __name__ == "__main__":
    main()
