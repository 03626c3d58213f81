"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from anomalous_sound.decision.verdict import Rejection, Verdict

TEXT = CONTENT_TYPE_PLAIN_0_0_4
_NOT_JUDGED = "not_judged"


class Metrics:
    """Counts of requests and verdicts, and how long answers took."""

    def __init__(self, taken: Callable[[], int]) -> None:
        """Begin with nothing counted.

        Args:
            taken: tells how many requests are being received, wait or are judged.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "anomalous_sound_requests",
            "Requests answered.",
            ["path", "status"],
            registry=self._registry,
        )
        self._verdicts = Counter(
            "anomalous_sound_verdicts",
            "Clips judged, and clips that could not be (not_judged).",
            ["decision"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "anomalous_sound_judge_seconds",
            "Time from a request to its verdicts.",
            buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
            registry=self._registry,
        )
        in_hand = Gauge(
            "anomalous_sound_in_hand",
            "Requests that are being received, wait or are judged.",
            registry=self._registry,
        )
        in_hand.set_function(taken)

    def answered(self, path: str, status: int) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()

    def judged(self, results: Iterable[Verdict | Rejection], seconds: float) -> None:
        """Count the results of a request, and the time that they took."""
        for result in results:
            decision = result.decision if isinstance(result, Verdict) else _NOT_JUDGED
            self._verdicts.labels(str(decision)).inc()
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
