import numpy as np
import pandas as pd
import pytest

from anomalous_sound.decision.thresholds import (
    calibration_tables,
    classification_report,
    threshold_table,
)
from anomalous_sound.evaluation.metrics import evaluate
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting import figures
from anomalous_sound.reporting.page import report_page

DEPLOYED = "validation_mean_plus_k_std"
SETTINGS = {
    "network": {"architecture": "lstm_predictor"},
    "audio": {"sample_rate": 16000},
    "log_mel": {"n_mels": 128, "hop_length": 512, "top_db": 80.0},
}


def corpus(simulated=False):
    return {
        "name": "slide rails of hall 3",
        "simulated": simulated,
        "machine_type": "slider",
        "machine_ids": ["00"],
        "fingerprint": "0123",
        "clips_found": 20,
        "clips_used": 20,
        "clips_rejected": 0,
        "clips_by_split_and_label": {"test normal": 10},
    }


def scores_of(anomalous=6):
    rng = np.random.default_rng(0)
    groups = [("train", "normal", 8, 1), ("validation", "normal", 5, 1), ("test", "normal", 7, 1.2)]
    groups += [("test", "anomalous", anomalous, 2)]
    rows = [
        (split, label, rng.normal(mean, 0.3))
        for split, label, count, mean in groups
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["split", "label", "score"])
    table["clip_id"] = [f"{number}.wav" for number in range(len(table))]
    return table.assign(machine_id="00", machine_type="slider")


def prepared(simulated=False, **options):
    scores = scores_of(**options)
    table = threshold_table(scores, k=2.0, percentile=90.0, tpr=0.8, false_alarm_rate=0.02)
    metrics = evaluate(scores, max_fpr=0.1, resamples=20, confidence=0.95, seed=0)
    return scores, table, metrics | {"corpus": corpus(simulated)}


def texts(figure):
    import matplotlib.text

    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_every_threshold_is_marked_in_the_roc():
    scores, table, metrics = prepared()
    figure = figures.roc_figure(scores, table, metrics, DEPLOYED)
    axes = figure.axes[0]
    given = table.dropna(subset="threshold")
    marked = {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6))
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert marked == {(round(row.fpr, 6), round(row.tpr, 6)) for row in given.itertuples()}
    words = texts(figure)
    assert "deployed" in words
    assert words.count("[oracle]") == 2
    assert f"AUC {metrics['auc_pooled']:.3f}" in words
    assert "false-positive rate" in axes.get_xlabel()


def test_a_roc_that_cannot_be_drawn_says_why():
    scores, table, metrics = prepared(anomalous=0)
    figure = figures.roc_figure(scores, table, metrics, DEPLOYED)
    assert "cannot be computed:\nno test clip is labelled anomalous" in texts(figure)


def test_the_score_figure_has_a_panel_for_each_group_there_is():
    scores = scores_of(anomalous=0)
    figure = figures.score_figure(scores, 1.5, DEPLOYED, "a unit", corpus())
    assert len(figure.axes) == 3
    for panel, count in zip(figure.axes, (8, 5, 7), strict=True):
        assert sum(patch.get_height() for patch in panel.patches) == count
        assert f"{count} clips" in panel.get_title(loc="left")


