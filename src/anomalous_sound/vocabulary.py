"""The words that tables, files and reports share."""

from enum import StrEnum


class Label(StrEnum):
    """What is known, or decided, about a clip."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    UNKNOWN = "unknown"


class Split(StrEnum):
    """What a clip is used for."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"
