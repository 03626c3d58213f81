"""Decode a recording and bring it to the one form that the methods read: mono at one rate."""

from __future__ import annotations

import io
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomalous_sound.errors import UnreadableClipError

# what libsndfile reads under these endings; anything else in a folder is not taken for a recording
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3")

# float files may exceed full scale (1), but nobody records a thousand times of it
_LOUDEST = 1e3

_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what streaming writers put where they can't know the size


@dataclass(frozen=True)
class Recording:
    """A decoded file.

    Attributes:
        samples: float32, samples × channels, full scale ±1.
        sample_rate: Hz, as recorded.
    """

    samples: np.ndarray
    sample_rate: int

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class AudioFile:
    """An audio file that is read only when asked for."""

    path: Path

    def content(self) -> bytes:
        """Read its bytes.

        Raises:
            UnreadableClipError: it cannot be read.
        """
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise UnreadableClipError(f"it cannot be read ({error.strerror})") from None

    def recording(self) -> Recording:
        """Decode it; see :func:`decode_recording`."""
        return decode_recording(self.content())


def decode_recording(content: bytes) -> Recording:
    """Decode an audio file whole.

    Any format, sample width and channel count that libsndfile reads.

    Args:
        content: the file's bytes.

    Raises:
        UnreadableClipError: the file is empty, truncated or not audio.
    """
    import soundfile

    if not content:
        raise UnreadableClipError("the file is empty")
    _check_wav_is_whole(content)
    if (recording := _pcm_16(content)) is not None:
        return recording
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            promised = file.frames
            samples = file.read(dtype="float32", always_2d=True)
            sample_rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise UnreadableClipError(f"it cannot be decoded as audio ({error.error_string})") from None
    except (ValueError, MemoryError):
        raise UnreadableClipError("its header promises more samples than a file can hold") from None
    if len(samples) < promised:
        raise UnreadableClipError(
            f"the file is truncated: it promises {promised} samples and holds {len(samples)}"
        )
    return Recording(samples, sample_rate)


def _pcm_16(content: bytes) -> Recording | None:
    """Decode a plain 16-bit wav file, to the same values in a third of libsndfile's time.

    Returns:
        None if it is anything else.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            whole = len(samples) == file.getnframes() * file.getnchannels()
            if file.getsampwidth() != 2 or not whole or not file.getframerate():
                return None
    except (wave.Error, EOFError, ValueError):
        return None
    by_channel = samples.reshape(-1, file.getnchannels())
    return Recording(by_channel * np.float32(2**-15), file.getframerate())


def _check_wav_is_whole(content: bytes) -> None:
    """Compare the size in a wav header with what is there: libsndfile reads on in silence."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        position += 8
        if name == b"data":
            present = len(content) - position
            if size not in _UNKNOWN_SIZES and size > present:
                raise UnreadableClipError(
                    f"the file is truncated: its header promises {size} bytes of audio and "
                    f"{present} are there"
                )
            return
        position += size + size % 2
    raise UnreadableClipError("the file is truncated: its wav header ends before any audio")


def to_mono(recording: Recording, *, sample_rate: int, channel: int | str) -> np.ndarray:
    """Bring a recording to mono at the methods' rate and check that there is sound in it.

    Args:
        recording: the decoded file.
        sample_rate: the rate to return, Hz; another rate is resampled with soxr's high quality.
        channel: which channel to take, counted from 0, or ``mean`` of all.

    Returns:
        float32 samples, full scale ±1.

    Raises:
        UnreadableClipError: no samples, no such channel, NaN or infinite samples, or silence.
    """
    if not len(recording.samples):
        raise UnreadableClipError("it holds no samples")
    if channel == "mean":
        mono = recording.samples.mean(axis=1)
    elif int(channel) < recording.channels:
        mono = recording.samples[:, int(channel)]
    else:
        raise UnreadableClipError(
            f"it has no channel {channel} (channels are counted from 0 and it has "
            f"{recording.channels}); see the parameter audio.channel"
        )
    low, high = mono.min(), mono.max()  # each of them NaN if any sample is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UnreadableClipError("it holds samples that are NaN or infinite")
    if max(-low, high) > _LOUDEST:
        raise UnreadableClipError("it holds samples far beyond full scale (damaged float data)")
    if low == high:
        raise UnreadableClipError(
            "all samples are zero" if mono[0] == 0 else "all samples have the same value"
        )
    if recording.sample_rate != sample_rate:
        import soxr

        mono = soxr.resample(mono, recording.sample_rate, sample_rate, quality="HQ")
    return np.ascontiguousarray(mono, dtype=np.float32)
