import csv
import io

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hmean
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.evaluation.metrics import evaluate
from anomalous_sound.evaluation.official import official_figures
from anomalous_sound.reporting.challenge import result_table, submission_files

EVALUATION = EvaluationSettings(
    max_fpr=0.1, bootstrap_resamples=10, confidence=0.9, challenge_year=None
)


def scored(labels=("normal", "anomalous"), folder="slider/test/{label}_id_{id}_{number:08d}.wav"):
    rng = np.random.default_rng(4)
    rows = []
    for machine_id in ("00", "02"):
        for label in labels:
            for number in range(30):
                word = {"anomalous": "anomaly"}.get(label, label)
                clip_id = folder.format(label=word, id=machine_id, number=number)
                score = rng.normal(label == "anomalous")
                rows.append((clip_id, "slider", machine_id, "test", label, score))
        for number in range(3):
            clip_id = f"slider/train/normal_id_{machine_id}_{number:08d}.wav"
            rows.append((clip_id, "slider", machine_id, "validation", "normal", rng.normal()))
    columns = ["clip_id", "machine_type", "machine_id", "split", "label", "score"]
    return pd.DataFrame(rows, columns=columns).assign(domain="")


def decided(scores, threshold=0.7):
    decision = np.where(scores.score >= threshold, "anomalous", "normal")
    return scores[["clip_id", "score"]].assign(threshold=threshold, decision=decision)


def written(table):
    """The file as the catalog writes it, read by nothing but the csv module."""
    return list(csv.reader(io.StringIO(table.to_csv(header=False, index=False))))


def evaluator(score_rows, decision_rows, max_fpr=0.1):
    """An independent reading of the rules: labels from file names, areas by counting pairs."""
    scores = {name: float(value) for name, value in score_rows}
    anomalous = [value for name, value in scores.items() if name.startswith("anomaly")]
    normal = sorted(value for name, value in scores.items() if name.startswith("normal"))[::-1]
    area = np.mean([[(a > n) + 0.5 * (a == n) for n in normal] for a in anomalous])
    # without ties the ROC climbs only between normal clips: the few highest of them count
    partial = sum(
        np.mean([a > n for a in anomalous]) / len(normal)
        for n in normal[: round(max_fpr * len(normal))]
    )
    smallest, largest = max_fpr**2 / 2, max_fpr
    pauc = 0.5 * (1 + (partial - smallest) / (largest - smallest))
    return area, pauc, {name: int(value) for name, value in decision_rows}


@pytest.mark.parametrize("machine_id", ["00", "02"])
def test_an_evaluator_reads_what_we_report(machine_id):
    scores = scored()
    decisions = decided(scores)
    files = submission_files(scores, decisions)
    assert sorted(files) == [
        f"{kind}_slider_id_{identity}"
        for kind in ("anomaly_score", "decision_result")
        for identity in ("00", "02")
    ]
    area, pauc, verdicts = evaluator(
        written(files[f"anomaly_score_slider_id_{machine_id}"]),
        written(files[f"decision_result_slider_id_{machine_id}"]),
    )
    metrics = evaluate(scores, EVALUATION, seed=1)
    result = result_table(metrics).set_index("id")
    assert result.AUC[machine_id] == pytest.approx(area)
    assert result.pAUC[machine_id] == pytest.approx(pauc)
    of_id = decisions[decisions.clip_id.str.contains(f"test/.*_id_{machine_id}_")]
    assert len(verdicts) == 60
    for row in of_id.itertuples():
        assert verdicts[row.clip_id.rsplit("/", 1)[1]] == (row.decision == "anomalous")


