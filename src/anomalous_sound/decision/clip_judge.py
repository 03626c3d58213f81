"""How one clip is judged: everything that has a say in a verdict, and the way from sound to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.corpus.decode import Recording, check_bounds, to_channels
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.evidence import is_foreign
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.spectra import spectra_of_clip
from anomalous_sound.decision.thresholds import Thresholds, decide
from anomalous_sound.decision.verdict import Band, ErrorMap, Segment, Signal, Verdict
from anomalous_sound.errors import UnreadableClipError
from anomalous_sound.features.levels import (
    crest_db,
    full_scale_share,
    longest_constant,
    rms_dbfs,
)
from anomalous_sound.features.log_mel import (
    log_mel_frames,
    mean_over_channels,
    mel_band_edges_hz,
)
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.methods.trained import NetworkDescription, Networks
from anomalous_sound.scoring.band_errors import ClipErrors, mean_over_members
from anomalous_sound.scoring.channels import scores_of_channels
from anomalous_sound.scoring.encoder import ClipEncoder
from anomalous_sound.scoring.errors import ClipScorer, target_offset_s
from anomalous_sound.scoring.localisation import FREQUENCY, TIME, Place, WindowReference, localise
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.score import Score


@dataclass(frozen=True)
class ClipJudge:
    """Networks, features, score, thresholds and calibration, as they judge a clip.

    Attributes:
        networks: with their features, windows and scaling; trained, or exported.
        score: the anomaly score, fitted on normal training clips.
        thresholds: what decides.
        calibration: scores of held-out normal clips, from which p-values come.
        reference: how large the errors of normal windows usually are; None with a frozen encoder,
            which says nothing of when and where.
        sound: level, crest factor, spectrum, flux and length of normal clips.
        localisation: how many segments and bands a verdict names.
        inference: how the networks are applied.
    """

    networks: Networks
    score: Score
    thresholds: Thresholds
    calibration: CalibrationScores
    reference: WindowReference | None
    sound: SoundReference
    localisation: LocalisationSettings
    inference: ScoringSettings

    @property
    def description(self) -> NetworkDescription:
        """What the networks were trained on, and what they read."""
        return self.networks.description

    def judge_clip(self, recording: Recording, machine_id: str, *, error_map: bool) -> Verdict:
        """Judge one clip, as recorded.

        Args:
            recording: the clip.
            machine_id: of the clip; empty: not known.
            error_map: whether the verdict holds the map of deviations.

        Raises:
            UnreadableClipError: the samples cannot be used (too short, silent, NaN, …).
            InputError: there is no network for the machine ID.
        """
        audio = self.description.features.audio
        check_bounds(len(recording.samples), recording.channels, recording.sample_rate, audio)
        by_channel = to_channels(recording, audio)
        samples = by_channel.ravel()  # those of one channel after those of the other
        frames = self.frames(by_channel)
        if isinstance(self.networks, FrozenEncoder):
            errors = self._encoder.errors("", by_channel)
        else:
            errors = self.errors(frames, machine_id)
        scaled = self.description.scaling.scaled(frames)
        pooled = pool_clip(self.score.settings, errors, scaled)
        score = self.score.clip_score(pooled, machine_id)
        spectra = spectra_of_clip(mean_over_channels(frames, len(audio.channels)))
        evidence = self.sound.weigh(rms_dbfs(samples), crest_db(samples), spectra, machine_id)
        not_comparable = self.sound.not_comparable(recording.duration_s)
        decided = decide(
            *([score], [machine_id], self.thresholds, self.calibration),
            foreign=[is_foreign(evidence)],
            comparable=[not not_comparable],
        )
        mean_errors = mean_over_members(errors.band_errors)
        places = self._localised(mean_errors, machine_id)
        return Verdict(
            score=score,
            threshold=_given(decided.threshold[0]),
            decision=decided.decision[0],
            p_value=_given(decided.p_value[0]),
            segments=tuple(
                Segment(one.start, one.end, one.share) for one in places if one.axis == TIME
            ),
            bands=tuple(
                Band(one.start, one.end, one.share) for one in places if one.axis == FREQUENCY
            ),
            machine_id=machine_id,
            evidence=evidence,
            not_comparable=not_comparable,
            spectra=spectra,
            signal=_signal(recording, audio.channels),
            channel_scores=scores_of_channels(self.score, pooled, machine_id),
            error_map=self._error_map(mean_errors, machine_id) if error_map else None,
        )

    def frames(self, samples: np.ndarray) -> np.ndarray:
        """Return the log-mel frames of a clip, float32, frames × mel bands, dB.

        Args:
            samples: float32 mono samples at the detector's sample rate; or channels × samples,
                where the detector judges several.

        Raises:
            UnreadableClipError: the clip is shorter than a window.
        """
        description = self.description
        features = description.features
        by_channel = np.atleast_2d(samples)
        frames = log_mel_frames(by_channel, features)
        if len(frames) < description.windows.frames:
            raise UnreadableClipError(
                f"it is too short: {by_channel.shape[1] / features.audio.sample_rate:.2f} s is "
                f"{len(frames)} frames, and a window with its next frame needs "
                f"{description.windows.frames}"
            )
        return frames

    def errors(self, frames: np.ndarray, machine_id: str) -> ClipErrors:
        """Return the errors of all windows of a clip; a frozen encoder makes none.

        Args:
            frames: log-mel frames of the clip; see :meth:`frames`.
            machine_id: of the clip; empty: not known.

        Raises:
            InputError: there is no network for the machine ID.
        """
        first_frames = np.arange(len(frames) - self.description.windows.frames + 1)
        return self._scorer.errors("", frames, first_frames, machine_id)

    def error_map(self, frames: np.ndarray, machine_id: str) -> ErrorMap | None:
        """Return how far each moment and mel band of a clip is from normal.

        None with a frozen encoder, which says nothing of when and where.

        Args:
            frames: log-mel frames of the clip; see :meth:`frames`.
            machine_id: of the clip; empty: not known.

        Raises:
            InputError: there is no network for the machine ID.
        """
        if self.reference is None:
            return None
        errors = self.errors(frames, machine_id)
        return self._error_map(mean_over_members(errors.band_errors), machine_id)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the weights, as JSON values."""
        return {
            "networks": self.description.to_json(),
            "score": self.score.to_json(),
            "thresholds": self.thresholds.to_json(),
            "calibration": self.calibration.to_json(),
            "reference": None if self.reference is None else self.reference.to_json(),
            "sound": self.sound.to_json(),
            "localisation": self.localisation.model_dump(mode="json"),
            "inference": self.inference.model_dump(mode="json"),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], networks: Networks) -> Self:
        """Take what :meth:`to_json` returned, and the networks.

        Raises:
            LookupError, TypeError, ValueError: the values are not what :meth:`to_json` returns.
        """
        no_places = values["reference"] is None
        return cls(
            networks=networks,
            score=Score.from_json(values["score"]),
            thresholds=Thresholds.from_json(values["thresholds"]),
            calibration=CalibrationScores.from_json(values["calibration"]),
            reference=None if no_places else WindowReference.from_json(values["reference"]),
            sound=SoundReference.from_json(values["sound"]),
            localisation=LocalisationSettings.model_validate(values["localisation"]),
            inference=ScoringSettings.model_validate(values["inference"]),
        )

    def _localised(self, errors: np.ndarray, machine_id: str) -> list[Place]:
        if self.reference is None:
            return []
        return localise(
            errors,
            self.reference,
            machine_id,
            times_s=self._times_s(len(errors)),
            band_edges_hz=self._band_edges_hz,
            settings=self.localisation,
        )

    def _error_map(self, errors: np.ndarray, machine_id: str) -> ErrorMap | None:
        if self.reference is None:
            return None
        return ErrorMap(
            self.reference.deviation_map(errors, machine_id),
            self._times_s(len(errors)),
            self._band_edges_hz,
        )

    def _times_s(self, windows: int) -> np.ndarray:
        frame_s = self.description.features.frame_s
        return np.arange(windows) * frame_s + target_offset_s(self.description)

    @cached_property
    def _band_edges_hz(self) -> np.ndarray:
        features = self.description.features
        return mel_band_edges_hz(features.log_mel.n_mels, features.audio.sample_rate)

    @cached_property
    def _scorer(self) -> ClipScorer:
        return ClipScorer(self.networks, self.inference)

    @cached_property
    def _encoder(self) -> ClipEncoder:
        assert isinstance(self.networks, FrozenEncoder)
        return ClipEncoder(self.networks)


def _signal(recording: Recording, channels: Sequence[int | str]) -> Signal:
    """Return what the samples of the channels that are judged say of the sensor: the worst one."""
    by_channel = recording.samples.T
    heard = by_channel if "mean" in channels else by_channel[list(map(int, channels))]
    return Signal(
        duration_s=recording.duration_s,
        full_scale_share=max(map(full_scale_share, heard)),
        constant_s=max(map(longest_constant, heard)) / recording.sample_rate,
    )


def _given(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
