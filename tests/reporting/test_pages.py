import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.evaluation.metrics import evaluate
from anomalous_sound.reporting import comparison_page, judgement_page, pages, recordings
from anomalous_sound.reporting.comparison_sound_page import comparison_sound_page
from anomalous_sound.reporting.shown_clips import Picture, ShownClip, ShownClips
from anomalous_sound.reporting.sound_page import PageFigure


def corpus(**changed):
    values = {
        "name": "hall 3",
        "simulated": False,
        "machine_type": "slider",
        "machine_ids": ["", "02"],
        "fingerprint": "0123",
        "clips_found": 5,
        "clips_used": 4,
        "clips_rejected": 1,
        "clips_by_split_and_label": {"test normal": 2, "test anomalous": 2},
        "segment_s": 10.0,
    }
    return SimpleNamespace(**values | changed)


def test_a_table_shows_numbers_missing_values_and_awkward_text():
    table = pd.DataFrame(
        {"a_name": [1.23456, np.nan, 1e-9], "text": ["a|b", None, "two\nlines"], "n": [1, 2, 3]}
    )
    assert pages.markdown_table(table).split("\n") == [
        "| a name | text | n |",
        "| --- | --- | --- |",
        "| 1.235 | a\\|b | 1 |",
        "| – | – | 2 |",
        "| 1e-09 | two lines | 3 |",
    ]


@pytest.mark.parametrize(
    "template", ["report.md.j2", "judgement.md.j2", "comparison.md.j2", "exploration.md.j2"]
)
def test_a_fact_that_is_missing_is_an_error_and_not_a_gap(template):
    with pytest.raises(UndefinedError):
        pages.render(template)


def judged():
    table = pd.DataFrame(
        [
            ("a.wav", "02", "normal", 1.0, 2.0, "normal", 0.8),
            ("b.wav", "02", "anomalous", 3.0, 2.0, "anomalous", 0.1),
            ("c.wav", "07", "unknown", 4.0, 2.0, "anomalous", 0.1),
        ],
        columns=["clip_id", "machine_id", "label", "score", "threshold", "decision", "p_value"],
    )
    return table.assign(recording=table.clip_id, start_s=0.0, duration_s=10.0, note="")


def judgement(table=None, judged_corpus=None, trained_on=None, in_folds=False, **decided):
    places = [("b.wav", "time", rank, rank, rank + 0.5) for rank in (4, 2, 1, 3)]
    places += [("b.wav", "frequency", 1, 950.4, 1049.6), ("a.wav", "time", 1, 8.0, 9.0)]
    thresholds = {"strategy": "conformal", "note": "", "per": "machine_type"}
    thresholds |= {"by_machine_id": {"02": 2.0}, "shared": 2.0}
    return judgement_page.judgement_page(
        judged=judged() if table is None else table,
        localisation=pd.DataFrame(places, columns=["clip_id", "axis", "rank", "start", "end"]),
        rejected_clips=pd.DataFrame({"clip_id": ["bad.wav"], "reason": ["the file is empty"]}),
        corpus=judged_corpus or corpus(),
        method="GRU autoencoder",
        trained_on=trained_on or corpus(name="hall 2"),
        unit="a unit",
        thresholds=SimpleNamespace(**thresholds | decided),
        calibration_clips=9,
        in_folds=in_folds,
    )


def test_the_judgement_lists_what_is_called_anomalous_with_places_the_highest_score_first():
    text = judgement()
    assert text.startswith("# Judged clips: hall 3\n\n**Called anomalous: 2 of 3 clips.**\n\n")
    assert "\n- 0 of 1 clips labelled normal\n- 1 of 1 clips labelled anomalous\n" in text
    lines = text.splitlines()
    rows = [line for line in lines if line.startswith(("| a.wav", "| b.wav", "| c.wav"))]
    assert rows == [
        "| c.wav | 07 | 4 | 2 | 0.1 |  |  |",
        "| b.wav | 02 | 3 | 2 | 0.1 | 1.00–1.50, 2.00–2.50, 3.00–3.50 | 950–1050 |",
    ]
    assert "9 held-out normal clips, so it is never below 1 in 10." in text
    assert "| bad.wav | the file is empty |" in text
    assert "](timeline_figure.png)" in text


