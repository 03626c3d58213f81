"""Whole commands, each a process of its own."""

from __future__ import annotations

import shutil
import statistics
import sys
from functools import partial

from anomalous_sound.sources.simulation.corpus import write_corpus
from anomalous_sound.sources.simulation.settings import SimulationSettings
from benchmarks import harness
from benchmarks.commands import KEDRO, call, project_in
from benchmarks.configuration import REPOSITORY, simulation
from benchmarks.harness import OURS, PLAIN, Row, in_turns
from benchmarks.stages.options import Options

_RUNS = 3  # of minutes each


def whole_run(options: Options) -> list[Row]:
    """Measure ``kedro run --pipeline lstm``, tracking and all, against one plain script.

    On the default corpus, which both find on the disk, with the default settings.
    """
    project = project_in(options.corpus.folder / "run")
    audio_dir = project / "data" / "01_raw" / "simulated" / "slider"
    write_corpus(audio_dir, SimulationSettings.parse(simulation()), jobs=-1)
    clips = len(list(audio_dir.rglob("*.wav")))
    script = [sys.executable, "-m", "benchmarks.plain.pipeline", str(audio_dir)]

    def run_ours() -> None:
        for made in (project / "data").glob("0[2-8]_*"):
            shutil.rmtree(made)
        call([*KEDRO, "run", "--pipelines", "lstm"], project)

    ways = {PLAIN: lambda: call([*script, str(project / "plain")], REPOSITORY), OURS: run_ours}
    seconds = in_turns(ways, min(options.repeats, _RUNS), warm_up=0)
    what = f"the whole job, lstm, the default corpus of {clips} clips: plain/pipeline.py; kedro run"
    return [harness.compared("run", what, seconds, work=clips, unit="clips")]


def start(options: Options) -> list[Row]:
    """Measure the time up to where a command begins its first node."""
    project = project_in(options.corpus.folder / "start")
    commands = {
        PLAIN: [sys.executable, "-c", "import kedro"],
        OURS: [sys.executable, "-m", "benchmarks.first_node", "run", "--pipelines", "lstm"],
    }
    ways = {way: partial(call, command, project) for way, command in commands.items()}
    seconds = in_turns(ways, options.repeats)
    plain, ours = (statistics.median(seconds[way]) for way in (PLAIN, OURS))
    low, high = min(seconds[OURS]), max(seconds[OURS])
    what = "python -c 'import kedro'; kedro run up to its first node"
    return [Row("start", what, f"{plain:.2f} s", f"{ours:.1f} s ({low:.1f} to {high:.1f})", [])]
