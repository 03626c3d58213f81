"""A trained detector: all that it takes to judge a clip, in one thing that stands alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.decision import Per
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.corpus.decode import AudioFile, Recording
from anomalous_sound.corpus.segments import Span, spans
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.clip_judge import ClipJudge
from anomalous_sound.decision.detector_files import read_detector, write_detector
from anomalous_sound.decision.identity import Identity, digest_of
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.thresholds import conformal_at
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import InputError, SilentClipError, UnreadableClipError
from anomalous_sound.methods.trained import Networks

if TYPE_CHECKING:
    from os import PathLike


@dataclass(frozen=True)
class Detector(ClipJudge):
    """Networks, features, score, thresholds and calibration of one machine type.

    It is what a training run makes, and the only thing that judges a clip: the pipelines call its
    parts, so that a clip has the same score and the same decision wherever it is judged.

    Example:
        >>> from anomalous_sound import Detector
        >>> detector = Detector.load("press_3/detector")  # doctest: +SKIP
        >>> detector.judge_file("new.wav").decision  # doctest: +SKIP
        <Label.NORMAL: 'normal'>

    Attributes:
        identity: where the detector comes from; the other parts are those of :class:`.ClipJudge`.
    """

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
        digest = digest_of(self.to_json(), self.networks)
        identity = self.identity.model_copy(update={"digest": digest})
        return replace(self, identity=identity)

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
        return self.judge_clip(recording, self.known_as(machine_id), error_map=error_map)

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
        verdict = self.judge_clip(recording, self.known_as(machine_id), error_map=error_map)
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
                verdict = self.judge_clip(recording, self.known_as(machine_id), error_map=error_map)
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

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the detector as a folder, whole or not at all.

        Behind a URL, what describes it comes last: until then it is not taken for one.
        """
        write_detector(self, self.identity, folder)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Detector:
        """Read a detector; no code in the files is run.

        Args:
            folder: a path, or a URL that fsspec understands (``s3://bucket/detector``).

        Raises:
            InputError: the folder holds no detector, one of another version, or a damaged one.
        """
        parts, identity = read_detector(folder)
        return cls(**vars(parts), identity=identity)

    def _check_is_one_clip(self, samples: int, sample_rate: int, remedy: str) -> None:
        corpus = self.description.corpus
        clips = len(spans(samples, sample_rate, corpus))
        if clips > 1:
            raise UnreadableClipError(
                f"it is a recording of {samples / sample_rate:.0f} s, {clips} clips of "
                f"{corpus.segment_s:g} s for this detector, and one verdict on it would mean "
                f"nothing; {remedy}"
            )