def test_the_judgement_says_what_the_detector_is():
    text = judgement(note="gamma cannot be given: too few clips", per="machine_id")
    assert "- Method: GRU autoencoder\n- Trained on: hall 2; machine type slider" in text
    assert "machine IDs (none given), 02; corpus fingerprint `0123`" in text
    assert "- Threshold: conformal (gamma cannot be given: too few clips); a clip" in text
    assert "machine IDs that it has not been trained on (07) are" in text
    assert "9 held-out normal clips (for each clip, those of its machine ID), so" in text


def test_the_judgement_of_nothing_anomalous_has_no_table_of_clips():
    text = judgement(judged().assign(decision="normal", label="unknown", machine_id="02"))
    assert "No clip is called anomalous." in text
    assert "labelled" not in text
    assert "not been trained on" not in text
    assert "| clip ID | machine ID |" not in text


@pytest.mark.parametrize(("real", "told"), [(True, True), (False, False)])
def test_a_detector_trained_on_simulated_sound_warns_of_real_recordings(real, told):
    text = judgement(judged_corpus=corpus(simulated=not real), trained_on=corpus(simulated=True))
    assert ("**It was trained on simulated data:**" in text) == told
    assert ("**Simulated data:**" in text) != real


def judged_recordings():
    """An hour-long recording with alarms from 0:10:00 to 0:10:20 and at the end, and a file."""
    starts = np.arange(360) * 10.0
    table = pd.DataFrame(
        {"start_s": starts, "recording": "mon.wav", "score": 1.0, "threshold": 2.0}
    )
    table["clip_id"] = [f"mon.wav@{start:010.3f}" for start in starts]
    table["decision"] = "normal"
    table.loc[[60, 61, 359], "decision"] = "anomalous"
    table.loc[[60, 61, 359], "score"] = [3.0, 5.0, 4.0]
    table = table.assign(machine_id="02", label="unknown", duration_s=10.0, p_value=0.1, note="")
    return pd.concat([judged(), table], ignore_index=True)


def test_the_judgement_of_a_recording_gives_clock_times():
    text = judgement(judged_recordings())
    assert "Recordings of 20.0 s and more were cut into clips of 10.0 s" in text
    assert "| mon.wav | 1:00:00 | 360 | 3 | 0:10:00–0:10:20, 0:59:50–1:00:00 |" in text.splitlines()
    rows = [line for line in text.splitlines() if line.startswith("| mon.wav@")]
    assert rows[0].startswith("| mon.wav@000610.000 | 0:10:10–0:10:20 | 02 | 5 |")
    assert rows[1].startswith("| mon.wav@003590.000 | 0:59:50–1:00:00 |")
    assert "| c.wav |  | 07 |" in text
    assert "](recordings_figure.png)" in text


def test_the_judgement_of_clips_says_nothing_of_recordings():
    assert "recordings_figure" not in judgement()
    assert "## Recordings" not in judgement()


def test_the_figure_of_recordings_shows_scores_threshold_and_alarms():
    figure = recordings.recordings_figure(judged_recordings(), corpus())
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert len(lines["clip"].get_xdata()) == 360
    assert lines["alarm"].get_xdata().tolist() == [605.0, 615.0, 3595.0]
    assert set(lines["threshold"].get_ydata()) == {2.0}
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [f"0:{minutes:02d}:00" for minutes in range(0, 60, 10)] + ["1:00:00"]
    assert axes.get_title(loc="left") == "mon.wav: 3 alarms in 360 clips"
    assert "No recording was long enough" in (
        recordings.recordings_figure(judged(), corpus()).axes[0].texts[0].get_text()
    )


