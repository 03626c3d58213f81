"""Damaged recordings, drawn from a seed: what disks, recorders and strangers make of good ones."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator

import numpy as np
import soundfile

FORMS = [
    ("WAV", "PCM_16", ".wav"),
    ("WAV", "PCM_24", ".wav"),
    ("WAV", "FLOAT", ".wav"),
    ("WAV", "GSM610", ".wav"),
    ("WAV", "MS_ADPCM", ".wav"),
    ("FLAC", "PCM_16", ".flac"),
    ("OGG", "VORBIS", ".ogg"),
    ("AIFF", "PCM_16", ".aiff"),
    ("MP3", "MPEG_LAYER_III", ".mp3"),
]
RATES = [1, 8, 999, 1000, 8000, 11025, 16000, 44100, 192000, 1_000_000, 10_000_000]
NAMES = [
    "a",
    "a b",
    "ä",
    "$x$",
    "<script>",
    "a,b",
    'a"b',
    "a|b",
    "[a](b)",
    "-a",
    "a\nb",
    "a\rb",
    "%s",
    "caf\udce9",  # a byte that is no UTF-8
    "a" * 240,
]
HEADER = 128  # bytes, about

Mutation = Callable[[np.random.Generator, bytearray], bytes]


def good(rng: np.random.Generator) -> tuple[bytearray, str]:
    """Return a whole recording of some form, and the ending of its name."""
    container, subtype, ending = FORMS[rng.integers(len(FORMS))]
    channels = 1 if subtype == "GSM610" else int(rng.integers(1, 3))
    samples = 0.1 * rng.standard_normal((int(rng.integers(6000, 20000)), channels))
    content = io.BytesIO()
    soundfile.write(content, samples, 16000, format=container, subtype=subtype)
    return bytearray(content.getvalue()), ending


def _flip(rng: np.random.Generator, content: bytearray, end: int) -> bytes:
    for at in rng.integers(min(end, len(content)), size=rng.integers(1, 9)):
        content[at] ^= 1 << rng.integers(8)
    return bytes(content)


def _repeat_part(rng: np.random.Generator, content: bytearray) -> bytes:
    low, high = np.sort(rng.integers(len(content), size=2))
    return bytes(content[:high] + content[low:])


def _claim(rng: np.random.Generator, content: bytearray) -> bytes:
    """Put a number without sense somewhere in the header."""
    number = [0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8][rng.integers(7)]
    at = int(rng.integers(min(HEADER, len(content) - 4)))
    content[at : at + 4] = struct.pack("<I" if rng.random() < 0.5 else ">I", number)
    return bytes(content)


def _wav(rng: np.random.Generator, content: bytearray) -> bytes:
    """Write a wav header by hand: any rate, any number of channels, any size."""
    channels = int(rng.choice([0, 1, 2, 3, 8, 64]))
    rate = int(rng.choice(RATES))
    width = int(rng.choice([1, 2, 3, 4, 8]))
    code = int(rng.choice([1, 3, 6, 7, 0xFFFE]))
    data = rng.bytes(int(rng.integers(0, 40000)))
    size = int(rng.choice([0, 1, len(data), len(data) // 2, 2**31, 2**32 - 1]))
    block = channels * width
    form = struct.pack("<HHIIHH", code, channels, rate, rate * block % 2**32, block, 8 * width)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _not_finite(rng: np.random.Generator, content: bytearray) -> bytes:
    samples = 0.1 * rng.standard_normal(8000)
    samples[rng.integers(8000)] = [np.nan, np.inf, -np.inf, 1e30, 1e300][rng.integers(5)]
    written = io.BytesIO()
    soundfile.write(written, samples, 16000, format="WAV", subtype="DOUBLE")
    return written.getvalue()


def _extreme(rng: np.random.Generator, content: bytearray) -> bytes:
    """Write samples far too soft, down to denormal numbers, or far too loud."""
    level = 10.0 ** rng.choice([-323, -310, -160, -45, -38, -20, -9, 0, 2, 3, 19, 38, 300])
    samples = level * rng.uniform(-1, 1, int(rng.integers(6000, 20000)))
    if rng.random() < 0.3:
        samples[:] = np.where(samples > 0, level, -level)
    written = io.BytesIO()
    subtype = ["FLOAT", "DOUBLE"][rng.integers(2)]
    with np.errstate(over="ignore"):
        soundfile.write(written, samples, 16000, format="WAV", subtype=subtype)
    return written.getvalue()


MUTATIONS: list[Mutation] = [
    lambda rng, content: bytes(content),
    lambda rng, content: _flip(rng, content, HEADER),
    lambda rng, content: _flip(rng, content, len(content)),
    lambda rng, content: bytes(content[: rng.integers(len(content))]),
    lambda rng, content: bytes(content + rng.bytes(int(rng.integers(1, 999)))),
    lambda rng, content: rng.bytes(int(rng.integers(0, 5000))),
    _repeat_part,
    _claim,
    _claim,
    _wav,
    _wav,
    _not_finite,
    _extreme,
]


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of damaged recordings; the same for the same seed."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        content, ending = good(rng)
        if rng.random() < 0.1:
            ending = [".wav", ".flac", ".ogg", ".mp3", ".aiff"][rng.integers(5)]
        content = MUTATIONS[rng.integers(len(MUTATIONS))](rng, content)
        yield f"{NAMES[rng.integers(len(NAMES))]}{number}{ending}", content