def test_average_and_harmonic_mean():
    scores = scored()
    metrics = evaluate(scores, EVALUATION, seed=1)
    result = result_table(metrics)
    assert result.id.tolist() == ["00", "02", "Average", "Harmonic mean"]
    test = scores[scores.split == "test"]
    first, second = (
        roc_auc_score(group.label == "anomalous", group.score)
        for _, group in test.groupby("machine_id")
    )
    assert result.AUC.tolist() == pytest.approx(
        [first, second, (first + second) / 2, 2 / (1 / first + 1 / second)]
    )
    _, _, average, harmonic = result.pAUC
    assert harmonic <= average


def test_no_average_where_a_machine_id_has_no_figure():
    scores = scored()
    scores.loc[scores.machine_id == "02", "label"] = "unknown"
    metrics = evaluate(scores, EVALUATION, seed=1)
    assert metrics["auc_mean"] is None
    result = result_table(metrics).set_index("id")
    assert result.loc["00"].notna().all()
    assert result.loc[["02", "Average", "Harmonic mean"]].isna().all(axis=None)


def test_clips_without_labels_are_scored_and_decided():
    scores = scored(labels=("unknown",), folder="slider/test/id_{id}_{number:08d}.wav")
    files = submission_files(scores, decided(scores))
    names = [row[0] for row in written(files["anomaly_score_slider_id_00"])]
    assert names == [f"id_00_{number:08d}.wav" for number in range(30)]
    metrics = evaluate(scores, EVALUATION, seed=1)
    assert result_table(metrics)[["AUC", "pAUC"]].isna().all(axis=None)


def test_names_that_are_not_unique_keep_their_folder():
    scores = scored(folder="slider/id_{id}/{label}/{number:08d}.wav")
    files = submission_files(scores, decided(scores))
    names = [row[0] for row in written(files["anomaly_score_slider_id_02"])]
    assert len(set(names)) == 60
    assert names[0] == "slider/id_02/anomaly/00000000.wav"


def test_a_machine_without_id_and_with_an_odd_name():
    scores = scored().assign(machine_type="my press / hall 2", machine_id="")
    scores["clip_id"] = [f"{number}.wav" for number in range(len(scores))]
    assert set(submission_files(scores, decided(scores))) == {
        "anomaly_score_my_press_hall_2",
        "decision_result_my_press_hall_2",
    }


def of_sections(year, evaluation_set=False):
    """Scores of clips with the names of a year since 2021, and their decisions."""
    rng = np.random.default_rng(7)
    rows = []
    for section in ("03", "04"):
        number = -1
        for domain in ("source", "target"):
            for label in ("normal", "anomalous"):
                word = "anomaly" if label == "anomalous" else label
                for _ in range(12):
                    number += 1
                    folder = f"{domain}_test" if year == 2021 else "test"
                    name = f"section_{section}_{domain}_test_{word}_{number:04d}_vel_{number}"
                    if evaluation_set:
                        name = f"section_{section}_{number:04d}"
                    score = rng.normal((label == "anomalous") + (domain == "target"))
                    clip_id = f"evaluation/fan/{folder}/{name}.wav"
                    rows.append((clip_id, "fan", section, "test", label, domain, score))
    columns = ["clip_id", "machine_type", "machine_id", "split", "label", "domain", "score"]
    return pd.DataFrame(rows, columns=columns)


def metrics_of(scores, decisions, year):
    return evaluate(scores, EVALUATION, seed=1) | {
        "official": official_figures(scores, decisions, year)
    }


