"""How many false alarms and drifts does a watch tell, against what it promises?

``streams``: scores drawn from a normal distribution, alone or hanging together (autoregressive),
with calibration clips of their own each time: experiments/results/watching.csv. Minutes on a core.

``spliced``: the normal test clips of a folder, scored once by a detector and put together at random
to streams of many days, clip by clip: experiments/results/watching_spliced.csv. Few clips repeated
for days are no days: a clip that is above the threshold comes again and again.

``live``: what a detector takes in use: the seconds from the last sample of a segment to its
verdict, and the most memory. It is told, and written nowhere.

From the repository root:

    python -m experiments.watching streams
    python -m experiments.watching spliced --detector DIR --clips DIR
    python -m experiments.watching live --detector DIR --clips DIR --minutes 2 [--fast]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import lfilter

from anomalous_sound import Detector, Verdict
from anomalous_sound.command.recordings import Wanted, find_recordings, judge
from anomalous_sound.decision.alarms import AlarmState, Change
from anomalous_sound.decision.calibration import conformal_threshold
from anomalous_sound.decision.drift import DriftMonitor
from anomalous_sound.decision.promise import AlarmRule, Wish, find_rule
from anomalous_sound.errors import InputError

RESULTS = Path(__file__).resolve().parent / "results"
DAY = 86400.0
RECOVER_AFTER = 5
CLIPS = (24, 100, 400)
CORRELATIONS = (0.0, 0.5, 0.9, 0.99)  # of the scores of one look and the next
PROMISED_S = DAY
WISHES = {
    "independence": Wish(PROMISED_S, 600.0, 60.0, independent=True),
    # under any dependence so few clips carry slow alarms only
    "nothing": Wish(PROMISED_S, 6 * 3600.0, 60.0, independent=False),
}


def false_alarms(above: np.ndarray, rule: AlarmRule) -> int:
    """Count the alarms of a stream of looks; of a long normal row only what has an effect."""
    state, alarms, done = AlarmState(rule, RECOVER_AFTER), 0, 0
    longest = rule.window + RECOVER_AFTER
    for at in np.flatnonzero(above).tolist():
        for _ in range(min(at - done, longest)):
            state.step(False, is_look=True)
        alarms += state.step(True, is_look=True).change == Change.BEGINS
        done = at + 1
    return alarms


def drawn(looks: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Draw standard normal scores of which neighbours hang together."""
    steps = np.sqrt(1 - correlation**2) * rng.standard_normal(looks)
    steps[0] = rng.standard_normal()
    return np.asarray(lfilter([1.0], [1.0, -correlation], steps))


def drifts(calibration: np.ndarray, threshold: float, scores: np.ndarray, limit: float) -> int:
    """Count the drifts that are told of a stream."""
    monitor = DriftMonitor(calibration, threshold, looks=limit, rng=np.random.default_rng(0))
    told = (monitor.add(score) for score in scores[scores < threshold].tolist())
    return sum(one is not None for one in told)


def streams(sets: int, drift_sets: int, seed: int) -> pd.DataFrame:
    """Measure false alarms and drifts in the time of one promise, for many calibrations."""
    rows = []
    for assumed, wish in WISHES.items():
        looks = round(wish.looks)
        for clips in CLIPS:
            try:
                rule = find_rule({"": clips}, wish)
            except InputError as error:
                print(f"{clips} clips: {error}")
                continue
            for correlation in CORRELATIONS:
                rng = np.random.default_rng([seed, clips, round(100 * correlation)])
                alarms, drifted = [], []
                for number in range(sets):
                    calibration = rng.standard_normal(clips)
                    threshold = conformal_threshold(calibration, rule.rate)
                    scores = drawn(looks, correlation, rng)
                    alarms.append(false_alarms(scores >= threshold, rule))
                    if number < drift_sets:
                        drifted.append(drifts(calibration, threshold, scores, wish.looks))
                rows.append(
                    {
                        **{"assumes": assumed, "clips": clips, "correlation": correlation},
                        **{"needed": rule.needed, "window": rule.window, "rate": rule.rate},
                        **{"looks": looks, "sets": sets, "bound": rule.per_look * looks},
                        "alarms_mean": np.mean(alarms),
                        "alarms_standard_error": np.std(alarms, ddof=1) / np.sqrt(sets),
                        "sets_with_alarms": np.mean(np.array(alarms) > 0),
                        "sets_with_more_than_one": np.mean(np.array(alarms) > 1),
                        "alarms_worst_set": max(alarms),
                        "drift_sets": drift_sets,
                        "drifts_mean": np.mean(drifted),
                    }
                )
    return pd.DataFrame(rows)


def normal_clips(folder: Path) -> list[Path]:
    """Return the normal test clips of a folder in the DCASE layout, or all of a plain one."""
    tests = folder / "test" if (folder / "test").is_dir() else folder
    return sorted(path for path in tests.rglob("*.wav") if "anomal" not in path.name)


