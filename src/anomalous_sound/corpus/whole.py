"""Whether an audio file holds all that it promises: libsndfile reads a shorter one in silence."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

from anomalous_sound.errors import UnreadableClipError

# what streaming writers put where they can't know the size: all bits, all bits of a signed number,
# its overflow, and whole pages below it (SoX)
_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x7FFFF000)
_IN_64_BITS = 0xFFFFFFFF  # of an RF64 file: its ds64 chunk says the size
_UNKNOWN_64_BIT_SIZES = (0, 0xFFFFFFFFFFFFFFFF)

_OGG_PAGE = b"OggS"
_LARGEST_OGG_PAGE = 1 << 16  # 27 + 255 + 255 × 255 bytes (RFC 3533, section 6), rounded up
_OGG_HEADER = 27
_OGG_END_OF_STREAM = 4


@dataclass(frozen=True)
class _Chunked:
    """A format of chunks: a name of four letters, a size of four bytes, contents.

    Attributes:
        name: as messages call it.
        order: of the bytes of a size, as struct writes it.
        audio: name of the chunk that holds the audio.
    """

    name: str
    order: str
    audio: bytes


_WAV = _Chunked("wav", "<", b"data")
_BIG_ENDIAN_WAV = _Chunked("wav", ">", b"data")
_AIFF = _Chunked("AIFF", ">", b"SSND")
_CHUNKED = {
    (b"RIFF", b"WAVE"): _WAV,
    (b"RF64", b"WAVE"): _WAV,
    (b"RIFX", b"WAVE"): _BIG_ENDIAN_WAV,
    (b"FORM", b"AIFF"): _AIFF,
    (b"FORM", b"AIFC"): _AIFF,
}


def check_is_whole(file: IO[bytes]) -> None:
    """Compare what a wav, AIFF or OGG file promises with what is there.

    FLAC and the others are not looked at: decoding them fails where they end early.

    Args:
        file: the file, which is left at its beginning.

    Raises:
        UnreadableClipError: it is empty, or ends early.
    """
    length = file.seek(0, 2)
    file.seek(0)
    if not length:
        raise UnreadableClipError("the file is empty")
    head = file.read(12)
    if chunked := _CHUNKED.get((head[:4], head[8:12])):
        _check_chunks(file, chunked, length)
    elif head[:4] == _OGG_PAGE:
        _check_last_page(file, length)
    file.seek(0)


def _check_chunks(file: IO[bytes], chunked: _Chunked, length: int) -> None:
    position, size_in_64_bits = 12, 0
    while position + 8 <= length:
        file.seek(position)
        name, size = struct.unpack(f"{chunked.order}4sI", file.read(8))
        position += 8
        if name == b"ds64" and len(sizes := file.read(16)) == 16:
            _, size_in_64_bits = struct.unpack("<QQ", sizes)  # of the file, of the audio
        if name == chunked.audio:
            unknown: tuple[int, ...] = _UNKNOWN_SIZES
            if size == _IN_64_BITS and size_in_64_bits:
                size, unknown = size_in_64_bits, _UNKNOWN_64_BIT_SIZES
            present = length - position
            if size not in unknown and size > present:
                raise UnreadableClipError(
                    f"the file is truncated: its header promises {size} bytes of audio and "
                    f"{present} are there"
                )
            return
        position += size + size % 2
    raise UnreadableClipError(
        f"the file is truncated: its {chunked.name} header ends before any audio"
    )


def _check_last_page(file: IO[bytes], length: int) -> None:
    """Check that the last page of an OGG file is whole and says that it is the last."""
    file.seek(max(0, length - _LARGEST_OGG_PAGE))
    tail = file.read()
    page = tail[max(0, tail.rfind(_OGG_PAGE)) :]
    lacing = page[_OGG_HEADER:][: page[_OGG_HEADER - 1] if len(page) >= _OGG_HEADER else 0]
    is_whole = (
        page.startswith(_OGG_PAGE)
        and len(page) > _OGG_HEADER
        and len(page) >= _OGG_HEADER + page[_OGG_HEADER - 1] + sum(lacing)
    )
    if not (is_whole and page[5] & _OGG_END_OF_STREAM):
        raise UnreadableClipError("the file is truncated: the last page of its stream is missing")
