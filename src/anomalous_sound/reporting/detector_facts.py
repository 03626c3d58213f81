"""What a page says of where its numbers come from: the detector, its settings, and programs."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from anomalous_sound import __version__
from anomalous_sound.decision.identity import Identity
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.scoring.score import Score

_PROGRAMS = ("torch", "onnxruntime", "numpy", "scipy", "scikit-learn", "kedro")
_DESCRIBED = ("network", "audio", "log_mel", "windows", "scaling", "trained_on")


def detector_facts(description: NetworkDescription, score: Score) -> dict[str, Any]:
    """Return what a page says of a detector: ``method, trained_on, unit, settings``.

    Args:
        description: of its networks.
        score: its anomaly score.
    """
    described = description.to_json()
    return {
        "method": methods()[description.method].title,
        "trained_on": description.corpus,
        "unit": score.unit,
        "settings": {name: described[name] for name in _DESCRIBED if name in described}
        | {"score": score.settings.model_dump(mode="json")},
    }


def program_versions() -> dict[str, str]:
    """Return the versions of the programs that have a say in the numbers, as far as installed."""
    versions = {"anomalous-sound": __version__, "Python": platform.python_version()}
    for name in _PROGRAMS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions


def identity_facts(identity: Identity) -> dict[str, str]:
    """Return which detector has judged."""
    facts = {
        "detector": identity.digest,
        "trained at": identity.trained_at,
        "trained by": f"anomalous-sound {identity.version}",
    }
    if identity.recalibrated_at is not None:
        facts["recalibrated at"] = identity.recalibrated_at
    if identity.exported_from is not None:
        facts["exported from"] = identity.exported_from
    return facts
