"""Names of files as tables, pages and log lines can hold them."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import category

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_UNPRINTABLE = {"Cc", "Zl", "Zp"}  # control characters, and separators of lines and paragraphs
_TURNING = {*map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A)))}  # the order of others
_FIRST_BYTE = 0xDC00  # of what Python makes of a byte that is no UTF-8
_ESCAPES_ITSELF = os.sep != "\\"  # on Windows a backslash is in no name, but in every path


def printable(name: str) -> str:
    r"""Escape what would break a line or a table: control characters, bytes that are no UTF-8.

    Two names are never shown alike, since backslashes are escaped, too.

    >>> printable("two\nlines.wav"), printable("caf\udce9.wav")
    ('two\\nlines.wav', 'caf\\xe9.wav')
    """
    return "".join(map(_escaped, name))


def _escaped(one: str) -> str:
    if one in _SHORT:
        return _SHORT[one]
    if one == "\\" and _ESCAPES_ITSELF:
        return r"\\"
    if category(one) == "Cs":
        return rf"\x{ord(one) - _FIRST_BYTE:02x}"
    if category(one) in _UNPRINTABLE or one in _TURNING:
        # of two digits are bytes, and characters below 128, which are bytes too
        return rf"\x{ord(one):02x}" if ord(one) < 0x80 else rf"\u{ord(one):04x}"
    return one


def shown(path: Path | None) -> str:
    """Return a path as it is shown; empty: there is none."""
    return "" if path is None else printable(str(path))
