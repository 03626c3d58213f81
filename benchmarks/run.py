"""Measure how fast the project is against the plain way: python -m benchmarks.run [--stage NAME].

Without a stage all are measured, and the table is also written to RESULTS.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path

from anomalous_sound.provenance.software import git_revision
from benchmarks.configuration import REPOSITORY
from benchmarks.corpora import Corpus
from benchmarks.harness import machine, table
from benchmarks.stages import STAGES
from benchmarks.stages.options import Options

RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", choices=STAGES, help="only this one, printed and not written")
    parser.add_argument("--repeats", type=int, default=3, help="turns measured, after a warm-up")
    parser.add_argument("--clips", type=int, default=64, help="about how many to simulate")
    parser.add_argument("--profile", default="fast", help="configuration chosen for speed")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes that are started
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder), arguments.clips)
        options = Options(corpus, arguments.repeats, arguments.profile)
        clips = len(corpus.files)
        rows = []
        for name in [arguments.stage] if arguments.stage else STAGES:
            print(f"measuring {name} …", flush=True)
            rows += STAGES[name](options)
    print(table(rows))
    if arguments.stage is None:
        RESULTS.write_text(_page(arguments, clips, table(rows)), encoding="utf-8")
        print(f"written to {RESULTS.name}")


def _revision() -> str:
    tags = git_revision(REPOSITORY)
    changed = " with changes" if tags.get("git_uncommitted_changes") == "true" else ""
    return tags["git_revision"][:8] + changed


def _page(arguments: argparse.Namespace, clips: int, rows: str) -> str:
    return (
        "# Speed against the plain way\n\n"
        f"{time.strftime('%Y-%m-%d')}, revision {_revision()}: {machine()}.\n\n"
        f"{clips} simulated clips of 10 s; both ways in turn, {arguments.repeats} turns after one "
        "to warm up; a ratio is of one turn, and above 1 ours is better. The ceiling is what large "
        "matrix products of the same precision reach on all cores in the same turns.\n\n"
        f"{rows}\n"
    )


if __name__ == "__main__":
    main()
