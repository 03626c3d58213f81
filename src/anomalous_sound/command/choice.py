"""Which detector a command uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector

# where training runs leave them; conf/base/catalog.yml says it too, which only Kedro reads
DETECTORS = "data/06_models/*/detector"


def detector_folder(given: Path | None) -> Path:
    """Return the folder that the user named, or else that of the only detector.

    Raises:
        InputError: none is named, and there is none or more than one.
    """
    if given is not None:
        return given
    found = sorted(folder for folder in Path().glob(DETECTORS) if any(folder.glob("settings.json")))
    if not found:
        raise InputError(
            f"there is no detector ({DETECTORS}, below {Path.cwd()}); train one: kedro run "
            "--pipeline lstm --params audio_dir=DIR; or say where one is: --detector FOLDER."
        )
    if len(found) > 1:
        raise InputError(
            f"there are {len(found)} detectors; choose one: "
            + " or ".join(f"--detector {folder}" for folder in found)
            + "."
        )
    return found[0]


def kept_folder(given: Path | None, detector: Path) -> Path:
    """Return the folder of the clips that a watch keeps: the one named, or beside the detector."""
    return given or detector.absolute().with_name("kept")


def queue_folder(given: Path | None, detector: Path) -> Path:
    """Return the folder of the events that wait: the one named, or beside the detector."""
    return given or detector.absolute().with_name("queue")


def open_detector(
    given: Path | None, *, rate: float | None = None, machine_id: str | None = None
) -> Detector:
    """Open the detector that is to judge.

    Args:
        given: the folder that the user named, if any.
        rate: the false-alarm rate to promise; None: that of the detector.
        machine_id: the one that the user named, if any.

    Raises:
        InputError: there is no such detector, it has too few calibration clips for the rate, or it
            does not know the machine ID.
    """
    folder = detector_folder(given)
    from anomalous_sound.decision.detector import Detector  # takes seconds

    detector = Detector.load(folder)
    if rate is not None:
        detector = detector.at_rate(rate)
    detector.check_machine_id(machine_id, "--machine-id")
    return detector