def spliced(folder: Path, clips: Path, days: int, seed: int) -> pd.DataFrame:
    """Measure false alarms on streams put together from normal test clips."""
    detector = Detector.load(folder)
    names = set(normal_clips(clips))
    wanted = [
        one
        for one in find_recordings([clips], detector, None)
        if isinstance(one, Wanted) and one.path in names
    ]
    verdicts = [one for one in judge(detector, wanted) if isinstance(one, Verdict)]
    table = pd.DataFrame([(one.machine_id, one.score) for one in verdicts], columns=["id", "score"])
    calibration, rng, rows = detector.calibration, np.random.default_rng(seed), []
    for machine_id, own in table.groupby("id").score:
        values = calibration.values(str(machine_id))
        for every_days in (1, 30):
            wish = Wish(every_days * DAY, 600.0, 60.0, independent=True)
            row = {
                **{"corpus": detector.description.corpus.name, "machine_id": machine_id},
                **{"simulated": detector.description.corpus.simulated},
                **{"in_folds": calibration.in_folds, "calibration_clips": len(values)},
                **{"test_clips": len(own), "promised_every_days": every_days},
            }
            rows.append(row)
            try:
                rule = find_rule({str(machine_id): len(values)}, wish)
            except InputError:
                continue
            threshold = conformal_threshold(values, rule.rate)
            looks = round(days * DAY / wish.spacing_s)
            passes = -(-looks // len(own))
            scores = np.concatenate([rng.permutation(own) for _ in range(passes)])[:looks]
            row |= {
                **{"needed": rule.needed, "window": rule.window, "rate": rule.rate},
                "rate_delivered": np.mean(own >= threshold),
                "days": days,
                "alarms": false_alarms(scores >= threshold, rule),
                "alarms_promised": days / every_days,
            }
    return pd.DataFrame(rows)


def live(folder: Path, clips: Path, minutes: float, *, fast: bool) -> dict[str, float]:
    """Let a watch hear clips as a microphone delivers them, or as fast as it can judge them."""
    paths = normal_clips(clips)
    rate = soundfile.info(paths[0]).samplerate
    detector = Detector.load(folder)
    segment_s = detector.description.corpus.segment_s or 10.0
    command = [
        *(sys.executable, "-m", "anomalous_sound.command", "watch", "-", "--json"),
        *("--rate", str(rate), "--segment", str(segment_s), "--detector", str(folder)),
        *("--machine-id", detector.description.machine_ids[0]),
    ]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert running.stdin is not None
    assert running.stdout is not None
    written: list[float] = []  # when the last sample of each segment was

    def feed(stdin=running.stdin) -> None:
        begin, samples, of_segment = time.monotonic(), 0, round(segment_s * rate)
        block = rate // 10
        for part in _blocks(paths, block):
            if samples >= minutes * 60 * rate:
                break
            samples += len(part)
            if not fast:
                time.sleep(max(0.0, begin + samples / rate - time.monotonic()))
            stdin.write(part.tobytes())
            stdin.flush()
            if samples // of_segment > len(written):
                written.append(time.monotonic())
        stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    told = []
    for line in running.stdout:
        if json.loads(line)["event"] == "verdict":
            told.append(time.monotonic())
    feeder.join()
    running.wait()
    delays = np.array(told[: len(written)]) - np.array(written[: len(told)])
    return {
        "segments": len(told),
        "delay_median_s": float(np.median(delays[1:])),
        "delay_first_s": float(delays[0]),
        "delay_longest_s": float(delays[1:].max()),
        "seconds_per_segment": float(np.diff(told).mean()),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def _blocks(paths: list[Path], size: int) -> Iterator[np.ndarray]:
    while True:
        for path in paths:
            samples, _ = soundfile.read(path, dtype="int16", always_2d=True)
            for begin in range(0, len(samples), size):
                yield np.ascontiguousarray(samples[begin : begin + size, 0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["streams", "spliced", "live"])
    parser.add_argument("--sets", type=int, default=2000, help="sets of calibration clips")
    parser.add_argument("--drift-sets", type=int, default=100)
    parser.add_argument("--detector", type=Path, action="append", help="one for each --clips")
    parser.add_argument("--clips", type=Path, action="append")
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.what == "streams":
        table, name = streams(given.sets, given.drift_sets, given.seed), "watching.csv"
    elif given.what == "spliced":
        pairs = zip(given.detector, given.clips, strict=True)
        table = pd.concat([spliced(*pair, given.days, given.seed) for pair in pairs])
        name = "watching_spliced.csv"
    else:
        print(live(given.detector[0], given.clips[0], given.minutes, fast=given.fast))
        return
    table.to_csv(given.out / name, index=False, float_format="%.6g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