def test_the_timeline_shows_when_and_where_clips_deviate():
    scores = scores_of()
    shown = scores[scores.split == "test"].sort_values("score").iloc[[0, -1]]
    rng = np.random.default_rng(0)
    count = len(scores)
    index = pd.DataFrame({"clip_id": scores.clip_id, "first_frame": np.arange(count) * 40})
    frames = Frames(-80 * rng.random((40 * count, 128)).astype(np.float32), index.assign(frames=40))
    errors = pd.DataFrame({"clip_id": np.repeat(scores.clip_id, 30)})
    errors["time_s"] = np.tile(0.32 + 0.032 * np.arange(30), count)
    errors["error"] = rng.random(len(errors))
    maps = {clip_id: rng.normal(size=(30, 128)) for clip_id in shown.clip_id}
    last = shown.clip_id.iloc[-1]
    marks = pd.DataFrame(
        [(last, "time", 0.5, 1.0), (last, "frequency", 950.0, 1050.0)],
        columns=["clip_id", "axis", "start", "end"],
    )
    figure = figures.timeline_figure(frames, errors, maps, shown, marks, SETTINGS, corpus())
    words = texts(figure)
    for column, clip_id in enumerate(shown.clip_id):
        assert f"{clip_id}\ntest clip, label" in words
        deviations, spectrogram, timeline = (figure.axes[column + 2 * row] for row in range(3))
        assert deviations.get_xlim() == spectrogram.get_xlim() == timeline.get_xlim()
        np.testing.assert_array_equal(deviations.images[0].get_array(), maps[clip_id].T)
        # the map lies where the window errors are
        left, right, _, _ = deviations.images[0].get_extent()
        assert (left, right) == pytest.approx((0.32 - 0.016, 0.32 + 29 * 0.032 + 0.016))
        line = timeline.lines[0]
        np.testing.assert_array_equal(line.get_ydata(), errors.error[errors.clip_id == clip_id])
        low, high = timeline.get_ylim()
        assert low <= line.get_ydata().min() and line.get_ydata().max() <= high
        np.testing.assert_array_equal(spectrogram.images[0].get_array(), frames.clip(clip_id).T)
    marked = figure.axes[1]
    assert [patch.get_x() for patch in marked.patches] == [0.5]
    (arrow,) = (line for line in marked.lines if line.get_marker() == ">")
    # 1000 Hz lies where the axis says so
    ticks = {
        label.get_text(): label.get_position()[1] for label in figure.axes[0].get_yticklabels()
    }
    assert arrow.get_ydata()[0] == pytest.approx(ticks["1,000"])
    assert not figure.axes[0].patches


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_sound_is_called_so_everywhere(simulated):
    scores, table, metrics = prepared(simulated)
    summary = corpus(simulated)
    history = pd.DataFrame({"epoch": [1], "training_loss": [0.1], "validation_loss": [0.2]})
    shown = [
        texts(figures.roc_figure(scores, table, metrics, DEPLOYED)),
        texts(figures.score_figure(scores, 1.5, DEPLOYED, "a unit", summary)),
        texts(figures.history_figure(history, summary)),
        page(scores, table, metrics),
    ]
    assert ["simulated" in text.lower() for text in shown] == [simulated] * 4


def page(scores, table, metrics, rejected=(), note=""):
    return report_page(
        metrics=metrics,
        thresholds=table,
        classification=classification_report(table, scores),
        rejected_clips=pd.DataFrame(rejected, columns=["clip_id", "reason"]),
        settings=SETTINGS | {"corpus": metrics["corpus"]},
        score={"whitening": "none", "pooling": "mean"},
        deployed={"strategy": DEPLOYED, "note": note, "per": "machine_type", "by_machine_id": {}},
        calibration=calibration_tables(scores, false_alarm_rate=0.02, confidence=0.95),
    )


def test_the_page_says_what_could_not_be_computed_and_what_was_rejected():
    text = page(*prepared(anomalous=0), rejected=[("bad.wav", "the file is empty")])
    assert "not computed: `auc_pooled`" in text
    assert "no test clip is labelled anomalous" in text
    assert "| bad.wav | the file is empty |" in text
    assert "nan" not in text.lower()


def test_the_page_marks_the_deployed_threshold():
    text = page(*prepared())
    assert "**validation mean + k std. dev.**" in text
    for file in ("roc_figure.png", "score_figure.png", "timeline_figure.png"):
        assert f"]({file})" in text


def test_the_page_says_why_the_threshold_asked_for_does_not_decide():
    text = page(*prepared(), note="conformal cannot be given: too few clips")
    assert "**conformal cannot be given: too few clips**" in text
    assert "| conformal | 0.02 | always, if the clips are exchangeable | 5 | 49 | – |" in text
