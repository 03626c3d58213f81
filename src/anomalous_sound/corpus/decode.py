"""Decode a recording and bring it to the one form that the methods read: mono at one rate."""

from __future__ import annotations

import io
import struct
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.errors import UnreadableClipError

# what libsndfile reads under these endings; anything else in a folder is not taken for a recording
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".aif", ".aiff", ".mp3")

# float files may exceed full scale (1), but nobody records a thousand times of it
_LOUDEST = 1e3

_WIDEST_SAMPLE = 8  # bytes; that of double precision
_UNKNOWN_LENGTH = 2**62  # libsndfile's count of samples is beyond where a header gives none
_NO_MEMORY = "it needs more memory than there is"

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
    """An audio file that is read only when asked for.

    Attributes:
        path: where it is.
        unusable: why it cannot be used whatever it holds, such as its name; empty: nothing.
    """

    path: Path
    unusable: str = ""

    def content(self, audio: AudioSettings | None = None) -> bytes:
        """Read its bytes.

        Args:
            audio: how large it may be; None: any size.

        Raises:
            UnreadableClipError: it cannot be read, or is too large.
        """
        if self.unusable:
            raise UnreadableClipError(self.unusable)
        try:
            size = self.path.stat().st_size
            if audio is not None and size > audio.max_samples * _WIDEST_SAMPLE:
                raise UnreadableClipError(
                    f"the file is too large: {size} bytes; see the parameter audio.max_samples"
                )
            return self.path.read_bytes()
        except OSError as error:
            raise UnreadableClipError(f"it cannot be read ({error.strerror})") from None
        except MemoryError:
            raise UnreadableClipError(_NO_MEMORY) from None

    def recording(self, audio: AudioSettings | None = None) -> Recording:
        """Decode it; see :func:`decode_recording`."""
        return decode_recording(self.content(audio), audio)


def decode_recording(content: bytes, audio: AudioSettings | None = None) -> Recording:
    """Decode an audio file whole.

    Any format, sample width and channel count that libsndfile reads.

    Args:
        content: the file's bytes.
        audio: the bounds that its header is held to before anything is decoded; None: none.

    Raises:
        UnreadableClipError: the file is empty, truncated, not audio, or beyond the bounds.
    """
    import soundfile

    if not content:
        raise UnreadableClipError("the file is empty")
    _check_wav_is_whole(content)
    try:
        if (recording := _pcm_16(content, audio)) is not None:
            return recording
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            promised, sample_rate = file.frames, file.samplerate
            if promised >= _UNKNOWN_LENGTH:
                raise UnreadableClipError("its header does not say how many samples it holds")
            if audio is not None:
                check_bounds(promised, file.channels, sample_rate, audio)
            # the count is given, since libsndfile cannot seek in some formats, such as GSM 6.10
            samples = file.read(promised, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UnreadableClipError(f"it cannot be decoded as audio ({error.error_string})") from None
    except MemoryError:
        raise UnreadableClipError(_NO_MEMORY) from None
    except ValueError as error:
        if isinstance(error, UnreadableClipError):
            raise
        raise UnreadableClipError("its header promises more samples than a file can hold") from None
    if len(samples) < promised:
        raise UnreadableClipError(
            f"the file is truncated: it promises {promised} samples and holds {len(samples)}"
        )
    return Recording(samples, sample_rate)


def check_bounds(samples: int, channels: int, sample_rate: int, audio: AudioSettings) -> None:
    """Check that a recording is of a plausible rate, and of a size that fits into memory.

    Args:
        samples: of each channel.
        channels: number of them.
        sample_rate: Hz.
        audio: the bounds, and the rate that it would be resampled to.

    Raises:
        UnreadableClipError: it is beyond the bounds.
    """
    if not audio.min_sample_rate <= sample_rate <= audio.max_sample_rate:
        raise UnreadableClipError(
            f"its sample rate is {sample_rate} Hz; {audio.min_sample_rate} to "
            f"{audio.max_sample_rate} Hz are read (parameters audio.min_sample_rate, "
            "audio.max_sample_rate)"
        )
    resampled = samples * audio.sample_rate // sample_rate
    for count, what in ((samples * channels, "in all channels"), (resampled, "once resampled")):
        if count > audio.max_samples:
            raise UnreadableClipError(
                f"it is too long: {count} samples {what}; at most {audio.max_samples} are read "
                "(parameter audio.max_samples)"
            )


def _pcm_16(content: bytes, audio: AudioSettings | None) -> Recording | None:
    """Decode a plain 16-bit wav file, to the same values in a third of libsndfile's time.

    Returns:
        None if it is anything else.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            if audio is not None and file.getframerate():
                # a streaming writer promises more than there is
                present = len(content) // (file.getsampwidth() * file.getnchannels())
                frames = min(file.getnframes(), present)
                check_bounds(frames, file.getnchannels(), file.getframerate(), audio)
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            whole = len(samples) == file.getnframes() * file.getnchannels()
            if file.getsampwidth() != 2 or not whole or not file.getframerate():
                return None
    except UnreadableClipError:
        raise
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
