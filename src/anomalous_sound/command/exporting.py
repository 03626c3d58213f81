"""A detector written for a machine without PyTorch, and checked before it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anomalous_sound.command.recordings import find_recordings, judge
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.export import (
    Result,
    compare,
    export,
    judged_both,
    synthetic_clips,
)


def write_export(detector: Detector, out: Path, recordings: Path | None) -> list[str]:
    """Write an export of a detector, unless it would judge otherwise.

    Args:
        detector: the detector.
        out: the folder to write.
        recordings: what both must judge alike, beside synthetic clips; None: nothing more.

    Returns:
        Lines that say what was done.

    Raises:
        InputError: it cannot be exported, or the two do not agree.
    """
    exported = export(detector)
    told = []
    pairs = judged_both(detector, exported, synthetic_clips(detector))
    for what, both in (
        ("synthetic clips", pairs),
        ("clips of your recordings", _judged(detector, exported, recordings)),
    ):
        found = compare(detector, both)
        if found.clips:
            told.append(
                f"Checked       {found.clips} {what}: the same decisions; scores differ by at most "
                f"{found.largest:.1g} of their size"
            )
    exported.save(out)
    again = Detector.load(out)  # as it will be read
    size = sum(file.stat().st_size for file in out.iterdir())
    return [
        f"Export        of detector {again.identity.exported_from}; digest "
        f"{again.identity.digest}; {size / 1e6:.1f} MB",
        *told,
    ]


def _judged(
    detector: Detector, exported: Detector, recordings: Path | None
) -> Iterator[tuple[Result, Result]]:
    if recordings is None:
        return
    for one in find_recordings([recordings], detector, None):
        yield from zip(judge(detector, [one]), judge(exported, [one]), strict=True)
