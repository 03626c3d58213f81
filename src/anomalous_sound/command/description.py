"""What a detector says of itself."""

from __future__ import annotations

import textwrap
from typing import Any

from anomalous_sound.command.promise_lines import promise_lines
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.vocabulary import Split

_LABEL, _WIDTH = 14, 90  # characters of a label, and of a line


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
    clips = sorted(trained_on["clips"].items(), key=lambda one: not one[0].startswith(Split.TRAIN))
    channel = features["channel"]
    if isinstance(channel, list):
        channel = " and ".join(map(str, channel)) + " each by itself"
    again, exported = identity["recalibrated_at"], identity["exported_from"]
    features_text = (
        f"{features['n_mels']} mel bands, {features['sample_rate_hz']} Hz, n_fft "
        f"{features['n_fft']}, hop {features['hop_length']}, channel {channel}, "
        f"scaling {features['scaling']}"
        + (f"; recordings are cut into {features['clip_s']:g} s" if features["clip_s"] else "")
    )
    described = [
        ("Method", f"{found['method']}; networks: {found['networks']}"),
        (
            "Digest",
            identity["digest"]
            + (f", an export of {exported}; no PyTorch needed" if exported else ""),
        ),
        (
            "Trained",
            f"{identity['trained_at']}, by version {identity['version']}"
            + (f"; recalibrated {again}" if again else ""),
        ),
        (
            "Trained on",
            f"{trained_on['corpus']}{' (simulated data)' * trained_on['simulated']}, fingerprint "
            f"{trained_on['fingerprint']}",
        ),
        ("Clips", ", ".join(f"{which} {count}" for which, count in clips)),
        ("Machine type", found["machine_type"]),
        ("Machine IDs", ", ".join(map(named, found["machine_ids"]))),
        ("Features", features_text),
        *_lengths(detector),
        *_encoder(detector),
        *promise_lines(detector),
        *_thresholds(detector.thresholds),
    ]
    return [line for label, text in described for line in labelled(label, text)]


def labelled(label: str, text: str, *, indent: int = _LABEL) -> list[str]:
    """Return a label and a text as lines; those after the first go on below its text.

    Args:
        label: the first word or two.
        text: what there is to say; a path in it is never broken.
        indent: characters before the text.
    """
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{label:<{indent}}",
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lengths(detector: Detector) -> list[tuple[str, str]]:
    if detector.sound.comparable_s is None:
        return []
    from_s, to_s = detector.sound.comparable_s
    return [("Clip length", f"decides clips of {from_s:.1f} to {to_s:.1f} s; others are undecided")]


def _encoder(detector: Detector) -> list[tuple[str, str]]:
    networks = detector.networks
    if not isinstance(networks, FrozenEncoder):
        return []
    return [("Encoder", f"{networks.file.path}, sha256 {networks.file.sha256}; not copied")]


def _thresholds(thresholds: Thresholds) -> list[tuple[str, str]]:
    how = f" ({thresholds.strategy})"
    judged = ", ".join(map(named, thresholds.by_machine_id))
    if thresholds.shared is not None:
        more = ", and others" if thresholds.for_unseen else ""
        return [("Threshold", f"{thresholds.shared:.5g} for machine ID {judged}{more}{how}")]
    return [
        ("Threshold", f"{value:.5g} for machine ID {named(name)}{how}")
        for name, value in thresholds.by_machine_id.items()
    ]


def named(machine_id: str) -> str:
    """Name a machine ID, which is empty where the files name none."""
    return machine_id or "(none given)"
