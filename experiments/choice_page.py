"""The page and the tables that say what the rule chose, with intervals; see choose_score.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property, partial

import numpy as np
import pandas as pd

from anomalous_sound.evaluation.metrics import auc
from experiments.intervals import ResampledCorpora, interval
from experiments.rule import (
    CHOOSING,
    DELIVERED,
    METHODS,
    MOST_TIMES,
    NETWORKS,
    ONE,
    STANDARD,
    Networks,
    allowed_networks,
    by_machine_type,
    choose,
    choose_networks,
    seconds_on_cores,
    with_all_networks,
)

KEYS = ["corpus", "machine_type", "fold", "method", "networks", "cpu_s"]
SIMULATED = "simulated"
BOTH = "lstm and gru"
RECORDED = "mean of recorded"
LESS, LEFT_OUT = (
    "chosen less no network",
    "chosen by the other machine types",
)  # in place of a score
_RESAMPLED = ["corpus", "method", "networks"]


class Choice:
    """The scores of all test clips, and what the rule makes of them."""

    def __init__(
        self, scores: pd.DataFrame, resamples: int, stored: pd.DataFrame | None = None
    ) -> None:
        """Take the scores.

        Args:
            scores: KEYS, ``clip_id, is_anomalous``, and a column for each candidate.
            resamples: of the intervals.
            stored: KEYS, ``score, auc`` of an earlier run; used where there are no scores, and
                without an interval.
        """
        self.scores = scores
        self.candidates = [
            name for name in scores.columns if name not in {*KEYS, "clip_id", "is_anomalous"}
        ]
        self._stored = stored
        self.methods = [name for name in METHODS if name in set(self.aucs.method)]
        tables = dict(list(scores.groupby(_RESAMPLED, sort=False)))
        of_corpora = self.aucs.groupby([*_RESAMPLED, "score"]).auc.mean().to_dict()
        self._resampled = ResampledCorpora(tables, resamples, of_corpora)

    @cached_property
    def aucs(self) -> pd.DataFrame:
        """KEYS, ``score, auc``."""
        rows = []
        for key, table in self.scores.groupby(KEYS, sort=False):
            is_anomalous = table.is_anomalous.to_numpy()
            rows += [
                (*key, name, auc(is_anomalous, table[name].to_numpy())) for name in self.candidates
            ]
        found = pd.DataFrame(rows, columns=[*KEYS, "score", "auc"])
        if self._stored is None:
            return found
        has_scores = set(found[_RESAMPLED].itertuples(index=False, name=None))
        earlier = self._stored[_RESAMPLED].apply(tuple, axis=1)
        return pd.concat([found, self._stored[~earlier.isin(has_scores)]], ignore_index=True)

    @cached_property
    def of_scores(self) -> pd.DataFrame:
        """The AUC with the standard number of networks: scores × (method, machine type)."""
        return by_machine_type(self.aucs[self.aucs.networks == STANDARD.name])

    @cached_property
    def compared(self) -> pd.DataFrame:
        """The rows of ``aucs`` by which numbers of networks are compared."""
        return with_all_networks(self.aucs[self.aucs.method.isin(CHOOSING)])

    @cached_property
    def cpu_s(self) -> dict[str, float]:
        """Seconds of a processor that each number of networks took to train."""
        trained = self.compared.drop_duplicates(KEYS).groupby("networks").cpu_s.sum()
        return {str(name): float(seconds) for name, seconds in trained.items()}

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Seconds on two cores that each number of networks took to train."""
        return seconds_on_cores(self.cpu_s)

    def of_networks(self, score: str) -> pd.DataFrame:
        """Return the AUC of a score: networks × (method, machine type)."""
        return by_machine_type(self.compared[self.compared.score == score], "networks")

    @cached_property
    def machine_types(self) -> dict[str, list[str]]:
        """The corpora of each machine type."""
        return _corpora(self.aucs)

    @cached_property
    def compared_types(self) -> dict[str, list[str]]:
        """The corpora of each machine type on which numbers of networks are compared."""
        return _corpora(self.compared)

    @cached_property
    def shown_networks(self) -> Networks:
        """What the rule has chosen if it was trained on everything, else STANDARD."""
        trained = {
            name: set(of[["corpus", "method", "fold"]].itertuples(index=False, name=None))
            for name, of in self.aucs.groupby("networks")
        }
        has_all = trained.get(DELIVERED.name, set()) >= trained[STANDARD.name]
        return DELIVERED if has_all else STANDARD

    def columns(self) -> dict[str, dict[str, list[str]]]:
        """Return what columns of a table average over: each machine type, and all of them.

        The recorded ones are averaged as well, if there are others.
        """
        of_each = {name: {name: corpora} for name, corpora in self.machine_types.items()}
        recorded = {name: of for name, of in self.machine_types.items() if name != SIMULATED}
        if 0 < len(recorded) < len(of_each):
            of_each |= {RECORDED: recorded}
        return of_each | {"mean": self.machine_types}

    def columns_of_methods(self) -> dict[str, tuple[str, ...]]:
        """Return what rows of a table average over: each method, and those that choose."""
        return {name: (name,) for name in self.methods} | {BOTH: CHOOSING}

    def chosen_by_others(self) -> dict[str, str]:
        """Return the score that the rule chooses without each machine type."""
        return {
            left_out: choose(
                self.of_scores, [name for name in self.machine_types if name != left_out]
            )
            for left_out in self.machine_types
        }

    def resampled(
        self,
        score: str,
        methods: Iterable[str],
        machine_types: Mapping[str, Iterable[str]],
        networks: str = STANDARD.name,
    ) -> np.ndarray:
        """Return the mean AUC, and that of each resample."""
        return self._resampled.mean(
            score, methods=methods, networks=networks, machine_types=machine_types
        )


