"""Embeddings of a frozen encoder that the user gives: nothing is trained, the score is fitted."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from anomalous_sound.configuration.base import PositiveFloat, PositiveInt
from anomalous_sound.configuration.scoring import BandDeviationSettings, JoinedScoreSettings
from anomalous_sound.methods.base import FrozenSettings, Method, NetworkSettings


class EncoderSettings(NetworkSettings):
    """The encoder: an ONNX model from mono samples to embeddings."""

    architecture: Literal["frozen_encoder"]
    path: str | None = Field(description="of the ONNX file; null: the method cannot be run")
    sample_rate: PositiveInt | None = Field(description="Hz, of the samples that it reads")
    output: str | None = Field(description="which output, where the model has several")
    piece_s: PositiveFloat | None = Field(
        description="seconds that it reads at once; null: what the model says, or the whole clip"
    )
    hop_s: PositiveFloat | None = Field(
        description="seconds from one piece to the next; null: as long as a piece"
    )
    rest: Literal["pad", "drop"] = Field(
        description="of a clip that no whole piece covers: filled up with zeros, or left out"
    )
    max_bytes: PositiveInt = Field(description="of the file; it is held in memory")

    def target_frames(self, length: int) -> tuple[int, int]:
        """All frames of the window; no time is told of an embedding."""
        return 0, length - 1

    @model_validator(mode="after")
    def _nothing_lies_between_the_pieces(self) -> Self:
        if self.piece_s and self.hop_s and self.hop_s > self.piece_s:
            raise ValueError(
                f"parameter 'embedding.encoder.hop_s' is {self.hop_s}; accepted: at most "
                f"{self.piece_s}, embedding.encoder.piece_s, so that no sound lies between two "
                "pieces"
            )
        return self


class EmbeddingSettings(FrozenSettings):
    """Parameters of embeddings."""

    encoder: EncoderSettings

    @model_validator(mode="after")
    def _the_score_reads_embeddings(self) -> Self:
        score = self.score
        for part in score.parts if isinstance(score, JoinedScoreSettings) else [score]:
            if not isinstance(part, BandDeviationSettings):
                raise ValueError(
                    f"parameter 'embedding.score.type' is {part.type}, and an embedding is no "
                    "error; accepted: band_deviation, or joined of such"
                )
            if part.reads != "errors" or part.scale != "linear":
                raise ValueError(
                    f"parameter 'embedding.score' has reads {part.reads} and scale {part.scale}; "
                    "accepted: errors (the embedding) and linear (its values may be negative)"
                )
        return self


METHOD = Method(
    name="embedding",
    title="embeddings of a frozen encoder",
    summary="compares what an encoder that you give says of a clip; nothing is trained",
    settings=EmbeddingSettings,
    network="",
    next_frame=True,
    frozen=True,
)
