"""A corpus of simulated clips, as wav files in the layout of DCASE 2020 Task 2."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile as sf
from tqdm import tqdm

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.errors import InputError
from anomalous_sound.sources import simulation
from anomalous_sound.sources.simulation.faults import FAULTS, Fault
from anomalous_sound.sources.simulation.machines import MACHINES
from anomalous_sound.sources.simulation.settings import SimulationSettings
from anomalous_sound.sources.simulation.slide_rail import simulate_clip
from anomalous_sound.storage.atomic import replaced_folder
from anomalous_sound.storage.identity import code_identity, identity

DESCRIPTION_FILE = "corpus.json"
FAULTS_FILE = "faults.csv"
FAULT_COLUMNS = ["file", "fault", "grade", "level_db", "intervals_s", "low_hz", "high_hz"]


def write_corpus(folder: Path, settings: SimulationSettings, *, jobs: int = 1) -> None:
    """Simulate a corpus and write it, whole or not at all.

    ``folder`` then holds ``train/`` and ``test/`` with 16-bit mono wav files; ``corpus.json``,
    which says that the corpus is simulated and how; and ``faults.csv`` with one row per
    anomalous clip: the fault, its grade, its level and where in time and frequency it sounds.

    Every clip has random numbers of its own, drawn from the seed and the clip's name: asking for
    more clips leaves the others as they are.

    Args:
        folder: where the corpus goes; an earlier simulated corpus there is replaced.
        settings: what is simulated.
        jobs: clips simulated at once; -1: as many as there are cores. The files are the same.

    Raises:
        InputError: ``folder`` holds something else.
    """
    _check_replaceable(folder)
    with replaced_folder(folder) as incomplete:
        _write_files(incomplete, settings, jobs)


def is_current(folder: Path, settings: SimulationSettings) -> bool:
    """Say whether ``folder`` holds the corpus that these settings and this code would give."""
    return _description(folder).get("identity") == _identity(settings)


def _identity(settings: SimulationSettings) -> str:
    return identity(settings=settings, code=simulation_identity())


@cache
def simulation_identity() -> str:
    """Return the identity of the code that simulates clips."""
    return code_identity(simulation, distributions=["numpy", "scipy", "soundfile"])


@dataclass(frozen=True)
class _PlannedClip:
    """One clip to simulate; ``grade`` and ``fault`` are None for a normal one."""

    machine_id: str
    split: str
    label: str
    number: int
    grade: str | None = None
    fault: Fault | None = None

    @property
    def file(self) -> str:
        """Path below the corpus folder."""
        return f"{self.split}/{self.label}_id_{self.machine_id}_{self.number:08d}.wav"


def _planned_clips(settings: SimulationSettings) -> Iterator[_PlannedClip]:
    for machine_id in settings.machine_ids:
        for number in range(settings.training_clips):
            yield _PlannedClip(machine_id, "train", "normal", number)
        for number in range(settings.normal_test_clips):
            yield _PlannedClip(machine_id, "test", "normal", number)
        faults = _graded_faults(settings, machine_id)
        for number in range(settings.anomalous_test_clips):
            grade, fault = next(faults)
            yield _PlannedClip(machine_id, "test", "anomaly", number, grade, fault)


def _graded_faults(settings: SimulationSettings, machine_id: str) -> Iterator[tuple[str, Fault]]:
    """Yield grade and fault of the anomalous clips, endlessly and as evenly as possible.

    Kinds and grades each take turns in an order drawn for this machine ID; the grades shift by one
    when the pairs would begin to repeat, so that all pairs come once before any comes twice.
    """
    levels_db = settings.fault_levels_db
    rng = _random_numbers(settings.seed, machine_id, "order of faults")
    kinds = rng.permutation(FAULTS).tolist()
    grades = rng.permutation(list(levels_db)).tolist()
    until_repeated = math.lcm(len(kinds), len(grades))
    for number in itertools.count():
        kind = kinds[number % len(kinds)]
        grade = grades[(number + number // until_repeated) % len(grades)]
        yield grade, Fault(kind, float(levels_db[grade]))


def _random_numbers(*key: object) -> np.random.Generator:
    """Return random numbers that depend on this key alone."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _write_files(folder: Path, settings: SimulationSettings, jobs: int) -> None:
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
    planned_clips = list(_planned_clips(settings))
    tasks = (partial(_write_clip, folder, planned, settings) for planned in planned_clips)
    rows = tqdm(
        in_threads(tasks, jobs),
        total=len(planned_clips),
        desc="simulating clips",
        unit="clip",
        disable=None,
    )
    faults = [row for row in rows if row is not None]
    pd.DataFrame(faults, columns=FAULT_COLUMNS).to_csv(folder / FAULTS_FILE, index=False)
    description = {
        "name": "simulated slide rail",
        "simulated": True,
        "settings": settings.model_dump(mode="json"),
        "identity": _identity(settings),
    }
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2), encoding="utf-8")


def _write_clip(
    folder: Path, planned: _PlannedClip, settings: SimulationSettings
) -> dict[str, Any] | None:
    """Write one clip; return its row of ``faults.csv`` if it is anomalous."""
    clip = simulate_clip(
        MACHINES[planned.machine_id],
        rng=_random_numbers(
            settings.seed, planned.machine_id, planned.split, planned.label, planned.number
        ),
        duration_s=settings.duration_s,
        sample_rate=settings.sample_rate,
        snr_db=settings.snr_db,
        snr_jitter_db=settings.snr_jitter_db,
        fault=planned.fault,
    )
    sf.write(folder / planned.file, clip.samples, settings.sample_rate, subtype="PCM_16")
    if planned.fault is None or clip.fault_band_hz is None:
        return None
    low_hz, high_hz = clip.fault_band_hz
    return {
        "file": planned.file,
        "fault": planned.fault.kind,
        "grade": planned.grade,
        "level_db": planned.fault.level_db,
        "intervals_s": ";".join(f"{start:.3f}-{end:.3f}" for start, end in clip.fault_intervals),
        "low_hz": round(low_hz),
        "high_hz": round(high_hz),
    }


def _check_replaceable(folder: Path) -> None:
    if folder.exists() and _description(folder).get("simulated") is not True:
        raise InputError(
            f"{folder} is there already and holds no {DESCRIPTION_FILE} that calls it simulated, "
            "so it is not replaced; move it away or choose another folder."
        )


def _description(folder: Path) -> dict[str, Any]:
    """Return the contents of ``corpus.json``; empty where there is none that can be read."""
    try:
        description = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return description if isinstance(description, dict) else {}
