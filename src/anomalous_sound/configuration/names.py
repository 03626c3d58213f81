"""What a detector may be called: its results lie in folders of that name."""

from __future__ import annotations

import re
from unicodedata import normalize

LONGEST = 100  # bytes; file systems take 255
ACCEPTED = f"letters, digits, '-', '_' and '.', at most {LONGEST}, and no '.' at the beginning"
_NAME = re.compile(r"(?!\.)[\w.-]+")


def is_name(text: str) -> bool:
    """Return whether something may be called so; see ``ACCEPTED``.

    >>> is_name("press_3"), is_name("../press"), is_name(".press")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None and len(text.encode()) <= LONGEST


def safe_name(*parts: str) -> str:
    """Make a name of words: what a name cannot hold becomes ``_``, and it ends where it is full.

    >>> safe_name("press 3 (old)"), safe_name("mimii", "fan"), safe_name("..")
    ('press_3_old_', 'mimii-fan', 'recordings')
    """
    text = re.sub(r"[^\w.-]+", "_", normalize("NFC", "-".join(parts))).lstrip(".")
    return text.encode()[:LONGEST].decode(errors="ignore") or "recordings"
