"""Settings of the anomaly score and of the localisation.

A score is described by a tagged union: ``type`` says which one it is, and each has only the options
that do something for it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from anomalous_sound.configuration.base import (
    Fraction,
    NotNegativeFloat,
    Percentile,
    PositiveFloat,
    PositiveInt,
    Rate,
    Settings,
    only_own_options,
)


class MeanPooling(Settings):
    """The mean over time."""

    type: Literal["mean"]


class MedianPooling(Settings):
    """The median over time."""

    type: Literal["median"]


class MaximumPooling(Settings):
    """The highest value over time."""

    type: Literal["maximum"]


class PercentilePooling(Settings):
    """A percentile over time."""

    type: Literal["percentile"]
    percentile: Percentile


class RankedPooling(Settings):
    """A weighted mean over time in which the r-th highest value weighs decay^r."""

    type: Literal["ranked"]
    decay: Annotated[float, Field(ge=0, le=1)] = Field(description="1: the mean, 0: the maximum")


Pooling = Annotated[
    MeanPooling | MedianPooling | MaximumPooling | PercentilePooling | RankedPooling,
    Field(discriminator="type"),
    only_own_options(MeanPooling, MedianPooling, MaximumPooling, PercentilePooling, RankedPooling),
]


class MeanBackend(Settings):
    """The mean of the whitened bands."""

    type: Literal["mean"]


class MaximumBackend(Settings):
    """The largest of the whitened bands."""

    type: Literal["maximum"]


class MeanSquareBackend(Settings):
    """The mean square of the whitened bands, dB."""

    type: Literal["mean_square"]


class GaussianMixtureBackend(Settings):
    """The deviance of the whitened bands from a Gaussian mixture of normal clips, dB."""

    type: Literal["gaussian_mixture"]
    components: PositiveInt
    reg_covar: PositiveFloat = Field(
        description="added to each band's variance: a component of few clips would have none"
    )


class NearestNeighboursBackend(Settings):
    """The mean distance of the whitened bands to those of the nearest normal clips."""

    type: Literal["nearest_neighbours"]
    neighbours: PositiveInt


class LocalDensityBackend(Settings):
    """The distance to the nearest normal clip, over how far apart normal clips lie there, dB."""

    type: Literal["local_density"]
    neighbours: PositiveInt = Field(
        description="of each normal clip: their mean distance is how far apart clips lie there"
    )


Backend = Annotated[
    MeanBackend
    | MaximumBackend
    | MeanSquareBackend
    | GaussianMixtureBackend
    | NearestNeighboursBackend
    | LocalDensityBackend,
    Field(discriminator="type"),
    only_own_options(
        MeanBackend,
        MaximumBackend,
        MeanSquareBackend,
        GaussianMixtureBackend,
        NearestNeighboursBackend,
        LocalDensityBackend,
    ),
]


class PooledErrorSettings(Settings):
    """The pooled window error itself: nothing is fitted. The lab report's score."""

    type: Literal["pooled_error"]
    pooling: Pooling


class BandDeviationSettings(Settings):
    """How far a clip's mel bands, pooled over time, are from those of normal training clips."""

    type: Literal["band_deviation"]
    reads: Literal["errors", "spectrum"] = Field(
        description="errors: those of the network; spectrum: the scaled log-mel frames themselves"
    )
    pooling: Pooling
    scale: Literal["linear", "logarithmic"] = Field(
        description="of the pooled bands before they are compared"
    )
    whitening: Literal["band", "mahalanobis"] = Field(
        description="band: each band by its own spread; mahalanobis: correlations removed too"
    )
    reference: Literal["machine_id", "machine_type", "balanced", "domain"] = Field(
        description="the normal clips that a clip is compared with: those of its machine ID; of "
        "all; of its machine ID, with source and target domain counting alike (balanced); or of "
        "the domain of its machine ID that it is nearer to (domain)"
    )
    prior_clips: NotNegativeFloat = Field(
        description="so many clips the mean of the machine type counts in that of a machine ID"
    )
    backend: Backend


PartSettings = Annotated[
    PooledErrorSettings | BandDeviationSettings,
    Field(discriminator="type"),
    only_own_options(PooledErrorSettings, BandDeviationSettings),
]


class JoinedScoreSettings(Settings):
    """The mean of several scores, each in standard deviations of left-out normal clips."""

    type: Literal["joined"]
    parts: Annotated[list[PartSettings], Field(min_length=1)]
    fits: PositiveInt = Field(
        description="of each part, without some of the normal clips: how far their scores spread"
    )


ScoreSettings = Annotated[
    PooledErrorSettings | BandDeviationSettings | JoinedScoreSettings,
    Field(discriminator="type"),
    only_own_options(PooledErrorSettings, BandDeviationSettings, JoinedScoreSettings),
]


class ChannelsScoreSettings(Settings):
    """One score of several channels, as ``audio.channel`` and ``detector.channels`` say."""

    type: Literal["channels"]
    channels: list[int] = Field(description="as recorded, counted from 0")
    rule: Literal["maximum", "mean"] = Field(
        description="of the channels' scores, in standard deviations of left-out normal clips"
    )
    fits: PositiveInt = Field(description="of each channel's score, without some normal clips")
    of: ScoreSettings = Field(description="the score of each channel")


ClipScoreSettings = Annotated[
    PooledErrorSettings | BandDeviationSettings | JoinedScoreSettings | ChannelsScoreSettings,
    Field(discriminator="type"),
]
"""Of the score of a detector: one that parameters describe, or that of several channels."""


class EventWordSettings(Settings):
    """When an event is called what."""

    narrow_bands: PositiveInt = Field(description="mel bands of what is narrow, at most")
    lasting: Rate = Field(description="share of the clip that something all the time takes up")
    tone_s: PositiveFloat = Field(description="seconds of a tone, at least")
    short_s: PositiveFloat = Field(description="seconds of a burst, at most")
    rise_db: PositiveFloat = Field(
        description="by which a tone is above the bands beside it, a burst above what is around it"
    )
    series: Annotated[int, Field(ge=3)] = Field(description="events of a series, at least")
    overlap: Rate = Field(description="share of their frequencies that those of a series share")
    irregularity: Fraction = Field(description="of a period, by which those of a series may be off")


class EventSettings(Settings):
    """Boxes in time and frequency where a clip deviates more than normal clips do."""

    count: PositiveInt = Field(description="events named of each clip, at most")
    quantile: Fraction = Field(description="of the deviations of normal clips: events lie above it")
    false_event_rate: Fraction = Field(
        description="share of the normal clips that may have an event heavy enough to count"
    )
    smooth_windows: PositiveInt = Field(description="windows that a deviation is averaged over")
    smooth_bands: PositiveInt = Field(description="mel bands that a deviation is averaged over")
    words: EventWordSettings


class LocalisationSettings(Settings):
    """When and where a clip deviates."""

    segment_s: PositiveFloat = Field(description="seconds of a named segment of time")
    segments: PositiveInt = Field(description="segments named of each clip")
    bands: PositiveInt = Field(description="mel bands named of each clip")
    peak_percentile: Percentile = Field(
        description="of a band's errors over time: its peak, by which bands are compared"
    )
    events: EventSettings
    clip_ids: list[str] | None = Field(
        description="the clips drawn; null: the least and the most anomalous test clip"
    )
