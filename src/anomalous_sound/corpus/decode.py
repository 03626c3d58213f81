"""Decode a recording and bring it to the one form that the methods read: mono at one rate."""

from __future__ import annotations

import hashlib
import io
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus.segments import Span
from anomalous_sound.corpus.whole import check_is_whole
from anomalous_sound.errors import SilentClipError, UnreadableClipError
from anomalous_sound.storage.remote import RemotePath

if TYPE_CHECKING:
    from soundfile import SoundFile

# what libsndfile reads under these endings; anything else in a folder is not taken for a recording
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".aif", ".aiff", ".mp3")
# recordings too, which libsndfile mostly cannot read: they are listed, with what to do
FOREIGN_SUFFIXES = (".m4a", ".aac", ".wma")

# float files may exceed full scale (1), but nobody records a thousand times of it
_LOUDEST = 1e3

_WIDEST_SAMPLE = 8  # bytes; that of double precision
_UNKNOWN_LENGTH = 2**62  # libsndfile's count of samples is beyond where a header gives none
# FLAC needs 12 bytes for 65535 samples of silence; Opus, Vorbis and MP3 need more
_MOST_SAMPLES_A_BYTE = 2**13
_BLOCK_BYTES = 1 << 20
_MOST_HELD_BYTES = 4 << 20  # of a file that is read once, for all that is asked of it
_BLOCK_SAMPLES = 1 << 16


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
        channels: number of them.
        sample_rate: Hz.
    """

    samples: int
    channels: int
    sample_rate: int


@dataclass(frozen=True)
class AudioFile:
    """An audio file that is read only when asked for.

    Attributes:
        path: where it is.
    """

    path: Path | RemotePath

    @property
    def local_path(self) -> Path:
        """Where it is, if that is on this machine."""
        assert isinstance(self.path, Path)
        return self.path

    def held(self) -> AudioFile:
        """Read it into memory, so that all that is found of it is of the same bytes.

        Returns:
            The file in memory; itself if it is larger than 4 MiB.

        Raises:
            UnreadableClipError: it cannot be read.
        """
        with self._opened() as file:
            if self._size() > _MOST_HELD_BYTES:
                return self
            return HeldAudioFile(self.path, file.read())

    def content(self, audio: AudioSettings | None = None) -> bytes:
        """Read its bytes.

        Args:
            audio: how large it may be; None: any size.

        Raises:
            UnreadableClipError: it cannot be read, or is too large.
        """
        with self._opened() as file:
            self._check_size(audio)
            return file.read()

    def sha256(self) -> str:
        """Return the digest of its bytes, read a block at a time; see :meth:`content`."""
        digest = hashlib.sha256()
        with self._opened() as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()

    def form(self, audio: AudioSettings | None = None) -> Form:
        """Read its header; the file may be of any length, since parts of it can be decoded.

        Args:
            audio: the bounds that its rate is held to; None: none.

        Raises:
            UnreadableClipError: the file cannot be read, is empty, truncated or not audio, or its
                rate is beyond the bounds.
        """
        with self._opened() as file, _sound(file) as (_, form):
            if audio is not None:
                _check_rate(form.sample_rate, audio)
            return form

    def recording(
        self, span: Span | None = None, *, audio: AudioSettings | None = None
    ) -> Recording:
        """Decode it, whole or a part of it; no more of the file is in memory.

        A part has the samples that the whole file has there: exactly in wav, AIFF, FLAC and OGG, to
        within rounding in MP3.

        Args:
            span: the part; None: all of it.
            audio: the bounds that what is decoded is held to beforehand; None: none.

        Raises:
            UnreadableClipError: the file cannot be read, is empty, truncated or not audio, or what
                is asked for is beyond the bounds.
        """
        with self._opened() as file:
            if span is None:
                self._check_size(audio)
            return _decode(file, span, audio)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            with self._open() as file:
                yield file
        except OSError as error:
            raise UnreadableClipError(f"it cannot be read ({error.strerror or error})") from None
        except MemoryError:
            raise UnreadableClipError("it needs more memory than there is") from None
        except UnreadableClipError as error:
            raise self._with_remedy(error) from None

    def _open(self) -> IO[bytes]:
        if isinstance(self.path, Path) and not stat.S_ISREG(self.path.stat().st_mode):
            # opening a pipe waits for somebody to write into it, and a device has no end
            raise UnreadableClipError("it is not a file, but a folder, a pipe or a device")
        return self.path.open("rb")

    def _size(self) -> int:
        path = self.path
        return path.length() if isinstance(path, RemotePath) else path.stat().st_size

    def _check_size(self, audio: AudioSettings | None) -> None:
        size = self._size()
        if audio is not None and size > audio.max_samples * _WIDEST_SAMPLE:
            raise UnreadableClipError(
                f"the file is too large: {size} bytes; see the parameter audio.max_samples"
            )

    def _with_remedy(self, error: UnreadableClipError) -> UnreadableClipError:
        if self.path.suffix.lower() not in FOREIGN_SUFFIXES:
            return error
        name = self.path.name
        return UnreadableClipError(f"{error}; convert it: ffmpeg -i {name} {self.path.stem}.wav")


@dataclass(frozen=True)
class HeldAudioFile(AudioFile):
    """An audio file as it was when it was read.

    Attributes:
        held_bytes: all of them.
    """

    held_bytes: bytes = field(repr=False)

    def _open(self) -> IO[bytes]:
        return io.BytesIO(self.held_bytes)

    def _size(self) -> int:
        return len(self.held_bytes)


def decode_recording(content: bytes, audio: AudioSettings | None = None) -> Recording:
    """Decode an audio file whole.

    Any format, sample width and channel count that libsndfile reads.

    Args:
        content: the file's bytes.
        audio: the bounds that its header is held to before anything is decoded; None: none.

    Raises:
        UnreadableClipError: the file is empty, truncated, not audio, or beyond the bounds.
    """
    return _decode(io.BytesIO(content), None, audio)


@contextmanager
def _sound(file: IO[bytes]) -> Iterator[tuple[SoundFile, Form]]:
    """Open an audio file and read its header; nothing is decoded.

    Raises:
        UnreadableClipError: it is empty, truncated, not audio, or of unknown length.
    """
    import soundfile

    check_is_whole(file)
    length = file.seek(0, 2)
    file.seek(0)
    try:
        with soundfile.SoundFile(file) as sound:
            form = Form(sound.frames, sound.channels, sound.samplerate)
            if form.samples >= _UNKNOWN_LENGTH:
                raise UnreadableClipError("its header does not say how many samples it holds")
            if form.samples > length * _MOST_SAMPLES_A_BYTE:
                raise UnreadableClipError("its header promises more samples than a file can hold")
            yield sound, form
    except soundfile.LibsndfileError as error:
        raise UnreadableClipError(f"it cannot be decoded as audio ({error.error_string})") from None


def _decode(file: IO[bytes], span: Span | None, audio: AudioSettings | None) -> Recording:
    """Decode all of a file, or what lies in ``span``."""
    with _sound(file) as (sound, form):
        wanted = span or Span(0, form.samples)
        count = wanted.stop - wanted.start
        if audio is not None:
            check_bounds(count, form.channels, form.sample_rate, audio)
        if wanted.stop > form.samples:
            raise UnreadableClipError(
                f"it holds {form.samples} samples, and {wanted.stop} are asked for"
            )
        samples = _read(sound, wanted)
    if len(samples) < count:
        raise UnreadableClipError(
            f"the file is truncated: it promises {form.samples} samples and holds "
            f"{'at most ' if wanted.start else ''}{wanted.start + len(samples)}"
        )
    return Recording(samples, form.sample_rate)


def _read(sound: SoundFile, span: Span) -> np.ndarray:
    """Read a part as float32, samples × channels; fewer samples where the file ends early."""
    if sound.seekable():
        sound.seek(span.start)
    else:  # such as GSM 6.10
        for start in range(0, span.start, _BLOCK_SAMPLES):
            sound.read(min(_BLOCK_SAMPLES, span.start - start))
    # the count is always given: soundfile cannot find it out where there is no seeking
    count = span.stop - span.start
    if sound.subtype == "PCM_16":  # to the same values in a third of the time
        whole = np.asarray(sound.read(count, dtype="int16", always_2d=True))
        return whole * np.float32(2**-15)
    return np.asarray(sound.read(count, dtype="float32", always_2d=True))


def check_bounds(samples: int, channels: int, sample_rate: int, audio: AudioSettings) -> None:
    """Check that a clip is of a plausible rate, and of a size that fits into memory.

    Args:
        samples: of each channel.
        channels: number of them.
        sample_rate: Hz.
        audio: the bounds, and the rate that it would be resampled to.

    Raises:
        UnreadableClipError: it is beyond the bounds.
    """
    _check_rate(sample_rate, audio)
    resampled = samples * audio.sample_rate // sample_rate
    for count, what in ((samples * channels, "in all channels"), (resampled, "once resampled")):
        if count > audio.max_samples:
            raise UnreadableClipError(
                f"it is too long: {count} samples {what}; at most {audio.max_samples} are read "
                "(parameter audio.max_samples)"
            )


def _check_rate(sample_rate: int, audio: AudioSettings) -> None:
    if not audio.min_sample_rate <= sample_rate <= audio.max_sample_rate:
        raise UnreadableClipError(
            f"its sample rate is {sample_rate} Hz; {audio.min_sample_rate} to "
            f"{audio.max_sample_rate} Hz are read (parameters audio.min_sample_rate, "
            "audio.max_sample_rate)"
        )


def to_channels(recording: Recording, audio: AudioSettings) -> np.ndarray:
    """Bring the channels that are judged to the methods' rate, each by :func:`to_mono`.

    Args:
        recording: the decoded file.
        audio: the rate, and which channels: one, or each of a list by itself.

    Returns:
        float32, channels × samples, full scale ±1.

    Raises:
        UnreadableClipError: one of the channels is not there or cannot be used; see
            :func:`to_mono`.
    """
    rate = audio.sample_rate
    if not isinstance(audio.channel, list):
        return to_mono(recording, sample_rate=rate, channel=audio.channel)[None]
    found = []
    for channel in audio.channel:
        try:
            found.append(to_mono(recording, sample_rate=rate, channel=channel))
        except UnreadableClipError as error:
            if channel >= recording.channels:
                raise
            raise type(error)(f"channel {channel}: {error}") from None
    return np.stack(found)


def in_every_channel(samples: np.ndarray, audio: AudioSettings) -> np.ndarray:
    """Make a recording of mono samples that has every channel to be judged.

    Args:
        samples: of the first channel; each further one is 6 dB softer.
        audio: which channels.

    Returns:
        Samples × channels.
    """
    last = max(one for one in (0, *audio.channels) if isinstance(one, int))
    recording: np.ndarray = samples[:, None] * np.float32(0.5) ** np.arange(last + 1)
    return recording.astype(samples.dtype)


def to_mono(recording: Recording, *, sample_rate: int, channel: int | str) -> np.ndarray:
    """Bring a recording to mono at the methods' rate and check that there is sound in it.

    Args:
        recording: the decoded file.
        sample_rate: the rate to return, Hz; another rate is resampled with soxr's high quality.
        channel: which channel to take, counted from 0, or ``mean`` of all.

    Returns:
        float32 samples, full scale ±1.

    Raises:
        UnreadableClipError: no samples (or none once resampled), no such channel, NaN or infinite
            samples, or silence.
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
        raise UnreadableClipError(
            "it holds samples far beyond full scale, which is 1 (damaged float data, or integers "
            "that were not divided by theirs)"
        )
    if low == high:
        raise SilentClipError(
            "all samples are zero" if mono[0] == 0 else "all samples have the same value"
        )
    if recording.sample_rate != sample_rate:
        import soxr

        mono = soxr.resample(mono, recording.sample_rate, sample_rate, quality="HQ")
        if not len(mono):
            raise UnreadableClipError(
                f"it is too short: {len(recording.samples)} samples at {recording.sample_rate} Hz "
                f"are none at {sample_rate} Hz"
            )
    return np.ascontiguousarray(mono, dtype=np.float32)
