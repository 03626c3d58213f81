"""What figures and pages are told about a corpus and its thresholds, and how they name things."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


class CorpusFacts(Protocol):
    """The summary of a corpus; any object with these attributes serves."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether its sound is simulated."""
        ...

    @property
    def fingerprint(self) -> str:
        """A digest of its clips."""
        ...

    @property
    def machine_type(self) -> str:
        """The machine type of all clips."""
        ...

    @property
    def machine_ids(self) -> Sequence[str]:
        """The machine IDs; one without a name is empty."""
        ...

    @property
    def clips_found(self) -> int:
        """Clips used and rejected."""
        ...

    @property
    def clips_used(self) -> int:
        """Clips used."""
        ...

    @property
    def clips_rejected(self) -> int:
        """Clips rejected."""
        ...

    @property
    def clips_by_split_and_label(self) -> Mapping[str, int]:
        """Clips used, by split and label (``"test normal"``)."""
        ...

    @property
    def segment_s(self) -> float | None:
        """Length of the clips that recordings were cut into, s; None: they were not cut."""
        ...

    @property
    def held_out_by(self) -> str:
        """What the clips left out were drawn by: ``clips``, ``recordings`` or ``blocks``."""
        ...


class DeployedThresholds(Protocol):
    """The thresholds that decide; any object with these attributes serves."""

    @property
    def strategy(self) -> str:
        """The strategy they come from."""
        ...

    @property
    def by_machine_id(self) -> Mapping[str, float]:
        """The threshold of each machine ID."""
        ...

    @property
    def false_alarm_rate(self) -> float | None:
        """The rate that they promise; None if they promise none."""
        ...

    @property
    def note(self) -> str:
        """Why another strategy than the one asked for was used; empty if it was not."""
        ...

    @property
    def per(self) -> str:
        """``machine_type`` or ``machine_id``."""
        ...

    @property
    def with_foreign(self) -> bool:
        """Whether the rate is that of the whole verdict, foreign sound included."""
        ...

    @property
    def unseen_note(self) -> str:
        """What to bear in mind of machine IDs not trained on; empty if they are not judged."""
        ...

    @property
    def shared(self) -> float | None:
        """The threshold, if all machine IDs have the same."""
        ...


def corpus_title(corpus: CorpusFacts) -> str:
    """Name a corpus in a title; simulated sound is always called so."""
    return f"{corpus.name} (simulated data)" if corpus.simulated else corpus.name


def strategy_name(strategy: str) -> str:
    """Turn the name of a threshold strategy into words."""
    return strategy.replace("_", " ").replace("plus", "+").replace("std", "std. dev.")


def threshold_name(row: Mapping[Any, Any]) -> str:
    """Name a row of the table of thresholds: its strategy, and whose it is if not of all."""
    name = strategy_name(row["strategy"])
    if row["per"] == "machine_type":
        return name
    return f"{name}, machine ID {machine_id_name(row['machine_id'])}"


def figure_title(figure: str) -> str:
    """Name a figure.

    >>> figure_title("auc_source"), figure_title("pauc"), figure_title("score")
    ('AUC (source)', 'pAUC', 'Official score')
    """
    if figure == "score":
        return "Official score"
    area, _, domain = figure.partition("_")
    name = {"auc": "AUC", "pauc": "pAUC"}.get(area, area)
    return f"{name} ({domain})" if domain else name


def machine_id_name(machine_id: str) -> str:
    """Name a machine ID, which is empty where the files name none."""
    return machine_id or "(none given)"


def machine_id_names(machine_ids: Iterable[str]) -> str:
    """List machine IDs in a sentence."""
    return ", ".join(map(machine_id_name, machine_ids))
