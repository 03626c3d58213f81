from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from support import AUDIO_BOUNDS

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.evaluation.calibration_table import calibration_table
from anomalous_sound.evaluation.metrics import evaluate, validation_errors
from anomalous_sound.evaluation.threshold_table import classification_report, threshold_table
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting import figures
from anomalous_sound.reporting.report_page import FIGURES, channel_table, report_page

FEATURES = FeatureSettings(
    audio={"sample_rate": 16000, "channel": 0, **AUDIO_BOUNDS},
    log_mel={"n_fft": 2048, "n_mels": 128, "hop_length": 512, "top_db": 80.0},
)


THRESHOLDS = ThresholdSettings(
    per="machine_type",
    false_alarm_rate=0.02,
    k=2.0,
    percentile=90.0,
    tpr=0.8,
    deployed="conformal",
    fallback="validation_mean_plus_k_std",
)


DECIDING = Thresholds("validation_mean_plus_k_std", {"00": 1.5}, "machine_type")


def calibration(scores):
    return CalibrationScores.from_table(scores[scores.split == "validation"])


def corpus(simulated=False):
    return SimpleNamespace(
        name="slide rails of hall 3",
        simulated=simulated,
        machine_type="slider",
        machine_ids=["00"],
        fingerprint="0123",
        clips_found=20,
        clips_used=20,
        clips_rejected=0,
        clips_by_split_and_label={"test normal": 10},
        held_out_by="clips",
    )


def deployed(**changed):
    values = {
        "strategy": "validation_mean_plus_k_std",
        "by_machine_id": {"00": 1.5},
        "note": "",
        "per": "machine_type",
        "shared": 1.5,
        "unseen_note": "",
        "with_foreign": True,
    }
    return SimpleNamespace(**values | changed)


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


def prepared(deciding=DECIDING, labelled=True, **options):
    scores = scores_of(**options)
    if not labelled:
        scores.loc[scores.split == "test", "label"] = "unknown"
    table = threshold_table(scores, calibration(scores), THRESHOLDS, deciding)
    metrics = evaluate(
        scores,
        EvaluationSettings(
            max_fpr=0.1, bootstrap_resamples=20, confidence=0.95, challenge_year=None
        ),
        seed=0,
    )
    errors = scores[["clip_id"]].assign(error=scores.score)  # the report's score is the mean error
    metrics |= validation_errors(scores, errors)
    return scores, table, metrics


def texts(figure):
    import matplotlib.text

    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def test_every_threshold_is_marked_in_the_roc():
    scores, table, metrics = prepared()
    figure = figures.roc_figure(scores, table, metrics, corpus())
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
    figure = figures.roc_figure(scores, table, metrics, corpus())
    assert "cannot be computed:\nno test clip is labelled anomalous" in texts(figure)


def test_the_score_figure_has_a_panel_for_each_group_there_is():
    scores = scores_of(anomalous=0)
    figure = figures.score_figure(scores, deployed(), "a unit", corpus())
    assert len(figure.axes) == 3
    for panel, count in zip(figure.axes, (8, 5, 7), strict=True):
        assert sum(patch.get_height() for patch in panel.patches) == count
        assert f"{count} clips" in panel.get_title(loc="left")
    assert "dashed: deployed threshold 1.5 (validation mean + k std. dev., normal" in texts(figure)


def test_the_score_figure_has_no_line_where_each_machine_id_has_its_own_threshold():
    own = deployed(by_machine_id={"00": 1.5, "02": 1.6}, per="machine_id", shared=None)
    figure = figures.score_figure(scores_of(), own, "a unit", corpus())
    assert "each machine ID has its own deployed threshold" in texts(figure)
    assert not any(panel.lines for panel in figure.axes)


def test_the_timeline_shows_when_and_where_clips_deviate():
    scores = scores_of()
    shown = scores[scores.split == "test"].sort_values("score").iloc[[0, -1]]
    rng = np.random.default_rng(0)
    count = len(scores)
    values = -80 * rng.random((count, 40, 128)).astype(np.float32)
    frames = Frames.in_memory(dict(zip(scores.clip_id, values, strict=True)))
    errors = pd.DataFrame({"clip_id": np.repeat(scores.clip_id, 30)})
    errors["time_s"] = np.tile(0.32 + 0.032 * np.arange(30), count)
    errors["error"] = rng.random(len(errors))
    maps = {clip_id: rng.normal(size=(30, 128)) for clip_id in shown.clip_id}
    last = shown.clip_id.iloc[-1]
    marks = pd.DataFrame(
        [(last, "time", 0.5, 1.0), (last, "frequency", 950.0, 1050.0)],
        columns=["clip_id", "axis", "start", "end"],
    )
    figure = figures.timeline_figure(frames, errors, maps, shown, marks, FEATURES, corpus())
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
    scores, table, metrics = prepared()
    summary = corpus(simulated)
    history = pd.DataFrame({"epoch": [1], "training_loss": [0.1], "validation_loss": [0.2]})
    shown = [
        texts(figures.roc_figure(scores, table, metrics, summary)),
        texts(figures.score_figure(scores, deployed(), "a unit", summary)),
        texts(figures.history_figure(history, summary)),
        page(scores, table, metrics, summary=summary),
    ]
    assert ["simulated" in text.lower() for text in shown] == [simulated] * 4


