"""The lab report's feature settings, and others that differ from them."""

from __future__ import annotations

from typing import Any

from support import AUDIO_BOUNDS

from anomalous_sound.configuration.features import AudioSettings, FeatureSettings, LogMelSettings

FEATURES = FeatureSettings(
    audio=AudioSettings(sample_rate=16000, channel=0, **AUDIO_BOUNDS),
    log_mel=LogMelSettings(n_fft=2048, hop_length=512, n_mels=128, top_db=80.0),
)


def features_with(**changed: Any) -> FeatureSettings:
    """Return the same settings but for some."""
    groups = FEATURES.model_dump()
    for group in groups.values():
        group |= {name: changed.pop(name) for name in list(changed) if name in group}
    assert not changed
    return FeatureSettings(**groups)
