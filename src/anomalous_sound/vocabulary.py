"""The words that tables, files and reports share."""

from enum import StrEnum
from typing import Literal

# what the clips left out of a network are drawn by
DrawUnit = Literal["clips", "recordings", "blocks"]


class Label(StrEnum):
    """What is known about a clip."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    UNKNOWN = "unknown"


class Split(StrEnum):
    """What a clip is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Domain(StrEnum):
    """Of which operation of the machine a clip is (DCASE Task 2 since 2021)."""

    SOURCE = "source"  # many training clips
    TARGET = "target"  # few or none


class Decision(StrEnum):
    """What is decided about a clip."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    UNDECIDED = "undecided"  # no normal clip of its machine ID, or as long, has calibrated
