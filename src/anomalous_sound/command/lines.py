"""What a command prints of verdicts: rows for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from anomalous_sound.corpus.names import shown
from anomalous_sound.corpus.segments import clock_time
from anomalous_sound.decision.identity import Identity
from anomalous_sound.decision.verdict import Rejection, Verdict, in_one_sentence
from anomalous_sound.vocabulary import Decision

_WIDEST_SOURCE = 60
_NAMED_BANDS = 2
HEADINGS = ("recording", "time", "decision", "score", "threshold", "p-value", "stands out most")


@dataclass
class Tally:
    """How many clips were judged, and how.

    Attributes:
        normal: clips called normal.
        anomalous: clips called anomalous.
        undecided: clips with a score and no decision.
        not_judged: clips, or whole files, without a score.
        doubtful: clips with a score that is not above the threshold, but with a sensor in doubt.
        worst: the anomalous clip with the highest score.
        machine_ids: those that the detector knows.
        not_comparable: of the undecided clips, those of another length than normal ones.
    """

    normal: int = 0
    anomalous: int = 0
    undecided: int = 0
    not_judged: int = 0
    doubtful: int = 0
    worst: Verdict | None = None
    machine_ids: Sequence[str] = ()
    not_comparable: int = 0

    def add(self, result: Verdict | Rejection, *, is_doubtful: bool = False) -> None:
        """Count a result.

        Args:
            result: of the clip.
            is_doubtful: whether a watch doubts the sensor: then it is not counted as normal.
        """
        if isinstance(result, Rejection):
            self.not_judged += 1
        elif result.decision == Decision.UNDECIDED:
            self.undecided += 1
            self.not_comparable += bool(result.not_comparable)
        elif result.is_anomalous:
            self.anomalous += 1
            if self.worst is None or result.score > self.worst.score:
                self.worst = result
        elif is_doubtful:
            self.doubtful += 1
        else:
            self.normal += 1

    @property
    def exit_code(self) -> int:
        """1: something sounds anomalous; 0: nothing does; 3: nothing could be judged."""
        if self.anomalous:
            return 1
        return 0 if self.normal else 3

    def counts(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "normal": self.normal,
            "anomalous": self.anomalous,
            "undecided": self.undecided,
            "not_judged": self.not_judged,
        }

    def summary(self) -> str:
        """Say in words what was found."""
        worst = "" if self.worst is None else _place(self.worst)
        said = [in_one_sentence(self.anomalous, self.normal + self.anomalous, worst)]
        if self.undecided:
            said.append(f"Undecided: {self.undecided}; {self._why_undecided()}")
        if self.not_judged:
            said.append(f"Not judged: {self.not_judged}.")
        return "\n".join(said)

    def _why_undecided(self) -> str:
        longer = "much longer or shorter than normal clips, as noted"
        if self.not_comparable == self.undecided:
            return f"{'it lasts' if self.undecided == 1 else 'they last'} {longer}."
        known = ", ".join(machine_id or "(none given)" for machine_id in self.machine_ids)
        why = (
            "no normal clip of their machine ID has calibrated the detector"
            + (f", which knows {known}" if known else "")
            + ". If the files name none, give it: --machine-id"
        )
        some = f"{self.not_comparable} {'lasts' if self.not_comparable == 1 else 'last'} {longer}"
        return f"{some}; of the others {why}." if self.not_comparable else f"{why}."


def json_line(event: str, values: dict[str, Any]) -> str:
    """Return an event as a line of JSON."""
    return json.dumps({"event": event, **values}, allow_nan=False)


def result_line(result: Verdict | Rejection, identity: Identity) -> str:
    """Return a verdict, or a rejection, and the detector that it comes from, as a line of JSON."""
    event = "verdict" if isinstance(result, Verdict) else "rejection"
    return json_line(event, {**result.to_json(), "detector": identity.model_dump(mode="json")})


def printable(text: str) -> str:
    """Return a text in which nothing can break the line that it stands in."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


class Table:
    """Rows that are printed one by one."""

    def __init__(self, sources: Iterable[str]) -> None:
        """Find out how wide the first column is.

        Args:
            sources: what it will hold.
        """
        longest = max(map(len, [HEADINGS[0], *sources]))
        self._width = min(longest, _WIDEST_SOURCE)

    def headings(self) -> str:
        """Return the first row."""
        return self._row(*HEADINGS)

    def row(self, result: Verdict | Rejection) -> str:
        """Return the row of a clip."""
        source, time = _shortened(shown(result.source), self._width), clock_time(result.start_s)
        if isinstance(result, Rejection):
            return self._row(source, time, "not judged", "", "", "", result.reason)
        return self._row(
            source,
            time,
            result.decision,
            f"{result.score:.4g}",
            "-" if result.threshold is None else f"{result.threshold:.4g}",
            "-" if result.p_value is None else f"{result.p_value:.3g}",
            "; ".join(([stands_out(result)] if result.is_anomalous else []) + [*result.notes]),
        )

    def _row(self, source: str, time: str, decision: str, *rest: str) -> str:
        score, threshold, p_value, places = rest
        return (
            f"{source:<{self._width}}  {time:>8}  {decision:<10}  {score:>9}  {threshold:>9}  "
            f"{p_value:>7}  {places}"
        ).rstrip()


def stands_out(verdict: Verdict) -> str:
    """Name the segment, the bands and the channel of a clip that contribute most to its score."""
    segments = [f"{one.start_s:.2f}–{one.end_s:.2f} s" for one in verdict.segments[:1]]
    bands = [f"{one.low_hz:.0f}–{one.high_hz:.0f} Hz" for one in verdict.bands[:_NAMED_BANDS]]
    channel = [] if verdict.channel is None else [f"channel {verdict.channel}"]
    return ", ".join(segments + bands + channel)


def _place(verdict: Verdict) -> str:
    time = f" at {clock_time(verdict.start_s)}" if verdict.start_s else ""
    place = f"{shown(verdict.source)}{time}"
    return f"{place} (score {verdict.score:.4g}, threshold {verdict.threshold:.4g})"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]
