"""Which detectors there are, and which of them a command uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anomalous_sound.configuration.command_lines import kedro_run
from anomalous_sound.errors import InputError
from anomalous_sound.storage.remote import is_url

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector

# where training runs leave them, by name and method; conf/base/catalog.yml says it too, which only
# Kedro reads
DETECTORS = "data/06_models/*/*/detector"
_EARLIER = "data/06_models/*/detector"  # where versions that knew no names left them


@dataclass(frozen=True)
class TrainedDetector:
    """A detector that a training run has left.

    Attributes:
        name: what it is called.
        method: how it was trained.
        folder: where it lies.
    """

    name: str
    method: str
    folder: Path

    @property
    def full_name(self) -> str:
        """Name and method, as in ``press_3/lstm``."""
        return f"{self.name}/{self.method}"


def trained_detectors(project: Path) -> list[TrainedDetector]:
    """List the detectors of a project, by name and method."""
    return [
        TrainedDetector(folder.parents[1].name, folder.parent.name, folder)
        for folder in sorted(project.glob(DETECTORS))
        if any(folder.glob("settings.json"))
    ]


def of_name(found: Sequence[TrainedDetector], given: str) -> list[TrainedDetector]:
    """Return those that a name means: ``press_3``, or with the method ``press_3/gru``."""
    return [one for one in found if given in (one.name, one.full_name)]


def shortest_names(detectors: Sequence[TrainedDetector]) -> list[str]:
    """Return what to call each detector: its name, with the method where there are several."""
    names = [one.name for one in detectors]
    return [one.name if names.count(one.name) == 1 else one.full_name for one in detectors]


def earlier_detectors(project: Path) -> str:
    """Say how to use the detectors of a version that knew no names, if there are any."""
    folders = sorted(f for f in project.glob(_EARLIER) if any(f.glob("settings.json")))
    if not folders:
        return ""
    place = folders[0].relative_to(project)
    return (
        f" A detector of an earlier version lies in {place}: use it with anomalous-sound "
        f"score RECORDINGS --detector {place}."
    )


def detector_folder(given: str | None) -> Path:
    """Return the folder of the detector that the user named, or else that of the only one.

    Args:
        given: ``press_3``, ``press_3/gru``, a folder, or nothing.

    Raises:
        InputError: none is named, and there is none or more than one; or there is no such one.
    """
    found = trained_detectors(Path())
    chosen = found if given is None else of_name(found, given)
    if given is not None and not chosen and Path(given).exists():
        return Path(given)
    if len(chosen) == 1:
        return chosen[0].folder
    if len(chosen) > 1:
        called = "" if given is None else f" called '{given}'"
        raise InputError(f"there are {len(chosen)} detectors{called}; {_options(chosen)}.")
    if given is not None and found:
        raise InputError(f"there is no detector '{given}', nor such a folder; {_options(found)}.")
    raise InputError(
        f"there is no detector{f' {given!r}' if given else ''} ({DETECTORS}, below {Path.cwd()}); "
        "train one: kedro run --pipeline lstm --params audio_dir=DIR; or say where one is: "
        "--detector FOLDER." + earlier_detectors(Path())
    )


def to_judge_with(
    project: Path, name: str | None, method: str, *, names_method: bool, audio_dir: str | None
) -> TrainedDetector:
    """Return the detector that the pipeline ``score`` judges with.

    Args:
        project: where the pipelines run.
        name: what the user calls the detector, if anything.
        method: the method that judges where several have been trained.
        names_method: whether the user names that method.
        audio_dir: what is judged, for messages.

    Raises:
        InputError: it is not clear which one is meant, or there is none.
    """
    command = partial(kedro_run, "score", audio_dir=audio_dir or "RECORDINGS")
    found = trained_detectors(project)
    named = found if name is None else of_name(found, name)
    fitting = [one for one in named if not names_method or one.method == method]
    if len({one.name for one in fitting}) == 1:
        preferred = [one for one in fitting if one.method == method]
        if len(fitting) == 1 or preferred:
            return (preferred or fitting)[0]
    if fitting:
        names = [one.name if one.method == method else one.full_name for one in fitting]
        raise InputError(
            f"there are {len(fitting)} detectors; choose one: "
            + " or ".join(command(detector=called) for called in names)
        )
    wanted = f" '{name}'" if name is not None else ""
    by = f" of the method {method}" if names_method else ""
    if found:
        names = [one.full_name for one in found]
        raise InputError(
            f"there is no detector{wanted}{by}; choose one: "
            + " or ".join(command(detector=called) for called in names)
        )
    trains = kedro_run(method, audio_dir="NORMAL", detector=name)
    raise InputError(
        f"there is no detector{wanted}{by}; train one first: {trains}." + earlier_detectors(project)
    )


def _options(detectors: Sequence[TrainedDetector]) -> str:
    names = shortest_names(detectors)
    return "choose one: " + " or ".join(f"--detector {name}" for name in names)


def kept_folder(given: Path | None, detector: Path) -> Path:
    """Return the folder of the clips that a watch keeps: the one named, or beside the detector."""
    return given or detector.absolute().with_name("kept")


def queue_folder(given: Path | None, detector: Path) -> Path:
    """Return the folder of the events that wait: the one named, or beside the detector."""
    return given or detector.absolute().with_name("queue")


def open_detector(
    given: str | None, *, rate: float | None = None, machine_id: str | None = None
) -> Detector:
    """Open the detector that is to judge.

    Args:
        given: the name or folder that the user gave, if any.
        rate: the false-alarm rate to promise; None: that of the detector.
        machine_id: the one that the user named, if any.

    Raises:
        InputError: there is no such detector, it has too few calibration clips for the rate, or it
            does not know the machine ID.
    """
    folder = given if given is not None and is_url(given) else detector_folder(given)
    from anomalous_sound.decision.detector import Detector  # takes seconds

    detector = Detector.load(folder)
    if rate is not None:
        detector = detector.at_rate(rate)
    detector.check_machine_id(machine_id, "--machine-id")
    return detector