def test_the_figure_shows_the_recordings_with_most_alarms():
    one = judged_recordings().query("recording == 'mon.wav'")
    many = pd.concat(
        [
            one.assign(
                recording=name,
                clip_id=one.clip_id.str.replace("mon", name),
                decision=one.decision if name != "b" else "normal",
            )
            for name in "abcdefgh"
        ]
    )
    figure = recordings.recordings_figure(many, corpus())
    titles = [axes.get_title(loc="left")[0] for axes in figure.axes]
    assert titles == list("acdefg")
    assert "6 of 8 recordings: those with the most alarms" in figure.get_suptitle()


def compared(labels=("normal", "anomalous")):
    rng = np.random.default_rng(0)
    rows = []
    for method in ("lstm", "level"):
        table = pd.DataFrame({"split": "test", "label": list(labels) * 20, "machine_id": "02"})
        table["score"] = rng.normal(size=40) + 2 * (table.label == "anomalous")
        metrics = evaluate(
            table,
            EvaluationSettings(
                max_fpr=0.1, bootstrap_resamples=5, confidence=0.9, challenge_year=None
            ),
            seed=0,
        )
        row = {"method": method, "kind": "network" if method == "lstm" else "no training"}
        if metrics["auc_pooled"] is not None:
            row |= {"auc_pooled": metrics["auc_pooled"], "auc_pooled_low": 0.5}
            row |= {"auc_pooled_high": 1.0, "pauc_pooled": 0.75, "f1": np.nan}
            row |= {"auc_mean": metrics["auc_mean"], "auc_id_02": metrics["auc_mean"]}
        row |= {"parameters": 12345.0 if method == "lstm" else np.nan}
        rows.append({**row, "training_s": 1.5, "scoring_ms_per_clip": 2.0})
    return pd.DataFrame(rows)


def comparison(table, disagreements=0, missing=None):
    verdicts = ["lstm beats level: AUC +0.100 (+0.050 to +0.150)"]
    return comparison_page.comparison_page(found(table, disagreements, missing), verdicts)


def found(table, disagreements=0, missing=None):
    disputed = pd.DataFrame(
        {
            "clip_id": [f"{n}.wav" for n in range(disagreements)],
            "machine_id": "02",
            "label": "anomalous",
            "lstm": "normal",
            "gru": "anomalous",
            "spread": 0.25,
        }
    )
    return comparison_page.Compared(
        comparison=table,
        differences=pd.DataFrame({"method": ["lstm"], "other": ["level"], "clear": [True]}),
        disagreements=disputed,
        pays="Training pays here.",
        missing=missing or {},
        corpus=corpus(),
        confidence=0.9,
        max_fpr=0.1,
    )


def test_the_comparison_shows_every_table():
    table = compared()
    text = comparison(table, missing={"gru": "it has not been run; run: kedro run --pipeline gru"})
    auc = table.auc_pooled[0]
    assert f"| lstm | network | {auc:.3f} (0.500 to 1.000) |" in text
    assert "90% bootstrap intervals" in text
    assert "on the same 4 clips (corpus fingerprint `0123`)" in text
    assert "- Not compared: gru (it has not been run; run: kedro run --pipeline gru)" in text
    assert "| lstm | 12,345 | 1.5 | 2 |" in text
    assert "| level | – | 1.5 | 2 |" in text
    assert "| method | AUC mean | AUC ID 02 |" in text
    assert "- lstm beats level: AUC +0.100" in text
    assert "| lstm | level | yes |" in text
    assert "\n0 test clips are not decided alike" in text
    for file in comparison_page.FIGURES:
        assert f"]({file})" in text


def test_the_comparison_shows_the_widest_disagreements():
    text = comparison(compared(), disagreements=20)
    assert "20 test clips are not decided alike" in text
    assert "The table shows the 15 whose ranks" in text
    assert "| 14.wav |" in text and "| 15.wav |" not in text


def test_a_comparison_without_two_classes_is_written_without_auc():
    table = compared(labels=("normal", "normal"))
    text = comparison(table)
    assert "| lstm | network |" in text
    assert "| AUC" not in text
    lines = comparison_page.summary_lines(table, corpus(), 0.9)
    assert lines[0] == "Methods on hall 3:"
    assert lines[1].endswith("no AUC: it needs normal and anomalous test clips")


