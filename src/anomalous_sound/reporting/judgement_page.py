"""The page of recordings that a detector has judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from anomalous_sound.reporting.figures import corpus_title, strategy_name
from anomalous_sound.reporting.page import corpus_section, markdown_table
from anomalous_sound.scoring.clip_score import unit
from anomalous_sound.scoring.localisation import FREQUENCY, TIME
from anomalous_sound.vocabulary import Label


def judgement_page(
    *,
    judged: pd.DataFrame,
    localisation: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    corpus: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> str:
    """Write which clips are called anomalous, and when and where they deviate from normal.

    Args:
        judged: ``clip_id, machine_id, label, score, threshold, decision, p_value`` a clip.
        localisation: ``clip_id, axis, rank, start, end``: what contributes most in each clip.
        rejected_clips: ``clip_id, reason``.
        corpus: summary of the clips that are judged.
        settings: the detector's.

    Returns:
        Markdown; it expects the figure in the same folder.
    """
    anomalous = judged[judged.decision == Label.ANOMALOUS]
    parts = [
        f"# Judged: {corpus_title(corpus)}",
        f"**{len(anomalous)} of {len(judged)} clips are called anomalous.**",
        corpus_section(corpus, rejected_clips),
        _detector_section(judged, settings, simulated=corpus["simulated"]),
        *_label_section(judged),
        _anomalous_section(
            anomalous, localisation, held_out=len(settings["calibration_scores"]["score"])
        ),
        "## When and where\n\n![When and where clips deviate](timeline_figure.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _detector_section(judged: pd.DataFrame, settings: Mapping[str, Any], *, simulated: bool) -> str:
    trained_on, threshold = settings["corpus"], settings["threshold"]
    lines = ["## The detector", ""]
    if trained_on["simulated"] and not simulated:
        lines += [
            "**It was trained on simulated data:** what it says of real recordings means nothing. "
            "Train one on recordings of the machine.",
            "",
        ]
    architecture = settings["network"]["architecture"].replace("_", " ")
    machine_ids = ", ".join(name or "(none given)" for name in trained_on["machine_ids"])
    lines += [
        f"- {architecture}, trained on {corpus_title(trained_on)}: machine type "
        f"{trained_on['machine_type']}, machine IDs {machine_ids}; corpus fingerprint "
        f"`{trained_on['fingerprint']}`",
        "- it takes the clips for sound of the same machine type; nobody has checked that they are",
        f"- anomaly score: {unit(settings['score']['settings'])}",
        f"- threshold: {strategy_name(threshold['strategy'])}"
        + (f" ({threshold['note']})" if threshold["note"] else "")
        + "; a clip at or above it is called anomalous",
    ]
    if unknown := sorted(set(judged.machine_id) - set(trained_on["machine_ids"])):
        names = ", ".join(name or "(none given)" for name in unknown)
        lines.append(
            f"- machine IDs that it has not been trained on, compared with all that it has: {names}"
        )
    return "\n".join(lines)


def _label_section(judged: pd.DataFrame) -> list[str]:
    lines = []
    for label in (Label.NORMAL, Label.ANOMALOUS):
        called = judged.decision[judged.label == label] == Label.ANOMALOUS
        if len(called):
            lines.append(f"- {called.sum()} of {len(called)} clips labelled {label}")
    if not lines:
        return []
    return ["## What the labels say\n\nCalled anomalous are\n\n" + "\n".join(lines)]


def _anomalous_section(
    anomalous: pd.DataFrame, localisation: pd.DataFrame, *, held_out: int
) -> str:
    text = (
        "## Called anomalous\n\nThe most anomalous first, with the stretches of time and the "
        "frequencies that contribute most. The p value: how often a normal clip would score so "
        f"high, from {held_out} held-out normal clips, so never below 1 in {held_out + 1}. All "
        "clips are in `decisions.csv`, all places in `localisation.csv`.\n\n"
    )
    if anomalous.empty:
        return text + "None."
    ranked = anomalous.sort_values("score", ascending=False)
    table = ranked[["clip_id", "machine_id", "score", "threshold", "p_value"]].assign(
        **{
            "when (s)": [_places(localisation, name, TIME, 2) for name in ranked.clip_id],
            "where (Hz)": [_places(localisation, name, FREQUENCY, 0) for name in ranked.clip_id],
        }
    )
    return text + markdown_table(table)


def _places(localisation: pd.DataFrame, clip_id: str, axis: str, digits: int) -> str:
    """List the three that contribute most."""
    of_clip = localisation[(localisation.clip_id == clip_id) & (localisation.axis == axis)]
    first = of_clip.sort_values("rank").head(3)
    return ", ".join(f"{row.start:.{digits}f}–{row.end:.{digits}f}" for row in first.itertuples())