def page(scores, table, metrics, rejected=(), summary=None, **decided):
    return report_page(
        method="LSTM frame prediction",
        corpus=summary or corpus(),
        metrics=metrics,
        unit="a unit",
        thresholds=table,
        deployed=deployed(**decided),
        classification=classification_report(table, scores),
        rejected_clips=pd.DataFrame(rejected, columns=["clip_id", "reason"]),
        calibration=calibration_table(
            scores.assign(foreign=False), calibration(scores), THRESHOLDS, confidence=0.95
        ),
        channels=channel_table(pd.DataFrame(columns=["clip_id", "channel", "score"]), scores),
        has_places=True,
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
        assert file in FIGURES
        assert f"]({file})" in text


def test_a_long_unit_stays_within_the_figure():
    figure = figures.score_figure(scores_of(), deployed(), "a long word " * 20, corpus())
    figure.canvas.draw()
    box = figure.axes[-1].xaxis.label.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_the_page_names_method_corpus_and_unit():
    text = page(*prepared())
    assert text.startswith(
        "# LSTM frame prediction: slide rails of hall 3\n\nMachine type: slider;"
    )
    assert "20 clips found = 20 used (10 test normal) + 0 rejected." in text
    assert "Anomaly score of a clip: a unit." in text
    assert "Rejected" not in text


def test_the_page_says_the_metrics():
    scores, table, metrics = prepared()
    low, high = metrics["auc_pooled_interval"]
    text = page(scores, table, metrics)
    assert (
        f"- AUC over all test clips: **{metrics['auc_pooled']:.3f}** "
        f"(95% bootstrap interval {low:.3f} to {high:.3f})"
    ) in text
    validation = scores.score[scores.split == "validation"]
    assert (
        "\n- Mean error of the normal clips, each by a network that has not heard it: "
        f"{validation.mean():.6f} ± {validation.std(ddof=1):.6f} (mean ± standard deviation)"
        "\n\n| machine ID |"
    ) in text


def test_the_page_gives_the_thresholds_of_each_machine_id():
    text = page(*prepared(), per="machine_id", by_machine_id={"": 1.25, "02": 1 / 3}, shared=None)
    assert "its own deployed threshold ((none given): 1.25, 02: 0.3333), judged here by" in text


def test_the_thresholds_that_decide_are_marked_and_no_other():
    scores, _, metrics = prepared()
    scores["machine_id"] = ["00", "02"] * (len(scores) // 2)
    own = Thresholds("validation_mean", {"00": 1.1, "02": 1.4}, "machine_id")
    table = threshold_table(scores, calibration(scores), THRESHOLDS, own)
    bold = [line for line in page(scores, table, metrics).splitlines() if line.startswith("| **")]
    assert [line.split("|")[1].strip() for line in bold] == [
        "**validation mean, machine ID 00**",
        "**validation mean, machine ID 02**",
    ]
    figure = figures.roc_figure(scores, table, metrics, corpus())
    words = texts(figure)
    assert words.count("[deployed]") == 2
    assert "validation mean, machine ID 02 [deployed]\n   threshold 1.4" in words
    points = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert len(points) == len(table.dropna(subset="threshold"))


def test_the_page_says_what_the_left_out_clips_have_in_common_with_others():
    texts_of = {}
    for unit in ("clips", "recordings", "blocks"):
        summary = corpus()
        summary.held_out_by = unit
        texts_of[unit] = page(*prepared(), summary=summary)
    assert "The clips left out are" not in texts_of["clips"]
    assert "\nThe clips left out are whole recordings: clips of one" in texts_of["recordings"]
    blocks = "are blocks of a recording: a promise holds for the day of that recording."
    assert blocks in texts_of["blocks"]


def test_the_page_counts_undecided_clips():
    scores, table, metrics = prepared()
    assert "undecided" not in page(scores, table, metrics)
    text = page(scores, table, metrics | {"deployed": {"undecided": 3}})
    assert "**3 clips are undecided:** no normal clip of their machine ID, or as long" in text


def test_the_page_says_how_often_the_marks_hit_a_known_fault():
    scores, table, metrics = prepared()
    rates = {"time_hit": 0.8, "time_chance": 0.3, "frequency_hit": 0.6, "frequency_chance": 0.12}
    assert "simulated anomalous" not in page(scores, table, metrics)
    text = page(scores, table, metrics | {"localisation": {"clips": 6, **rates}})
    assert "For the 6 simulated anomalous test clips, it is known when" in text
    assert "heard in 80% of the marked time (marked at random: 30%), and 60% of" in text
    assert "in its frequency range (marked at random: 12%)" in text


def test_the_page_says_why_the_threshold_asked_for_does_not_decide():
    text = page(*prepared(), note="conformal cannot be given: too few clips")
    assert "**conformal cannot be given: too few clips**; validation mean + k std. dev. is" in text
    assert "is deployed instead, which promises no false-alarm rate." in text
    assert "| conformal |" not in text
    assert "Not given: conformal (5 normal clips can promise no rate below 1 in 6;" in text


def test_what_was_not_computed_is_left_out_and_said_in_one_sentence():
    text = page(*prepared(labelled=False))
    assert "- Metrics not computed: `auc_pooled`, " in text
    assert text.count("no test clip has a label") == 2  # metrics, and the oracle thresholds
    assert "roc_figure" not in text
    assert "## Classification" not in text
    assert "| machine ID |" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert any("validation mean + k" in row for row in rows)
    assert not any(set(row) <= set("|– ") for row in rows)
    assert all(row.count("–") <= 1 for row in rows)  # no rate is promised, where none is


def test_a_fallback_that_promises_a_rate_is_not_said_to_promise_none():
    text = page(
        *prepared(Thresholds("student_t", {"00": 1.5}, "machine_type")),
        note="conformal cannot be given: too few clips",
        strategy="student_t",
    )
    assert "; student t is deployed instead." in text
