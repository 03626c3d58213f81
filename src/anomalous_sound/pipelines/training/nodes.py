"""Nodes that train the networks of one method."""

from __future__ import annotations

import pandas as pd

from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
    WindowSettings,
)
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.methods import method_of
from anomalous_sound.methods.base import NetworkSettings
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.vocabulary import Split


def describe_network(
    network: NetworkSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    windows: WindowSettings,
    scaling: Scaling,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
) -> NetworkDescription:
    """Put together what a network is built from and must be fed with."""
    training = clips[clips.split == Split.TRAIN]
    return NetworkDescription(
        method=method_of(network).name,
        network=network,
        features=FeatureSettings(audio=audio, log_mel=log_mel),
        windows=windows,
        scaling=scaling,
        machine_ids=tuple(sorted(set(training.machine_id))),
        corpus=corpus_summary,
    )
