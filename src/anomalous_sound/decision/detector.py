"""A trained detector: all that it takes to judge a clip, in one thing that stands alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.base import Settings
from anomalous_sound.configuration.decision import Per
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.corpus.decode import AudioFile, Recording, check_bounds, to_channels
from anomalous_sound.corpus.segments import Span, spans
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.evidence import is_foreign
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.spectra import spectra_of_clip
from anomalous_sound.decision.thresholds import Thresholds, conformal_at, decide
from anomalous_sound.decision.verdict import (
    Band,
    ErrorMap,
    Rejection,
    Segment,
    Signal,
    Verdict,
)
from anomalous_sound.errors import InputError, SilentClipError, UnreadableClipError
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
from anomalous_sound.methods.network_files import read_networks, write_networks
from anomalous_sound.methods.trained import NetworkDescription, Networks
from anomalous_sound.scoring.band_errors import ClipErrors, mean_over_members
from anomalous_sound.scoring.channels import scores_of_channels
from anomalous_sound.scoring.encoder import ClipEncoder
from anomalous_sound.scoring.errors import ClipScorer, target_offset_s
from anomalous_sound.scoring.localisation import FREQUENCY, TIME, Place, WindowReference, localise
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.score import Score
from anomalous_sound.storage.atomic import replaced_folder
from anomalous_sound.storage.remote import fetched_folder, is_url, sent_folder
from anomalous_sound.storage.seal import damaged_file, sealed

if TYPE_CHECKING:
    from os import PathLike

SETTINGS_FILE = "settings.json"


class Identity(Settings):
    """Where a detector comes from.

    Attributes:
        method: the method that it was trained by.
        trained_at: when it was put together, UTC (ISO 8601).
        version: of this package.
        digest: of everything in it that has a say in a verdict; two detectors of one digest judge
            alike.
        recalibrated_at: when its thresholds were computed anew, without training; None: never.
        exported_from: the digest of the detector that it is an export of; None: it is none.
    """

    method: str
    trained_at: str
    version: str
    digest: str
    recalibrated_at: str | None
    exported_from: str | None


@dataclass(frozen=True)
class Detector:
    """Networks, features, score, thresholds and calibration of one machine type.

    It is what a training run makes, and the only thing that judges a clip: the pipelines call its
    parts, so that a clip has the same score and the same decision wherever it is judged.

    Example:
        >>> from anomalous_sound import Detector
        >>> detector = Detector.load("press_3/detector")  # doctest: +SKIP
        >>> detector.judge_file("new.wav").decision  # doctest: +SKIP
        <Label.NORMAL: 'normal'>

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
        identity: where the detector comes from.
    """

    networks: Networks
    score: Score
    thresholds: Thresholds
    calibration: CalibrationScores
    reference: WindowReference | None
    sound: SoundReference
    localisation: LocalisationSettings
    inference: ScoringSettings
    identity: Identity

    @classmethod
    def assemble(
        cls, *, trained_at: str, version: str, networks: Networks, **parts: Any
    ) -> Detector:
        """Put a detector together and give it its identity.

        Args:
            trained_at: when, UTC (ISO 8601).
            version: of this package.
            networks: the trained networks.
            parts: the other attributes.
        """
        method = networks.description.method
        identity = Identity(
            method=method,
            trained_at=trained_at,
            version=version,
            digest="",
            recalibrated_at=None,
            exported_from=None,
        )
        return cls(networks=networks, identity=identity, **parts)._named()

    def at_rate(self, rate: float, *, per: Per | None = None, by_score: bool = False) -> Detector:
        """Return this detector with conformal thresholds for another false-alarm rate.

        The scores that it was calibrated with are part of it, so any rate that so many clips can
        promise is free.

        Args:
            rate: above 0 and below 1.
            per: which clips share a threshold; None: as now.
            by_score: whether it is the rate of scores at or above the threshold; otherwise that of
                anomalous clips, foreign ones included.

        Raises:
            InputError: there are too few calibration clips, or too many are foreign; it says how
                many are needed.
        """
        thresholds = conformal_at(
            *(self.calibration, rate),
            per=per or self.thresholds.per,
            # those of single machine IDs say nothing of others
            for_unseen=self.thresholds.for_unseen and per != "machine_id",
            by_score=by_score,
        )
        return replace(self, thresholds=thresholds)._named()

    def recalibrated(
        self,
        calibration: CalibrationScores,
        sound: SoundReference,
        rate: float,
        *,
        recalibrated_at: str,
        for_unseen: bool = False,
    ) -> Detector:
        """Return this detector with conformal thresholds from other normal clips.

        Args:
            calibration: scores that this detector gives normal clips it was not trained on.
            sound: level, crest factor and spectrum of the same clips.
            rate: the false-alarm rate to promise, above 0 and below 1.
            recalibrated_at: when, UTC (ISO 8601).
            for_unseen: whether whole machine IDs were left out, so that it speaks for others too.

        Raises:
            InputError: there are too few calibration clips; it says how many are needed.
        """
        per = self.thresholds.per
        thresholds = conformal_at(calibration, rate, per=per, for_unseen=for_unseen)
        identity = self.identity.model_copy(update={"recalibrated_at": recalibrated_at})
        return replace(
            self,
            calibration=calibration,
            sound=sound,
            thresholds=thresholds,
            identity=identity,
        )._named()

    def with_networks(self, networks: Networks, inference: ScoringSettings) -> Detector:
        """Return this detector with its networks in another form: an export of it.

        Args:
            networks: the same networks, exported.
            inference: how they are applied.
        """
        identity = self.identity.model_copy(update={"exported_from": self.identity.digest})
        return replace(self, networks=networks, inference=inference, identity=identity)._named()

    def _named(self) -> Detector:
        """Return this detector with the digest of what is in it."""
        identity = self.identity.model_copy(update={"digest": self._digest()})
        return replace(self, identity=identity)

    @property
    def description(self) -> NetworkDescription:
        """What the networks were trained on, and what they read."""
        return self.networks.description

    @property
    def machine_ids(self) -> list[str] | None:
        """The machine IDs that can be scored; None: any, also one that was not trained on."""
        return None if self.networks.shared else list(self.description.machine_ids)

    def known_as(self, machine_id: str | None) -> str:
        """Return the machine ID that a clip is judged as.

        Args:
            machine_id: of the clip; None or empty: not known. A detector of one machine ID takes
                the clip to be of that one.
        """
        trained_on = self.description.machine_ids
        return machine_id or (trained_on[0] if len(trained_on) == 1 else "")

    def check_machine_id(self, machine_id: str | None, given_as: str) -> None:
        """Make sure that a machine ID that the user names is one that the detector knows.

        Args:
            machine_id: what the user named; None: nothing.
            given_as: the parameter or option.

        Raises:
            InputError: it was neither trained on nor calibrated.
        """
        trained_on = self.description.machine_ids
        if machine_id in (None, *trained_on) or self.thresholds.judges(machine_id):
            return
        raise InputError(
            f"{given_as} is '{machine_id}', which the detector was not trained on; it was trained "
            f"on {', '.join(map(repr, trained_on))}."
        )

    def judge(
        self,
        samples: np.ndarray,
        sample_rate: int,
        *,
        machine_id: str | None = None,
        error_map: bool = False,
    ) -> Verdict:
        """Judge one clip.

        Args:
            samples: float, full scale ±1: samples, or samples × channels.
            sample_rate: Hz.
            machine_id: of the machine in the clip; None: not known, so that a detector of several
                cannot decide.
            error_map: whether the verdict holds the map of deviations.

        Raises:
            UnreadableClipError: the samples cannot be used (too short, silent, NaN, …), or they are
                a recording that the detector would cut into clips.
            InputError: there is no network for the machine ID.
        """
        by_channel = np.asarray(samples, dtype=np.float32)
        if by_channel.ndim == 1:
            by_channel = by_channel[:, None]
        recording = Recording(by_channel, sample_rate)
        self._check_is_one_clip(len(by_channel), sample_rate, "cut it, and judge each clip")
        return self._judge(recording, self.known_as(machine_id), error_map=error_map)

    def judge_file(
        self,
        path: str | PathLike[str],
        *,
        machine_id: str | None = None,
        error_map: bool = False,
    ) -> Verdict:
        """Judge one audio file that holds one clip; see :meth:`judge`.

        A long recording would have one score that no threshold fits, and so is refused: judge it
        with :meth:`judge_recording`.

        Raises:
            UnreadableClipError: the file cannot be read, or not be used, or holds several clips.
            InputError: there is no network for the machine ID.
        """
        file, audio = AudioFile(Path(path)), self.description.features.audio
        form = file.form(audio)
        self._check_is_one_clip(form.samples, form.sample_rate, "use Detector.judge_recording")
        recording = file.recording(audio=audio)
        verdict = self._judge(recording, self.known_as(machine_id), error_map=error_map)
        return replace(verdict, source=Path(path))

    def judge_recording(
        self,
        path: str | PathLike[str],
        *,
        machine_id: str | None = None,
        error_map: bool = False,
        jobs: int = 1,
    ) -> Iterator[Verdict | Rejection]:
        """Judge a recording of any length clip by clip, cut as those that were trained on.

        No more of it than a few clips is in memory at a time.

        Args:
            path: the file.
            machine_id: of the machine in it; None: not known.
            error_map: whether verdicts hold the map of deviations.
            jobs: clips judged at once; -1: as many as there are cores.

        Yields:
            A verdict on each clip, in their order; a rejection of each that cannot be used, such as
            silence. ``start_s`` says where in the recording the clip begins.

        Raises:
            UnreadableClipError: the file cannot be read, or ends before its header says.
            InputError: there is no network for the machine ID.
        """
        source = Path(path)
        file, audio = AudioFile(source), self.description.features.audio
        form = file.form(audio)
        cut = spans(form.samples, form.sample_rate, self.description.corpus)
        if len(cut) > 1:  # a damaged header may promise hundreds of thousands of clips
            file.recording(cut[-1], audio=audio)

        def judged(span: Span) -> Verdict | Rejection:
            start_s = span.start / form.sample_rate
            try:
                recording = file.recording(span if len(cut) > 1 else None, audio=audio)
                verdict = self._judge(recording, self.known_as(machine_id), error_map=error_map)
            except UnreadableClipError as error:
                is_silent = isinstance(error, SilentClipError)
                known_as = self.known_as(machine_id)
                return Rejection(source, str(error), start_s, is_silent, known_as)
            return replace(verdict, source=source, start_s=start_s)

        yield from in_threads((partial(judged, span) for span in cut), jobs)

    def judge_files(
        self,
        paths: Iterable[str | PathLike[str]],
        *,
        machine_id: str | None = None,
        error_map: bool = False,
        jobs: int = 1,
    ) -> Iterator[Verdict | Rejection]:
        """Judge many audio files, in their order; those that cannot be used are rejected.

        Args:
            paths: the files.
            machine_id: of the machine in all of them; None: not known.
            error_map: whether verdicts hold the map of deviations.
            jobs: files judged at once; -1: as many as there are cores.

        Raises:
            InputError: there is no network for the machine ID.
        """

        def judged(path: Path) -> Verdict | Rejection:
            try:
                return self.judge_file(path, machine_id=machine_id, error_map=error_map)
            except UnreadableClipError as error:
                return Rejection(path, str(error))

        yield from in_threads((partial(judged, Path(path)) for path in paths), jobs)

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

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the detector as a folder, whole or not at all.

        Behind a URL, what describes it comes last: until then it is not taken for one.
        """
        if is_url(folder):
            with sent_folder(str(folder), last=SETTINGS_FILE) as place:
                self.save(place)
            return
        values = {"identity": self.identity.model_dump(mode="json"), **self._values()}
        with replaced_folder(Path(folder)) as place:
            files, of_networks = write_networks(self.networks, place)
            text = json.dumps(sealed({**values, **of_networks}, place, files), indent=1)
            (place / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Detector:
        """Read a detector; no code in the files is run.

        Args:
            folder: a path, or a URL that fsspec understands (``s3://bucket/detector``).

        Raises:
            InputError: the folder holds no detector, one of another version, or a damaged one.
        """
        if is_url(folder):
            with fetched_folder(str(folder)) as place:
                return cls._load(place, str(folder))
        return cls._load(Path(folder), str(folder))

    @classmethod
    def _load(cls, place: Path, called: str) -> Detector:
        if not (place / SETTINGS_FILE).is_file():
            raise InputError(
                f"{called} holds no detector; train one first: kedro run --pipeline METHOD."
            )
        try:
            values = json.loads((place / SETTINGS_FILE).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise _unreadable(place, error) from error
        if not isinstance(values, dict):
            raise _damaged(place / SETTINGS_FILE)
        expected = ("identity", *_PARTS)
        if absent := [name for name in expected if name not in values]:
            raise InputError(
                f"the detector in {place} holds no {', '.join(absent)}: it was trained by an "
                "earlier version; train it again: kedro run --pipeline METHOD."
            )
        try:
            detector = cls._from_json(values, place)
        except InputError:
            raise
        except (KeyError, ValidationError) as error:
            if damaged := damaged_file(values, place, SETTINGS_FILE):
                raise _damaged(damaged) from error
            raise InputError(
                f"the detector in {place} lacks settings that are needed: it was trained by an "
                "earlier version; train it again: kedro run --pipeline METHOD."
            ) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _damaged(place / SETTINGS_FILE) from error
        if damaged := damaged_file(values, place, SETTINGS_FILE):
            raise _damaged(damaged)
        if detector._digest() != detector.identity.digest:  # both files were changed
            raise _damaged(place)
        return detector

    @classmethod
    def _from_json(cls, values: Mapping[str, Any], folder: Path) -> Detector:
        description = NetworkDescription.from_json(values["networks"])
        no_places = values["reference"] is None
        identity = {"recalibrated_at": None, "exported_from": None, **values["identity"]}
        return cls(
            networks=_networks(values, folder, description),
            score=Score.from_json(values["score"]),
            thresholds=Thresholds.from_json(values["thresholds"]),
            calibration=CalibrationScores.from_json(values["calibration"]),
            reference=None if no_places else WindowReference.from_json(values["reference"]),
            sound=SoundReference.from_json(values["sound"]),
            localisation=LocalisationSettings.model_validate(values["localisation"]),
            inference=ScoringSettings.model_validate(values["inference"]),
            identity=Identity.model_validate(identity),
        )

    def _check_is_one_clip(self, samples: int, sample_rate: int, remedy: str) -> None:
        corpus = self.description.corpus
        clips = len(spans(samples, sample_rate, corpus))
        if clips > 1:
            raise UnreadableClipError(
                f"it is a recording of {samples / sample_rate:.0f} s, {clips} clips of "
                f"{corpus.segment_s:g} s for this detector, and one verdict on it would mean "
                f"nothing; {remedy}"
            )

    def _judge(self, recording: Recording, machine_id: str, *, error_map: bool) -> Verdict:
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

    def _values(self) -> dict[str, Any]:
        """Return everything but weights and identity, as JSON values."""
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

    def _digest(self) -> str:
        digest = hashlib.sha256(json.dumps(self._values(), sort_keys=True).encode())
        for name, content in self.networks.contents():
            digest.update(name.encode())
            digest.update(content)
        return digest.hexdigest()[:16]


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


def _networks(values: Mapping[str, Any], folder: Path, description: NetworkDescription) -> Networks:
    try:
        return read_networks(values, folder, description)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"the detector in {folder} cannot be read ({error}); copy it again, or train it again: "
        "kedro run --pipeline METHOD."
    )


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is damaged: it is not as it was written, or was written by another version; copy "
        "the detector again, or train it again: kedro run --pipeline METHOD."
    )


_PARTS = (
    "networks",
    "score",
    "thresholds",
    "calibration",
    "reference",
    "sound",
    "localisation",
    "inference",
)
