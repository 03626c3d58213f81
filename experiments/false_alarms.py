"""Do thresholds keep the false-alarm rate that was asked for?

Scores are drawn from four known distributions, so the rate that a threshold delivers is not
counted on a sample but computed: the part of the distribution at or above it. Writes
experiments/results/false_alarms.csv and docs/images/false_alarms.png, and prints the table of
docs/thresholds.md. From the repository root, some minutes on one core:

    python -m experiments.false_alarms
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import clips_needed, in_words
from anomalous_sound.decision.strategies import STRATEGIES as REGISTRY
from anomalous_sound.reporting.figures import BLUE, GREEN, ORANGE, VERMILION

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results" / "false_alarms.csv"
IMAGE = ROOT / "docs" / "images" / "false_alarms.png"
RATES = (1 / 50, 1 / 20, 1 / 10)
SIZES = (20, 49, 100, 300)
SHOWN_RATE = 1 / 50
MIDDLE = 0.9  # of the draws lie between low and high

# (weight, distribution) of each part; all scores are practically above 0, as errors are
DISTRIBUTIONS = {
    "normal": [(1.0, stats.norm(10, 1))],
    "gamma": [(1.0, stats.gamma(4))],
    "log-normal (heavy tail)": [(1.0, stats.lognorm(1))],
    "two operating states": [(0.85, stats.norm(10, 1)), (0.15, stats.norm(16, 1))],
}
COLOURS = dict(zip(SIZES, (VERMILION, ORANGE, GREEN, BLUE), strict=True))
NAMES = {
    "conformal": "conformal",
    "student_t": "Student t",
    "gamma": "gamma fit",
    "validation_mean_plus_k_std": "mean + k·std. dev.",
    "validation_percentile": "percentile",
}
STRATEGIES = tuple(NAMES)


def settings_for(rate):
    """Return settings by which every one of STRATEGIES promises or implies a rate."""
    return ThresholdSettings(
        per="machine_type",
        false_alarm_rate=rate,
        k=float(stats.norm.isf(rate)),
        percentile=100 * (1 - rate),
        tpr=1.0,
        deployed="conformal",
        fallback="student_t",
    )


def draw(parts, size, rng):
    """Draw scores of a mixture: draws × clips."""
    part = rng.choice(len(parts), size, p=[weight for weight, _ in parts])
    scores = np.stack([distribution.rvs(size, random_state=rng) for _, distribution in parts])
    return np.take_along_axis(scores, part[None], axis=0)[0]


def rate_above(parts, thresholds):
    """Return the part of the distribution at or above each threshold."""
    return sum(weight * distribution.sf(thresholds) for weight, distribution in parts)


def measure(draws, seed):
    rows = []
    for position, (name, parts) in enumerate(DISTRIBUTIONS.items()):
        for clips in SIZES:
            scores = draw(parts, (draws, clips), np.random.default_rng([seed, position, clips]))
            for rate in RATES:
                settings = settings_for(rate)
                for strategy in STRATEGIES:
                    threshold_of = REGISTRY[strategy].threshold
                    found = [threshold_of(of_draw, settings) for of_draw in scores]
                    delivered = rate_above(
                        parts, np.array([threshold.value for threshold in found if threshold.given])
                    )
                    rows.append(summary(name, clips, rate, strategy, draws, delivered))
    return pd.DataFrame(rows)


def summary(name, clips, rate, strategy, draws, delivered):
    row = {
        "distribution": name,
        "calibration_clips": clips,
        "promised_rate": rate,
        "strategy": strategy,
        "draws": draws,
        "draws_given": len(delivered),
    }
    if len(delivered):
        tail = (1 - MIDDLE) / 2
        low, high = np.quantile(delivered, [tail, 1 - tail])
        row |= {
            "delivered_mean": delivered.mean(),
            "delivered_mean_standard_error": delivered.std(ddof=1) / np.sqrt(len(delivered)),
            "delivered_low": low,
            "delivered_high": high,
            "draws_above_promise": np.mean(delivered > rate),
        }
    if strategy == "conformal" and clips >= clips_needed(rate):
        allowed = np.floor(rate * (clips + 1) + 1e-9)
        tail = (1 - MIDDLE) / 2
        # the rate of one set of clips; see conformal_threshold
        low, high = stats.beta.ppf([tail, 1 - tail], allowed, clips + 1 - allowed)
        row |= {
            "theory_mean": allowed / (clips + 1),
            "theory_low": low,
            "theory_high": high,
        }
    return row


def figure(table):
    """Draw the rates that were delivered where one was asked for: mean and middle of the draws."""
    shown = table[np.isclose(table.promised_rate, SHOWN_RATE)]
    canvas = Figure(figsize=(11, 8.6), layout="constrained")
    panels = canvas.subplots(2, 2, sharex=True, sharey=True)
    limit = 17
    for panel, name in zip(panels.flat, DISTRIBUTIONS, strict=True):
        panel.axvspan(0, 100 * SHOWN_RATE, color="#eeeeee", zorder=0)
        panel.axvline(100 * SHOWN_RATE, color="black", linewidth=1.4, linestyle="--", zorder=1)
        for row, strategy in enumerate(STRATEGIES):
            for place, clips in enumerate(SIZES):
                y = row + 0.19 * (place - 1.5)
                cell = shown[
                    (shown.distribution == name)
                    & (shown.strategy == strategy)
                    & (shown.calibration_clips == clips)
                ].iloc[0]
                if cell.draws_given == 0:
                    needed = clips_needed(SHOWN_RATE)
                    panel.text(
                        100 * SHOWN_RATE + 0.15,
                        y,
                        f"not given: {clips} clips are too few (it needs {needed})",
                        fontsize=8,
                        color=COLOURS[clips],
                        va="center",
                    )
                    continue
                panel.plot(
                    [100 * cell.delivered_low, 100 * cell.delivered_high],
                    [y, y],
                    color=COLOURS[clips],
                    linewidth=2,
                    solid_capstyle="butt",
                )
                panel.plot(100 * cell.delivered_mean, y, "o", color=COLOURS[clips], markersize=6.5)
        panel.set_title(f"scores: {name}", loc="left", fontsize=11)
        panel.set(
            xlim=(0, limit),
            ylim=(len(STRATEGIES) - 0.5, -0.5),
            yticks=range(len(STRATEGIES)),
            yticklabels=[NAMES[strategy] for strategy in STRATEGIES],
        )
        panel.set_yticks(np.arange(len(STRATEGIES) - 1) + 0.5, minor=True)
        panel.grid(axis="y", which="minor", color="#cccccc", linewidth=0.8)
        panel.tick_params(axis="y", length=0, which="both")
        panel.spines[["top", "right"]].set_visible(False)
    canvas.supylabel("how the threshold is found", fontsize=10)
    for panel in panels[-1]:
        panel.set_xlabel("false alarms delivered, per 100 normal clips")
    handles = [
        panels[0, 0].plot([], [], "o-", color=COLOURS[clips], linewidth=2, label=f"{clips}")[0]
        for clips in SIZES
    ]
    handles.append(
        panels[0, 0].plot(
            [], [], "--", color="black", linewidth=1.4, label=f"asked for: {100 * SHOWN_RATE:g}"
        )[0]
    )
    canvas.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        title=f"normal clips to calibrate with (dot: mean of {shown.draws.max()} sets of clips; "
        f"bar: {MIDDLE:.0%} of the sets lie here)",
    )
    canvas.suptitle(
        f"Asked for: at most {in_words(SHOWN_RATE).replace('in', 'false alarm in')} normal clips. "
        "What is delivered? (simulated score distributions)\n"
        "A dot in the grey or on its edge keeps the promise on average; one set of clips can do "
        "better or worse: the bar.",
        fontsize=12,
    )
    return canvas


def markdown(table):
    """Lay the means out as the table of docs/thresholds.md: false alarms per 100 normal clips."""
    lines = [
        "| promised | threshold | " + " | ".join(f"{clips} clips" for clips in SIZES) + " |",
        "|---|---|" + "---|" * len(SIZES),
    ]
    for rate in RATES:
        for strategy in STRATEGIES:
            cells = []
            for clips in SIZES:
                means = 100 * table.delivered_mean[
                    np.isclose(table.promised_rate, rate)
                    & (table.strategy == strategy)
                    & (table.calibration_clips == clips)
                ].round(4)
                given = means.notna().all()
                cells.append(f"{means.min():.1f} to {means.max():.1f}" if given else "not given")
            lines.append(
                f"| {in_words(rate)} ({100 * rate:g}) | {NAMES[strategy]} | "
                + " | ".join(cells)
                + " |"
            )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw-only", action="store_true", help="draw from the stored table")
    arguments = parser.parse_args()
    if not arguments.draw_only:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        measure(arguments.draws, arguments.seed).to_csv(RESULTS, index=False, float_format="%.6g")
    table = pd.read_csv(RESULTS)
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure(table).savefig(IMAGE, dpi=100)
    print(markdown(table))


if __name__ == "__main__":
    main()
