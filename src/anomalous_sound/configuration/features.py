"""Settings of the log-mel frames, their scaling and their windows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from anomalous_sound.configuration.base import PositiveFloat, PositiveInt, Settings


class AudioSettings(Settings):
    """The form in which clips are read."""

    sample_rate: PositiveInt = Field(description="Hz; other rates are resampled")
    channel: Annotated[int, Field(ge=0)] | Literal["mean"] = Field(
        description="channel to read, counted from 0, or the mean of all"
    )
    min_sample_rate: PositiveInt = Field(description="Hz; recordings of a lower rate are refused")
    max_sample_rate: PositiveInt = Field(description="Hz; recordings of a higher rate are refused")
    max_samples: PositiveInt = Field(
        description="of a clip, in all channels as recorded, and after resampling"
    )


class LogMelSettings(Settings):
    """The log-mel spectrogram."""

    n_fft: PositiveInt = Field(description="samples of a frame")
    hop_length: PositiveInt = Field(description="samples from one frame to the next")
    n_mels: PositiveInt = Field(description="mel bands")
    top_db: PositiveFloat | None = Field(
        description="dB kept below the clip's maximum, to which all values are relative; null: "
        "decibels of the power itself, nothing cut"
    )


class ScalingSettings(Settings):
    """How decibels are scaled for the networks."""

    method: Literal["clip", "corpus", "band", "none"] = Field(
        description="clip or corpus: to [0, 1]; band: to mean 0 and standard deviation 1; none: "
        "decibels as they are"
    )


class WindowSettings(Settings):
    """The form of a window."""

    length: PositiveInt = Field(description="frames of a window")
    next_frame: bool = Field(description="whether a window must have a next frame")

    @property
    def frames(self) -> int:
        """Frames that a window reads, its next one included."""
        return self.length + self.next_frame


class FeatureSettings(Settings):
    """All that turns a recording into the frames that a network reads."""

    audio: AudioSettings
    log_mel: LogMelSettings

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.log_mel.hop_length / self.audio.sample_rate
