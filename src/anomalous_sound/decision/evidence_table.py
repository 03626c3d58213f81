"""The evidence of many clips, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomalous_sound.decision.evidence import Evidence, is_foreign, notes_of
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.spectra import spectra_of_clip
from anomalous_sound.features.frames import Frames

if TYPE_CHECKING:
    import pandas as pd


def weigh_clips(clips: pd.DataFrame, log_mel: Frames, reference: SoundReference) -> pd.DataFrame:
    """Weigh the evidence of many clips.

    Args:
        clips: ``clip_id, machine_id, level_dbfs, crest_db, duration_s``.
        log_mel: their frames.
        reference: of the normal clips.

    Returns:
        ``clip_id, level_dbfs, level_p_value, crest_db, crest_p_value, spectrum_db,
        spectrum_highest_db, spectrum_p_value, flux_db, flux_highest_db, flux_p_value, foreign,
        comparable, note``, one row per clip; without p-values where there are none, and those of
        the flux only where it is compared. ``comparable``: whether it is as long as normal clips.
    """
    import pandas as pd

    rows = []
    names = ("clip_id", "machine_id", "level_dbfs", "crest_db", "duration_s")
    columns = (clips[name].tolist() for name in names)
    for clip_id, machine_id, level_dbfs, crest_db, duration_s in zip(*columns, strict=True):
        spectra = spectra_of_clip(log_mel.mean_clip(clip_id))
        evidence = reference.weigh(level_dbfs, crest_db, spectra, machine_id)
        level, crest, spectrum, *flux = evidence
        not_comparable = reference.not_comparable(duration_s)
        rows.append(
            {
                "clip_id": clip_id,
                "level_dbfs": level.value_db,
                "level_p_value": level.p_value,
                "crest_db": crest.value_db,
                "crest_p_value": crest.p_value,
                "spectrum_db": spectrum.value_db,
                "spectrum_highest_db": spectrum.highest_db,
                "spectrum_p_value": spectrum.p_value,
                **(_of_flux(*flux) if flux else {}),
                "foreign": is_foreign(evidence),
                "comparable": not not_comparable,
                "note": "; ".join(filter(None, (not_comparable, *notes_of(evidence)))),
            }
        )
    return pd.DataFrame(rows)


def _of_flux(flux: Evidence) -> dict[str, float | None]:
    return {
        "flux_db": flux.value_db,
        "flux_highest_db": flux.highest_db,
        "flux_p_value": flux.p_value,
    }
