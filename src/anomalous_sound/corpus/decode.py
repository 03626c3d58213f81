"""Decode a recording and bring it to the one form that the methods read: mono at one rate."""

from __future__ import annotations

import hashlib
import io
import struct
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from anomalous_sound.corpus.segments import Span
from anomalous_sound.errors import SilentClipError, UnreadableClipError

# what libsndfile reads under these endings; anything else in a folder is not taken for a recording
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".aif", ".aiff", ".mp3")
# recordings too, which libsndfile mostly cannot read: they are listed, with what to do
FOREIGN_SUFFIXES = (".m4a", ".aac", ".wma")

# float files may exceed full scale (1), but nobody records a thousand times of it
_LOUDEST = 1e3

_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what streaming writers put where they can't know the size
_BLOCK_BYTES = 1 << 20
_MOST_SAMPLES = 1 << 40  # two years at 16 kHz; headers without a length promise more


@dataclass(frozen=True)
class Recording:
    """A decoded file, or a part of it.

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

    def digest(self) -> str:
        """Return a digest of samples, channels and rate: the same in every lossless format."""
        digest = hashlib.sha256(f"{self.sample_rate} Hz, {self.channels} channels".encode())
        digest.update(np.ascontiguousarray(self.samples).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Form:
    """What the header of an audio file says.

    Attributes:
        samples: of each channel.
        sample_rate: Hz.
    """

    samples: int
    sample_rate: int


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
            raise _unreadable(error) from None

    def sha256(self) -> str:
        """Return the digest of its bytes, read a block at a time; see :meth:`content`."""
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        except OSError as error:
            raise _unreadable(error) from None
        return digest.hexdigest()

    def form(self) -> Form:
        """Read its header.

        Raises:
            UnreadableClipError: the file cannot be read, is empty, truncated or not audio.
        """
        try:
            with self.path.open("rb") as file:
                return _read_form(file)
        except OSError as error:
            raise _unreadable(error) from None
        except UnreadableClipError as error:
            raise self._with_remedy(error) from None

    def recording(self, span: Span | None = None) -> Recording:
        """Decode it, whole or a part of it; no more of the file is in memory.

        A part has the samples that the whole file has there: exactly in wav, AIFF, FLAC and OGG, to
        within rounding in MP3.

        Raises:
            UnreadableClipError: the file cannot be read, is empty, truncated or not audio.
        """
        try:
            with self.path.open("rb") as file:
                return _decode(file, span)
        except OSError as error:
            raise _unreadable(error) from None
        except UnreadableClipError as error:
            raise self._with_remedy(error) from None

    def _with_remedy(self, error: UnreadableClipError) -> UnreadableClipError:
        if self.path.suffix.lower() not in FOREIGN_SUFFIXES:
            return error
        name = self.path.name
        return UnreadableClipError(f"{error}; convert it: ffmpeg -i {name} {self.path.stem}.wav")


def _unreadable(error: OSError) -> UnreadableClipError:
    return UnreadableClipError(f"it cannot be read ({error.strerror})")


def decode_recording(content: bytes) -> Recording:
    """Decode an audio file whole.

    Any format, sample width and channel count that libsndfile reads.

    Args:
        content: the file's bytes.

    Raises:
        UnreadableClipError: the file is empty, truncated or not audio.
    """
    return _decode(io.BytesIO(content), None)


def _read_form(file: BinaryIO) -> Form:
    import soundfile

    _check_wav_is_whole(file)
    try:
        with soundfile.SoundFile(file) as sound:
            form = Form(sound.frames, sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise UnreadableClipError(f"it cannot be decoded as audio ({error.error_string})") from None
    if form.samples > _MOST_SAMPLES:
        raise UnreadableClipError(_TOO_MANY_SAMPLES)
    return form


def _decode(file: BinaryIO, span: Span | None) -> Recording:
    """Decode all of a file, or what lies in ``span``."""
    import soundfile

    _check_wav_is_whole(file)
    if (recording := _pcm_16(file, span)) is not None:
        return recording
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            promised = sound.frames
            sample_rate = sound.samplerate
            if span is None:
                samples = sound.read(dtype="float32", always_2d=True)
                present = len(samples)
            else:
                sound.seek(span.start)
                samples = sound.read(span.stop - span.start, dtype="float32", always_2d=True)
                present = promised - (span.stop - span.start - len(samples))
    except soundfile.LibsndfileError as error:
        raise UnreadableClipError(f"it cannot be decoded as audio ({error.error_string})") from None
    except (ValueError, MemoryError):
        raise UnreadableClipError(_TOO_MANY_SAMPLES) from None
    if present < promised:
        raise UnreadableClipError(
            f"the file is truncated: it promises {promised} samples and holds {present}"
        )
    return Recording(samples, sample_rate)


_TOO_MANY_SAMPLES = "its header promises more samples than a file can hold"


def _pcm_16(content: BinaryIO, span: Span | None) -> Recording | None:
    """Decode a plain 16-bit wav file, to the same values in a third of libsndfile's time.

    Returns:
        None if it is anything else.
    """
    length = content.seek(0, 2)
    content.seek(0)
    try:
        with wave.open(content) as file:
            wanted = span or Span(0, file.getnframes())
            count = wanted.stop - wanted.start
            is_too_large = 2 * count * file.getnchannels() > length
            if file.getsampwidth() != 2 or not file.getframerate() or is_too_large:
                return None
            if span is not None:
                file.setpos(span.start)
            samples = np.frombuffer(file.readframes(count), dtype="<i2")
            if len(samples) != count * file.getnchannels():
                return None
    except (wave.Error, EOFError, ValueError):
        return None
    by_channel = samples.reshape(-1, file.getnchannels())
    return Recording(by_channel * np.float32(2**-15), file.getframerate())


def _check_wav_is_whole(file: BinaryIO) -> None:
    """Compare the size in a wav header with what is there: libsndfile reads on in silence."""
    length = file.seek(0, 2)
    file.seek(0)
    if not length:
        raise UnreadableClipError("the file is empty")
    head = file.read(12)
    position = 12
    is_wav = head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    while is_wav and position + 8 <= length:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        position += 8
        if name == b"data":
            present = length - position
            if size not in _UNKNOWN_SIZES and size > present:
                raise UnreadableClipError(
                    f"the file is truncated: its header promises {size} bytes of audio and "
                    f"{present} are there"
                )
            break
        position += size + size % 2
    else:
        if is_wav:
            raise UnreadableClipError("the file is truncated: its wav header ends before any audio")
    file.seek(0)


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
        raise SilentClipError(
            "all samples are zero" if mono[0] == 0 else "all samples have the same value"
        )
    if recording.sample_rate != sample_rate:
        import soxr

        mono = soxr.resample(mono, recording.sample_rate, sample_rate, quality="HQ")
    return np.ascontiguousarray(mono, dtype=np.float32)
