"""The rule by which a score, and then a number of networks, is chosen; see choose_score.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

METHODS, CHOOSING = ("lstm", "gru", "lstm_dense"), ("lstm", "gru")
MOST_TIMES = 2.0  # of the seconds of one network
PROCESSES = 2  # that share the networks
NEAR = 0.003  # of the highest AUC: the fewest networks are taken
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Networks:
    """How many networks a detector has.

    Attributes:
        folds: into which the normal clips are divided; 1: validation clips are held out.
        seeds: networks of each fold, whose errors are averaged.
    """

    folds: int
    seeds: int = 1

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.folds}" if self.seeds == 1 else f"{self.folds} × {self.seeds} seeds"

    @property
    def count(self) -> int:
        """How many are trained."""
        return self.folds * self.seeds


ONE, STANDARD = Networks(1), Networks(4)  # STANDARD: that scores are compared with
DELIVERED = Networks(2)  # what the rule has chosen: the profile's `detector.folds`
NETWORKS = (ONE, Networks(2), Networks(3), STANDARD, Networks(8), Networks(4, seeds=2))


def by_machine_type(table: pd.DataFrame, of: str = "score") -> pd.DataFrame:
    """Average over folds and corpora.

    Args:
        table: ``corpus, machine_type, fold, method, auc`` and a column to compare.
        of: that column, ``score`` or ``networks``.

    Returns:
        What is compared × (method, machine type).
    """
    of_corpus = table.groupby(["method", "machine_type", "corpus", of]).auc.mean()
    of_type = of_corpus.groupby([of, "method", "machine_type"]).mean().reset_index()
    return of_type.pivot_table(index=of, columns=["method", "machine_type"], values="auc")


def with_all_networks(table: pd.DataFrame) -> pd.DataFrame:
    """Keep what numbers of networks can be compared by.

    Args:
        table: ``corpus, method, fold, networks`` and other columns.

    Returns:
        The rows of corpora, methods and folds of which ONE was trained, and of the numbers of
        networks that were trained on all of these.
    """
    where = table[["corpus", "method", "fold"]].apply(tuple, axis=1)
    wanted = set(where[table.networks == ONE.name])
    complete = [name for name, of in where.groupby(table.networks) if wanted <= set(of)]
    return table[where.isin(wanted) & table.networks.isin(complete)]


def seconds_on_cores(cpu_s: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of the process that has most of the networks.

    Args:
        cpu_s: of all networks together, by the name of their number.
    """
    most = {one.name: -(-one.count // PROCESSES) / one.count for one in NETWORKS}
    return {name: seconds * most[name] for name, seconds in cpu_s.items()}


def means_of(averages: pd.DataFrame, machine_types: Iterable[str]) -> pd.Series:
    """Average over some machine types and over the methods that choose."""
    kept = [(method, name) for method in CHOOSING for name in machine_types]
    return averages[kept].mean(axis=1)


def choose(averages: pd.DataFrame, machine_types: Iterable[str]) -> str:
    """Apply the first part of the rule to some machine types; return the score it chooses."""
    return str(means_of(averages, machine_types).idxmax())


def allowed_networks(seconds: Mapping[str, float]) -> list[str]:
    """Return the numbers of networks whose training does not take too long."""
    return [name for name, of in seconds.items() if of <= MOST_TIMES * seconds[ONE.name]]


def choose_networks(
    averages: pd.DataFrame, seconds: Mapping[str, float], machine_types: Iterable[str]
) -> str:
    """Apply the second part of the rule to some machine types; return the number it chooses.

    Args:
        averages: networks × (method, machine type), of the score that was chosen.
        seconds: that the training takes, by the name of the networks.
        machine_types: that choose.
    """
    means = means_of(averages, machine_types)
    means = means[means.index.isin(allowed_networks(seconds))]
    near = means[means >= means.max() - NEAR - _ROUNDING]
    count = {networks.name: networks.count for networks in NETWORKS}
    return str(min(near.index, key=lambda name: (count[name], -near[name])))
