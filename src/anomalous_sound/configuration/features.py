"""Settings of the log-mel frames, their scaling and their windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from anomalous_sound.configuration.base import PositiveFloat, PositiveInt, Settings


class AudioSettings(Settings):
    """The form in which clips are read."""

    sample_rate: PositiveInt = Field(description="Hz; other rates are resampled")
    channel: Annotated[int, Field(ge=0)] | Literal["mean"] | list[Annotated[int, Field(ge=0)]] = (
        Field(
            description="channel to read, counted from 0, or the mean of all; or a list of "
            "channels, each judged by itself"
        )
    )
    min_sample_rate: PositiveInt = Field(description="Hz; recordings of a lower rate are refused")
    max_sample_rate: PositiveInt = Field(description="Hz; recordings of a higher rate are refused")
    max_samples: PositiveInt = Field(
        description="of a clip, in all channels as recorded, and after resampling"
    )

    @property
    def channels(self) -> Sequence[int | str]:
        """The channels that are judged each by itself: one, where ``channel`` is no list."""
        if isinstance(self.channel, list):
            return self.channel
        return [self.channel]

    @model_validator(mode="after")
    def _a_list_names_several_channels(self) -> Self:
        if isinstance(self.channel, list) and not 1 < len(self.channel) == len(set(self.channel)):
            raise ValueError(
                f"parameter 'audio.channel' is {self.channel}; accepted: two or more channels, "
                "none of them twice, or a single one that is no list"
            )
        return self


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
