"""Settings of the pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from anomalous_sound.configuration.base import NotNegativeFloat, PositiveInt, Settings

Count = Annotated[int, Field(ge=0)]


class PageSettings(Settings):
    """The page that can be heard: ``report.html``."""

    highest: Count = Field(description="clips with a player: so many of the highest scores")
    normal: Count = Field(description="and so many called normal, from the middle of their scores")
    disputed: Count = Field(
        description="clips with a player in a comparison: those that methods decide differently"
    )
    listed: PositiveInt = Field(description="clips listed without a player, at most")
    audio: Literal["flac", "ogg"] = Field(
        description="flac: lossless, played by every browser; ogg: a quarter of the size"
    )
    lead_s: NotNegativeFloat = Field(description="seconds that a player starts before an event")