@pytest.mark.parametrize("evaluation_set", [False, True])
def test_the_evaluators_since_2022_read_what_we_report(evaluation_set):
    scores = of_sections(2022, evaluation_set)
    decisions = decided(scores)
    files = submission_files(scores, decisions, 2022)
    assert sorted(files) == [
        f"{kind}_fan_section_{section}_test"
        for kind in ("anomaly_score", "decision_result")
        for section in ("03", "04")
    ]
    result = result_table(metrics_of(scores, decisions, 2022), 2022).set_index("section")
    assert list(result.columns) == [
        *("AUC (all)", "AUC (source)", "AUC (target)", "pAUC"),
        *("precision (source)", "precision (target)", "recall (source)", "recall (target)"),
        *("F1 score (source)", "F1 score (target)", "official score"),
    ]
    ranking = []
    for section in ("03", "04"):
        # ground truth and files meet by the order of the names, as the evaluators have it
        truth = scores[scores.machine_id == section]
        truth = truth.assign(name=truth.clip_id.str.rpartition("/")[2]).sort_values("name")
        is_anomalous = (truth.label == "anomalous").to_numpy()
        read = [
            float(row[1])
            for row in sorted(written(files[f"anomaly_score_fan_section_{section}_test"]))
        ]
        calls = [
            int(row[1])
            for row in sorted(written(files[f"decision_result_fan_section_{section}_test"]))
        ]
        read, calls = np.array(read), np.array(calls)
        for domain in ("source", "target"):
            own = (truth.domain == domain).to_numpy()
            met = own | is_anomalous
            expected = roc_auc_score(is_anomalous[met], read[met])
            assert result[f"AUC ({domain})"][section] == pytest.approx(expected)
            ranking.append(expected)
            precision, recall, f1, _ = precision_recall_fscore_support(
                is_anomalous[own], calls[own], average="binary"
            )
            assert result[f"precision ({domain})"][section] == pytest.approx(precision)
            assert result[f"recall ({domain})"][section] == pytest.approx(recall)
            assert result[f"F1 score ({domain})"][section] == pytest.approx(f1)
        assert result["AUC (all)"][section] == pytest.approx(roc_auc_score(is_anomalous, read))
        ranking.append(roc_auc_score(is_anomalous, read, max_fpr=0.1))
        assert result["pAUC"][section] == pytest.approx(ranking[-1])
    assert result["official score"]["official score"] == pytest.approx(hmean(ranking))
    assert result["AUC (source)"]["harmonic mean"] == pytest.approx(
        hmean(result["AUC (source)"][:2])
    )


def test_the_evaluator_of_2021_reads_what_we_report():
    scores = of_sections(2021)
    decisions = decided(scores)
    files = submission_files(scores, decisions, 2021)
    assert sorted(files) == [
        f"{kind}_fan_section_{section}_{domain}_test"
        for kind in ("anomaly_score", "decision_result")
        for section in ("03", "04")
        for domain in ("source", "target")
    ]
    result = result_table(metrics_of(scores, decisions, 2021), 2021)
    assert list(result.columns) == [
        *("section", "domain", "AUC", "pAUC", "precision", "recall", "F1 score"),
        "official score",
    ]
    assert list(zip(result.section[:4], result.domain[:4], strict=True)) == [
        ("03", "source"), ("04", "source"), ("03", "target"), ("04", "target")
    ]  # fmt: skip
    for row in result[:4].itertuples():
        rows = written(files[f"anomaly_score_fan_section_{row.section}_{row.domain}_test"])
        truth = ["anomaly" in name for name, _ in rows]
        values = [float(value) for _, value in rows]
        assert pytest.approx(roc_auc_score(truth, values)) == row.AUC
        assert row.pAUC == pytest.approx(roc_auc_score(truth, values, max_fpr=0.1))
    means = result.set_index("section")
    assert means.AUC["arithmetic mean"] == pytest.approx(result.AUC[:4].mean())
    assert means.pAUC["harmonic mean"] == pytest.approx(hmean(result.pAUC[:4]))
    both = [*result.AUC[:4], *result.pAUC[:4]]
    assert means["official score"]["official score"] == pytest.approx(hmean(both))


def test_figures_that_cannot_be_computed_are_missing_in_the_table():
    scores = of_sections(2023)
    scores = scores[scores.domain == "source"]
    decisions = decided(scores)
    result = result_table(metrics_of(scores, decisions, 2023), 2023).set_index("section")
    assert np.isnan(result["AUC (target)"]["03"])
    assert np.isnan(result["official score"]["official score"])
    assert 0 < result["AUC (source)"]["03"] <= 1
