"""What do the references `domain` and `balanced` do where there are two domains?

    python -m experiments.domains [--seeds 11 12 13] [--source-clips 100] [--target-clips 10]

Two simulated slide rails with parameters of their own stand for one machine in two operations: many
normal clips of the one, its source domain, few of the other, its target domain, and test clips of
both. The standard score, and each of its parts by itself, is computed of the log-mel frames without
a network (the row `spectrum` of `compare`), with each reference. The figures are those of the
challenge since 2022. The seeds are not that of the project's own simulated corpus. Writes
results/domains.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pandas as pd

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.scoring import JoinedScoreSettings
from anomalous_sound.evaluation.baselines import SPECTRUM, untrained_scores
from anomalous_sound.evaluation.official import official_figures
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.vocabulary import Domain, Split
from benchmarks.configuration import REPOSITORY, method_settings
from experiments.left_out_errors import Corpus

RESULTS = REPOSITORY / "experiments" / "results" / "domains.csv"
PROFILES = {"machine_id": "standard", "balanced": "balanced", "domain": "domain"}
PAIRS = (("00", "02"), ("02", "04"), ("04", "06"), ("06", "00"))  # source and target
FIGURES = ("auc_source", "auc_target", "pauc")


def scores(reference: str) -> Iterator[tuple[str, JoinedScoreSettings]]:
    """Yield the standard score with a reference, and its parts by themselves."""
    settings = method_settings("lstm", PROFILES[reference]).score
    assert isinstance(settings, JoinedScoreSettings)
    yield "both", settings
    for name, part in zip(("Mahalanobis", "local density"), settings.parts, strict=True):
        yield name, settings.model_copy(update={"parts": [part]})


def two_domains(
    clips: pd.DataFrame, source: str, target: str, source_clips: int, target_clips: int
) -> pd.DataFrame:
    """Make one machine of two machine IDs, with so many training clips of each."""
    parts = []
    for machine_id, domain, count in (
        (source, Domain.SOURCE, source_clips),
        (target, Domain.TARGET, target_clips),
    ):
        own = clips[clips.machine_id == machine_id]
        kept = [own[own.split == Split.TRAIN].head(count), own[own.split == Split.TEST]]
        parts.append(pd.concat(kept).assign(domain=str(domain), machine_id="00"))
    return pd.concat(parts, ignore_index=True)


def measure(seed: int, source_clips: int, target_clips: int) -> pd.DataFrame:
    """Score the clips of one simulation.

    Returns:
        ``seed, source, target, score, reference`` and FIGURES.
    """
    corpus = Corpus("simulated", "slide rail", seed=seed, training_clips=source_clips)
    clips, of_clips = corpus.loaded
    frames = Frames.in_memory(of_clips)
    rows = []
    for source, target in PAIRS:
        machine = two_domains(clips, source, target, source_clips, target_clips)
        for reference in PROFILES:
            for name, settings in scores(reference):
                found = untrained_scores(
                    frames,
                    machine,
                    scaling=Scaling("clip"),
                    windows=WindowSettings(length=10, next_frame=True),
                    score=settings,
                    left_out=None,
                    seed=seed,
                )
                decided = machine[["clip_id"]].assign(decision="")
                scored = machine.assign(score=found[SPECTRUM])
                figures = official_figures(scored, decided, 2023)["sections"]["00"]
                of = {"seed": seed, "source": source, "target": target, "score": name}
                rows.append(of | {"reference": reference} | {one: figures[one] for one in FIGURES})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure every seed, write the table and print its means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--source-clips", type=int, default=100)
    parser.add_argument("--target-clips", type=int, default=10)
    given = parser.parse_args()
    table = pd.concat(
        [measure(seed, given.source_clips, given.target_clips) for seed in given.seeds]
    )
    table.round(4).to_csv(RESULTS, index=False)
    print(table.groupby(["score", "reference"])[list(FIGURES)].mean().round(3).to_string())


if __name__ == "__main__":
    main()