def page(choice: Choice, *, chosen: str, without: str, shown: Mapping[str, str]) -> str:
    """Write the page.

    Args:
        choice: the scores.
        chosen: the standard score.
        without: the same score of the spectrum alone.
        shown: scores that get intervals for each machine type, and what they are called.
    """
    sections = (
        _head(),
        _shown(choice, shown),
        _differences(choice, chosen, without),
        *(_candidates(choice, method) for method in choice.methods),
        _left_out(choice),
        _networks(choice, chosen),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def intervals(choice: Choice, *, chosen: str, without: str, shown: Iterable[str]) -> pd.DataFrame:
    """Return the interval of every candidate for each machine type, and for their mean.

    Returns:
        ``score, networks, method, of, auc, low, high``; of the scores shown also for each corpus.
        LESS is the paired difference of chosen and without, LEFT_OUT what the rule chooses without
        each machine type, and what it is judged by.
    """
    rows = list(_intervals_of(choice, STANDARD, choice.candidates, chosen, without, set(shown)))
    if choice.shown_networks != STANDARD:
        rows += _intervals_of(choice, choice.shown_networks, shown, chosen, without, set(shown))
    for networks in NETWORKS:
        is_compared = networks.name in set(choice.compared.networks)
        if is_compared and networks not in (STANDARD, choice.shown_networks):
            for method in CHOOSING:
                of_each = {name: {name: of} for name, of in choice.compared_types.items()}
                for name, types in (of_each | {"mean": choice.compared_types}).items():
                    values = choice.resampled(chosen, [method], types, networks.name)
                    rows.append((chosen, networks.name, method, name, *interval(values)))
    columns = ["score", "networks", "method", "of", "auc", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _intervals_of(
    choice: Choice,
    networks: Networks,
    scores: Iterable[str],
    chosen: str,
    without: str,
    shown: Set[str],
) -> Iterator[tuple[str | float, ...]]:
    """Yield the rows of :func:`intervals` for one number of networks, and some scores."""
    scores = list(scores)
    each = {corpus: {name: [corpus]} for name, of in choice.machine_types.items() for corpus in of}
    for method, methods in choice.columns_of_methods().items():
        resampled = partial(choice.resampled, methods=methods, networks=networks.name)
        for score in scores:
            for name, types in (choice.columns() | (each if score in shown else {})).items():
                values = resampled(score, machine_types=types)
                yield score, networks.name, method, name, *interval(values)
        for name, types in (choice.columns() | each).items():
            values = _difference(choice, (chosen, without), methods, types, networks)
            yield LESS, networks.name, method, name, *interval(values)
        judged = {
            left_out: resampled(score, machine_types={left_out: choice.machine_types[left_out]})
            for left_out, score in choice.chosen_by_others().items()
        }
        for name, values in (judged | {"mean": np.mean(list(judged.values()), axis=0)}).items():
            yield LEFT_OUT, networks.name, method, name, *interval(values)


def _corpora(table: pd.DataFrame) -> dict[str, list[str]]:
    return {
        str(name): list(dict.fromkeys(of.corpus))
        for name, of in table.groupby("machine_type", sort=False)
    }


def _difference(
    choice: Choice,
    scores: tuple[str, str],
    methods: Iterable[str],
    types: Mapping[str, Iterable[str]],
    networks: Networks,
) -> np.ndarray:
    first, second = (choice.resampled(score, methods, types, networks.name) for score in scores)
    return first - second


def _bracketed(values: np.ndarray, sign: str = "") -> str:
    value, low, high = interval(values)
    if np.isnan(low):
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _header(*cells: str) -> Iterator[str]:
    yield "| " + " | ".join(cells) + " |"
    yield "|" + "---|" * len(cells)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _head() -> Iterator[str]:
    yield "# How the standard score was chosen\n"
    yield (
        "AUC, averaged over outer folds and corpora; `mean` is over machine types. In brackets the "
        "95 % bootstrap interval over test clips; differences are paired by clip. It says nothing "
        "of other training clips or other seeds. Scores are compared with four networks."
    )


def _shown(choice: Choice, shown: Mapping[str, str]) -> Iterator[str]:
    networks = choice.shown_networks
    yield f"\n## The rows that matter, with {networks.name} networks\n"
    yield from _header("method", "score", *choice.columns())
    for method in choice.methods:
        for score, name in shown.items():
            values = (
                choice.resampled(score, [method], of, networks.name)
                for of in choice.columns().values()
            )
            yield _row(f"`{method}`", name, *map(_bracketed, values))


def _differences(choice: Choice, chosen: str, without: str) -> Iterator[str]:
    networks = choice.shown_networks
    yield f"\n## What networks add, {networks.name} of them\n"
    yield "The chosen score less the same score without a network.\n"
    yield from _header("method", *choice.columns())
    for method in choice.methods:
        found = (
            _difference(choice, (chosen, without), [method], of, networks)
            for of in choice.columns().values()
        )
        yield _row(f"`{method}`", *(_bracketed(values, "+") for values in found))


def _candidates(choice: Choice, method: str) -> Iterator[str]:
    yield f"\n## All candidates, {method}\n"
    types = list(choice.machine_types)
    yield from _header("score", *types, "mean")
    of_method = choice.of_scores[method][types]
    order = of_method.mean(axis=1).sort_values(ascending=False).index
    for name in order:
        mean = _bracketed(choice.resampled(name, [method], choice.machine_types))
        yield _row(name, *(f"{value:.3f}" for value in of_method.loc[name]), mean)


def _left_out(choice: Choice) -> Iterator[str]:
    yield "\n## What the rule chooses without each machine type\n"
    yield "The score, with four networks.\n"
    types, methods = list(choice.machine_types), choice.methods
    yield from _header("left out", "chosen by the others", *(f"AUC {name}" for name in methods))
    judged = []
    for left_out, score in choice.chosen_by_others().items():
        only = {left_out: choice.machine_types[left_out]}
        judged.append([choice.resampled(score, [method], only) for method in methods])
        yield _row(left_out, score, *map(_bracketed, judged[-1]))
    yield _row("mean of those left out", "", *map(_bracketed, np.mean(judged, axis=0)))
    yield f"\nOf all machine types together it chooses: **{choose(choice.of_scores, types)}**."


def _networks(choice: Choice, chosen: str) -> Iterator[str]:
    present = [one.name for one in NETWORKS if one.name in set(choice.compared.networks)]
    if len(present) < 2:
        return
    yield "\n## How many networks\n"
    corpora = [corpus for of in choice.compared_types.values() for corpus in of]
    yield (
        f"The chosen score, `lstm` and `gru` together, on {', '.join(corpora)}. The time of "
        "training is a multiple of that of one network: on one core, and on two that share the "
        f"networks; the rule allows {MOST_TIMES:g} on two cores.\n"
    )
    types = list(choice.compared_types)
    yield from _header("networks", *types, "mean", "less four", "one core", "two cores", "allowed")
    usual = choice.resampled(chosen, CHOOSING, choice.compared_types)
    means = choice.of_networks(chosen)
    allowed = allowed_networks(choice.seconds)
    for name in present:
        values = choice.resampled(chosen, CHOOSING, choice.compared_types, name)
        of_types = [means.loc[name, [(method, of) for method in CHOOSING]].mean() for of in types]
        yield _row(
            name,
            *(f"{value:.3f}" for value in of_types),
            _bracketed(values),
            "–" if name == STANDARD.name else _bracketed(values - usual, "+"),
            f"{choice.cpu_s[name] / choice.cpu_s[ONE.name]:.2f}",
            f"{choice.seconds[name] / choice.seconds[ONE.name]:.2f}",
            "yes" if name in allowed else "no",
        )
    together = choose_networks(means, choice.seconds, types)
    yield f"\nOf all machine types together the rule chooses: **{together}**.\n"
    yield from _header("left out", "score", "networks", *(f"AUC {name}" for name in CHOOSING))
    judged = []
    for left_out in types:
        others = [name for name in types if name != left_out]
        score = choose(choice.of_scores, others)
        networks = choose_networks(choice.of_networks(score), choice.seconds, others)
        only = {left_out: choice.compared_types[left_out]}
        judged.append([choice.resampled(score, [method], only, networks) for method in CHOOSING])
        yield _row(left_out, score, networks, *map(_bracketed, judged[-1]))
    yield _row("mean of those left out", "", "", *map(_bracketed, np.mean(judged, axis=0)))
