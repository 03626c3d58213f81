"""Where a detector comes from, and what two that judge alike have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from anomalous_sound.configuration.base import Settings
from anomalous_sound.methods.trained import Networks


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


def digest_of(values: Mapping[str, Any], networks: Networks) -> str:
    """Return the digest of all that has a say in a verdict.

    Args:
        values: everything but the weights, as JSON values; see :meth:`.ClipJudge.to_json`.
        networks: whose weights count, too.
    """
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, content in networks.contents():
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()[:16]
