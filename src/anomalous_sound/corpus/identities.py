"""Which recordings a detector can judge, from what their names say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.sources.layout import ClipIdentity, identify_new_clips


def identify_for_detector(
    corpus: AudioCorpus,
    *,
    machine_type: str,
    machine_ids: Iterable[str] | None,
    nameless: str = "",
) -> tuple[dict[str, ClipIdentity], dict[str, str]]:
    """Identify the recordings that a detector is to judge, and find those that it cannot.

    Args:
        corpus: the recordings; none is decoded.
        machine_type: that of the detector; where recordings of it are there, those of others
            cannot be judged, else the layout is taken not to know the machine type.
        machine_ids: those that the detector can judge; None: all.
        nameless: the machine ID of recordings whose files name none.

    Returns:
        The identity of each recording, and the reason for each that cannot be judged.
    """
    identities, rejected = identify_new_clips(
        sorted(corpus.recordings), corpus.folder_name, corpus.labels
    )
    identities = {
        clip_id: identity if identity.machine_id else replace(identity, machine_id=nameless)
        for clip_id, identity in identities.items()
    }
    types = {identity.machine_type for identity in identities.values()}
    known = None if machine_ids is None else set(machine_ids)
    for clip_id, identity in identities.items():
        if machine_type in types and identity.machine_type != machine_type:
            rejected[clip_id] = (
                f"the detector judges machine type {machine_type}, not {identity.machine_type}"
            )
        elif known is not None and identity.machine_id not in known:
            rejected[clip_id] = (
                f"the detector has no network for machine ID '{identity.machine_id}' (it has those "
                f"of {', '.join(sorted(known))})"
                + (
                    ""
                    if identity.machine_id
                    else "; say which one it is: inference.machine_id, or --machine-id"
                )
            )
    return identities, rejected
