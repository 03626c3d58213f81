"""Every stage: a function of the corpus and the options that returns rows of the table."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.harness import Row
from benchmarks.stages import commands, features, full_size, networks
from benchmarks.stages.options import Options

STAGES: dict[str, Callable[[Options], list[Row]]] = {
    "ceiling": networks.ceiling,
    "features": features.features,
    "preparation": features.preparation,
    "training": networks.training,
    "fast": networks.fast_training,
    "scoring": networks.scoring,
    "memory": networks.memory,
    "run": commands.whole_run,
    "start": commands.start,
    "full": full_size.full_size,
}