def test_the_summary_has_a_line_for_each_method():
    table = compared()
    lines = comparison_page.summary_lines(table, corpus(simulated=True), 0.9)
    assert lines[0] == "Methods on hall 3 (simulated data):"
    auc = table.auc_pooled[0]
    assert (
        lines[1]
        == f"  lstm                   AUC {auc:.3f} (90%: 0.500 to 1.000)  pAUC 0.750  F1 –"
    )


def test_the_judgement_counts_undecided_clips_and_says_what_to_do():
    table = judged()
    table.loc[2, ["threshold", "decision", "p_value"]] = [np.nan, "undecided", np.nan]
    text = judgement(table)
    assert "**Called anomalous: 1 of 3 clips; undecided: 1.**" in text
    assert "- 1 clips are undecided: no normal clip of their machine ID, or as long" in text
    assert "`--params inference.machine_id=ID` (it knows (none given), 02)" in text
    assert "undecided" not in judgement()


def test_the_judgement_tells_of_another_gain():
    table = judged()
    table.loc[0, "note"] = "12 dB louder than the loudest of 24 normal clips: another gain?"
    text = judgement(table)
    assert "1 of 3 clips differ from the normal clips in level" in text
    assert "| a.wav | 12 dB louder than the loudest of 24 normal clips: another gain? |" in text
    assert "Level and kind of sound" not in judgement()


def test_the_judgement_says_what_is_observed_and_not_proven():
    assert "observed, not proven" in judgement(in_folds=True)
    assert "proven" not in judgement()


def test_a_name_is_text_on_a_page():
    table = pd.DataFrame({"clip_id": ["<script>a", "[a](b)", "a|b", "a\r\nb"]})
    rows = pages.markdown_table(table).splitlines()[2:]
    assert rows == ["| &lt;script>a |", "| [a]\\(b) |", "| a\\|b |", "| a b |"]


def shown_clips(*names):
    picture = Picture(uri="data:image/png;base64,AAAA", start_s=0, length_s=4.0)
    clips = [
        ShownClip(
            clip_id=name,
            duration_s=4.0,
            start_s=0.0,
            audio="data:audio/flac;base64,AAAA",
            spectrogram=picture,
            deviations=None,
            bands=128,
            seconds=[],
            hertz=[],
            events=[],
        )
        for name in names
    ]
    return ShownClips(clips=clips, gain_db=0.0)


def test_the_comparison_that_can_be_heard_says_its_gist_first():
    table = compared()
    text = comparison_sound_page(
        found(table, missing={"gru": "it has not been run"}),
        shown=shown_clips(),
        figures=[PageFigure("ROC curves", "ROC curves of all methods", b"png")],
    )
    best = table.loc[table.auc_pooled.idxmax()]
    gist = text[: text.index("All test clips")]
    assert f"{best.method} has the highest AUC, {best.auc_pooled:.3f} (0.500 to 1.000)" in gist
    assert "lstm, level on the same 4 clips, machine type" in gist
    assert "Training pays here." in gist
    assert "Not compared: gru (it has not been run)" in gist
    assert 'alt="ROC curves of all methods"' in text
    assert "On no test clip" in text


def test_clips_that_methods_dispute_have_players_and_decisions():
    names = ["0.wav", "<script>.wav"]
    disputed = found(compared(), 2).disagreements.assign(clip_id=names)
    page = comparison_sound_page(
        dataclasses.replace(found(compared()), disagreements=disputed),
        shown=shown_clips(*names),
        figures=[],
    )
    assert page.count("<audio") == 2
    assert "<script>.wav" not in page and "&lt;script&gt;.wav" in page
    assert "machine ID 02; labelled anomalous; ranks differ by 25% of all test clips" in page
    assert 'lstm <span class="badge normal">normal</span>' in page
    assert 'gru <span class="badge anomalous">anomalous</span>' in page


def test_without_two_classes_the_comparison_that_can_be_heard_says_what_is_missing():
    compared_without = found(compared(labels=("normal", "normal")))
    text = comparison_sound_page(compared_without, shown=shown_clips(), figures=[])
    assert "an AUC needs normal and anomalous test clips" in text
