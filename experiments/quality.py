"""What training on fewer windows costs: AUC of each profile against training on every window.

    python -m experiments.quality [--audio-dir DIR ...]

On the simulated corpus and on each folder of recordings given, each method is run as a command of
its own with the standard profile on every window (`every window`), as it is (`standard`), and with
the profile `fast`. Prints the AUC of the test clips, the difference paired by clip with its 95 %
bootstrap interval, and the seconds of training; and writes the table to results/quality.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from anomalous_sound.evaluation.comparison import compare_methods
from benchmarks.configuration import parameters
from benchmarks.harness import machine
from benchmarks.stages.commands import KEDRO, call, project_in

RESULTS = Path(__file__).parent / "results" / "quality.md"
METHODS = ("lstm", "gru")
EVERY = "every window"
NAME = "quality"  # of the detectors, whatever the corpus


def parameters_of(setting: str, method: str) -> str:
    """Return what is added to the command."""
    return f"{method}.training.stride=1" if setting == EVERY else f"profile={setting}"


def run(folder: Path, method: str, changed: str) -> tuple[pd.DataFrame, float]:
    """Run a method; return the scores of all clips and the seconds of training."""
    project = project_in(folder)
    call([*KEDRO, "run", "--pipelines", method, "--params", f"detector={NAME},{changed}"], project)
    output = project / "data" / "07_model_output" / NAME / method
    history = pd.read_csv(project / "data" / "06_models" / NAME / method / "training_history.csv")
    return pd.read_parquet(output / "clip_scores.parquet"), float(history.seconds.sum())


def rows_of(corpus: str, audio_dir: Path | None, folder: Path) -> list[str]:
    """Return the table's lines of one corpus."""
    lines = []
    for method in METHODS:
        scores, seconds = {}, {}
        for setting in (EVERY, "standard", "fast"):
            changed = parameters_of(setting, method)
            if audio_dir is not None:
                changed += f",audio_dir={audio_dir.resolve()}"
            scores[setting], seconds[setting] = run(folder, method, changed)
        machine_ids = next(iter(scores.values())).machine_id.unique()
        compared, differences = compare_methods(
            scores,
            {setting: dict.fromkeys(machine_ids, 0.0) for setting in scores},
            parameters().evaluation,
            seed=1,
        )
        of_setting = compared.set_index("method")
        against = differences[differences.method == EVERY].set_index("other")
        for setting, row in of_setting.iterrows():
            difference = "–"
            if setting in against.index:
                paired = against.loc[setting]  # of the other to this one
                difference = (
                    f"{-paired.difference:+.3f} ({-paired.high:+.3f} to {-paired.low:+.3f})"
                )
            lines.append(
                f"| {corpus} | {method} | {setting} | {row.auc_pooled:.3f} "
                f"({row.auc_pooled_low:.3f} to {row.auc_pooled_high:.3f}) | {difference} "
                f"| {seconds[setting]:.0f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio-dir", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for audio_dir in (None, *arguments.audio_dir):
            corpus = "simulated" if audio_dir is None else audio_dir.name
            lines += rows_of(corpus, audio_dir, Path(folder) / corpus)
    RESULTS.write_text(
        "# Fewer windows to train on\n\n"
        f"{machine()}. AUC of the test clips and its 95 % bootstrap interval, the difference "
        "paired by clip, and the seconds of training.\n\n"
        "| corpus | method | trained with | AUC | against every window | s |\n"
        "|---|---|---|---|---|---:|\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
