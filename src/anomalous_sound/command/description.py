"""What a detector says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anomalous_sound.decision.calibration import in_words
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.vocabulary import DrawUnit

FROM_FEEDBACK = "feedback:"  # begins the names of calibration clips that were alarms
_WHAT_WAS_LEFT_OUT: Mapping[DrawUnit, str] = {
    "clips": "",
    "recordings": "whole recordings were left out, so it rests on how many these are",
    "blocks": "blocks of recordings were left out, so it holds for the days of these",
}


def facts(detector: Detector) -> dict[str, Any]:
    """Return what a detector was trained on, promises and reads, as JSON values."""
    description, corpus = detector.description, detector.description.corpus
    features = description.features
    thresholds, calibration = detector.thresholds, detector.calibration
    return {
        "identity": detector.identity.model_dump(mode="json"),
        "method": methods()[description.method].title,
        "networks": len(detector.networks.members()),
        "trained_on": {
            "corpus": corpus.name,
            "simulated": corpus.simulated,
            "fingerprint": corpus.fingerprint,
            "clips": corpus.clips_by_split_and_label,
        },
        "machine_type": corpus.machine_type,
        "machine_ids": list(description.machine_ids),
        "features": {
            "sample_rate_hz": features.audio.sample_rate,
            "channel": features.audio.channel,
            "n_mels": features.log_mel.n_mels,
            "n_fft": features.log_mel.n_fft,
            "hop_length": features.log_mel.hop_length,
            "scaling": description.scaling.method,
            "clip_s": corpus.segment_s,
            "decided_s": detector.sound.comparable_s,
        },
        "thresholds": {
            "strategy": thresholds.strategy,
            "false_alarm_rate": thresholds.false_alarm_rate,
            "per": thresholds.per,
            "note": thresholds.note,
            "by_machine_id": dict(thresholds.by_machine_id),
        },
        "calibration": {
            "clips": {
                name: len(calibration.values(name)) for name in sorted(set(calibration.machine_ids))
            },
            "in_folds": calibration.in_folds,
        },
    }


def in_lines(detector: Detector) -> list[str]:
    """Return the facts in lines for people."""
    found = facts(detector)
    identity, trained_on, features = found["identity"], found["trained_on"], found["features"]
    clips = ", ".join(f"{count} {which}" for which, count in trained_on["clips"].items())
    channel = features["channel"]
    if isinstance(channel, list):
        channel = " and ".join(map(str, channel)) + " each by itself"
    again, exported = identity["recalibrated_at"], identity["exported_from"]
    return [
        f"Method        {found['method']}; networks: {found['networks']}",
        f"Digest        {identity['digest']}"
        + (f", an export of {exported}; no PyTorch needed" if exported else ""),
        f"Trained       {identity['trained_at']}, by version {identity['version']}"
        + (f"; recalibrated {again}" if again else ""),
        f"Trained on    {trained_on['corpus']}{' (simulated data)' * trained_on['simulated']}: "
        f"{clips}; fingerprint {trained_on['fingerprint']}",
        f"Machine type  {found['machine_type']}",
        f"Machine IDs   {', '.join(map(named, found['machine_ids']))}",
        f"Features      {features['n_mels']} mel bands, {features['sample_rate_hz']} Hz, n_fft "
        f"{features['n_fft']}, hop {features['hop_length']}, channel {channel}, "
        f"scaling {features['scaling']}"
        + (f"; recordings are cut into {features['clip_s']:g} s" if features["clip_s"] else ""),
        *_lengths(detector),
        *_encoder(detector),
        f"Promises      {promise(detector)}",
        *_thresholds(detector.thresholds),
    ]


def _lengths(detector: Detector) -> list[str]:
    if detector.sound.comparable_s is None:
        return []
    from_s, to_s = detector.sound.comparable_s
    return [f"Clip length   decides clips of {from_s:.1f} to {to_s:.1f} s; others are undecided"]


def _encoder(detector: Detector) -> list[str]:
    networks = detector.networks
    if not isinstance(networks, FrozenEncoder):
        return []
    return [f"Encoder       {networks.file.path}, sha256 {networks.file.sha256}; not copied"]


def _thresholds(thresholds: Thresholds) -> list[str]:
    judged = ", ".join(map(named, thresholds.by_machine_id))
    if thresholds.shared is not None:
        more = ", and others" if thresholds.for_unseen else ""
        return [f"Threshold     {thresholds.shared:.5g} for machine ID {judged}{more}"]
    return [
        f"Threshold     {value:.5g} for machine ID {named(name)}"
        for name, value in thresholds.by_machine_id.items()
    ]


def promise(detector: Detector) -> str:
    """Say which false-alarm rate a detector promises, and from how many clips."""
    thresholds, calibration = detector.thresholds, detector.calibration
    rate, clips = thresholds.false_alarm_rate, len(calibration.scores)
    source = f"from {clips} normal clips" + (
        ", each scored by networks that have not heard it"
        if calibration.in_folds
        else " that it was not trained on"
    )
    if chosen := sum(name.startswith(FROM_FEEDBACK) for name in calibration.clip_ids):
        source += f", {chosen} of them chosen because they were alarms"
    if rate is None:
        why = f": {thresholds.note}" if thresholds.note else ""
        return f"no false-alarm rate ({thresholds.strategy}{why}); {source}"
    of_each = thresholds.per == "machine_id"
    whose = " of each machine ID" if of_each else ""
    holds = STRATEGIES[thresholds.strategy].holds_when(
        in_folds=calibration.in_folds,
        mixed=not of_each and len(set(calibration.machine_ids)) > 1,
    )
    joint = thresholds.with_foreign
    foreign = sum(calibration.foreign or ())
    said = [
        f"at most {in_words(rate)} normal clips{whose} an alarm"
        f"{', foreign sound included' if joint else ' by the score'} "
        f"({thresholds.strategy}: {holds})",
        "" if joint else f"foreign sound adds {100 * detector.sound.added_rate:.2g} in 100 at most",
        source
        + (
            f", {foreign} of them foreign among the others, which count as above any score"
            if joint and foreign
            else ""
        ),
        _WHAT_WAS_LEFT_OUT[detector.description.corpus.held_out_by]
        if detector.identity.recalibrated_at is None
        else "",
        thresholds.unseen_note,
    ]
    return "; ".join(filter(None, said))


def named(machine_id: str) -> str:
    """Name a machine ID, which is empty where the files name none."""
    return machine_id or "(none given)"
