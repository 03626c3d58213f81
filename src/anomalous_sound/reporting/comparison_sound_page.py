"""The comparison of methods as a page that can be heard: one HTML file."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from anomalous_sound.reporting.comparison_page import Compared
from anomalous_sound.reporting.facts import machine_id_names
from anomalous_sound.reporting.pages import number, render_html
from anomalous_sound.reporting.shown_clips import ShownClip, ShownClips
from anomalous_sound.reporting.sound_page import PageFigure
from anomalous_sound.vocabulary import Label


def comparison_sound_page(
    compared: Compared, *, shown: ShownClips, figures: Iterable[PageFigure]
) -> str:
    """Write the page.

    Args:
        compared: what was found.
        shown: disputed clips, with a player each.
        figures: those that show something.

    Returns:
        HTML that fetches nothing.
    """
    facts = compared.facts()
    disputed = {str(row["clip_id"]): row for row in compared.disagreements.to_dict("records")}
    return render_html(
        "comparison_page.html.j2",
        **facts,
        compared=_compared(compared),
        best=_best(compared),
        figures=list(figures),
        cards=[_card(clip, disputed[clip.clip_id]) for clip in shown.clips],
    )


def _card(clip: ShownClip, disputed: Mapping[Hashable, Any]) -> dict[str, Any]:
    """Return what the page says of a disputed clip: the other columns are decisions."""
    facts = ("clip_id", "machine_id", "label", "spread")
    return {
        "clip": clip,
        "machine_id": disputed["machine_id"],
        "label": None if disputed["label"] == Label.UNKNOWN else disputed["label"],
        "spread": disputed["spread"],
        "decisions": {name: value for name, value in disputed.items() if name not in facts},
    }


def _compared(compared: Compared) -> str:
    corpus, methods = compared.corpus, ", ".join(compared.comparison.method)
    return (
        f"{methods} on the same {corpus.clips_used} clips, machine type {corpus.machine_type}, "
        f"machine IDs {machine_id_names(corpus.machine_ids)}"
    )


def _best(compared: Compared) -> str:
    table = compared.comparison
    if "auc_pooled" not in table:
        return "Cannot be told: an AUC needs normal and anomalous test clips"
    best = table.iloc[int(table.auc_pooled.argmax())]
    said = (
        f"{best.method} has the highest AUC, {best.auc_pooled:.3f} ({best.auc_pooled_low:.3f} to "
        f"{best.auc_pooled_high:.3f}); F1 at its threshold {number(best.f1)}"
    )
    not_worse = [
        str(row.method if row.other == best.method else row.other)
        for row in compared.differences.itertuples()
        if best.method in (row.method, row.other) and not row.clear
    ]
    return f"{said}. Not clearly worse: {', '.join(not_worse)}" if not_worse else said
