import os
import re
from pathlib import Path

import pytest

from anomalous_sound.corpus.names import printable, shown

CASES = {
    "plain ä €.wav": "plain ä €.wav",
    "two\nlines\r\t.wav": r"two\nlines\r\t.wav",
    r"two\nlines.wav": r"two\\nlines.wav",
    "caf\udce9.wav": r"caf\xe9.wav",  # a byte that is no UTF-8
    "next\x85line.wav": r"next\u0085line.wav",  # the character whose number is that of a byte
    "escape\x1b[31m.wav": r"escape\x1b[31m.wav",
    "line\u2028end.wav": r"line\u2028end.wav",
    "fault\u202evaw.wav": r"fault\u202evaw.wav",  # what follows would be read backwards
    "\udc85": r"\x85",
    r"\x85": r"\\x85",
}


def original(text):
    """Undo it, as docs/in-use.md tells."""

    def one(match):
        kind, digits = match[1][0], match[1][1:]
        if kind == "x":
            return os.fsdecode(bytes([int(digits, 16)]))
        return (
            chr(int(digits, 16))
            if kind == "u"
            else {"n": "\n", "r": "\r", "t": "\t"}.get(kind, kind)
        )

    return re.sub(r"\\(x..|u....|.)", one, text)


@pytest.mark.parametrize(("name", "escaped"), CASES.items())
def test_a_name_is_shown_in_one_line_and_can_be_told_from_all_others(name, escaped):
    assert printable(name) == escaped
    assert escaped.isprintable()
    escaped.encode()
    assert original(escaped) == name


def test_a_path_is_shown_and_none_is_empty():
    assert shown(Path("a") / "b\n.wav") == r"a/b\n.wav"
    assert shown(None) == ""
