"""The challenges' official figures, against pairs counted one by one."""

import itertools

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.evaluation.official import has_domains, official_figures

COUNTS = {
    ("source", "normal"): 25,
    ("source", "anomalous"): 15,
    ("target", "normal"): 20,
    ("target", "anomalous"): 10,
}


def scored(sections=("00", "01"), counts=COUNTS, seed=3):
    rng = np.random.default_rng(seed)
    rows = []
    for section in sections:
        for (domain, label), count in counts.items():
            for number in range(count):
                # whole numbers: ties are frequent
                score = int(rng.integers(0, 12)) + 3 * (label == "anomalous") + (domain == "target")
                clip_id = f"fan/test/section_{section}_{domain}_test_{label}_{number:04d}.wav"
                rows.append((clip_id, "fan", section, "test", label, domain, float(score)))
    columns = ["clip_id", "machine_type", "machine_id", "split", "label", "domain", "score"]
    return pd.DataFrame(rows, columns=columns)


def decided(scores, threshold=9.0):
    decision = np.where(scores.score >= threshold, "anomalous", "normal")
    return pd.DataFrame({"clip_id": scores.clip_id, "decision": decision})


def scores_of(table, section, label, domains=("source", "target")):
    chosen = table[(table.machine_id == section) & (table.label == label)]
    return chosen.score[chosen.domain.isin(domains)].tolist()


def pairs(normal, anomalous):
    """The fraction of pairs in which the anomalous clip scores higher, ties counting half."""
    won = sum((a > n) + 0.5 * (a == n) for a in anomalous for n in normal)
    return won / (len(normal) * len(anomalous))


def partial(normal, anomalous, max_fpr=0.1):
    """The area below the ROC up to max_fpr by trapezia, standardised as McClish does."""
    points = [(0.0, 0.0)]
    for threshold in sorted({*normal, *anomalous}, reverse=True):
        points.append(
            (
                sum(n >= threshold for n in normal) / len(normal),
                sum(a >= threshold for a in anomalous) / len(anomalous),
            )
        )
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 >= max_fpr or x1 == x0:
            continue
        end = min(x1, max_fpr)
        area += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    smallest = max_fpr**2 / 2
    return 0.5 * (1 + (area - smallest) / (max_fpr - smallest))


def hmean(values):
    return len(values) / sum(1 / value for value in values)


def test_2020_takes_arithmetic_means_over_machine_ids():
    table = scored(("00", "02")).assign(domain="")
    figures = official_figures(table, decided(table), 2020)
    areas = {
        machine_id: {
            "auc": pairs(
                *(scores_of(table, machine_id, x, ("",)) for x in ("normal", "anomalous"))
            ),
            "pauc": partial(
                *(scores_of(table, machine_id, x, ("",)) for x in ("normal", "anomalous"))
            ),
        }
        for machine_id in ("00", "02")
    }
    for machine_id, expected in areas.items():
        assert figures["sections"][machine_id] == pytest.approx(expected)
    for name in ("auc", "pauc"):
        mean = (areas["00"][name] + areas["02"][name]) / 2
        assert figures["arithmetic_mean"][name] == pytest.approx(mean)
    assert "score" not in figures


def test_2021_looks_at_each_domain_alone():
    table = scored()
    figures = official_figures(table, decided(table), 2021)
    ranking = []
    for section in ("00", "01"):
        for domain in ("source", "target"):
            normal = scores_of(table, section, "normal", (domain,))
            anomalous = scores_of(table, section, "anomalous", (domain,))
            values = figures["sections"][section]
            assert values[f"auc_{domain}"] == pytest.approx(pairs(normal, anomalous))
            assert values[f"pauc_{domain}"] == pytest.approx(partial(normal, anomalous))
            ranking += [pairs(normal, anomalous), partial(normal, anomalous)]
    assert figures["score"] == pytest.approx(hmean(ranking))


@pytest.mark.parametrize("year", [2022, 2023, 2024, 2025, 2026])
def test_from_2022_normal_clips_of_a_domain_meet_the_anomalies_of_both(year):
    table = scored()
    figures = official_figures(table, decided(table), year)
    ranking = []
    for section in ("00", "01"):
        values = figures["sections"][section]
        anomalous = scores_of(table, section, "anomalous")
        for domain in ("source", "target"):
            expected = pairs(scores_of(table, section, "normal", (domain,)), anomalous)
            assert values[f"auc_{domain}"] == pytest.approx(expected)
            ranking.append(expected)
        normal = scores_of(table, section, "normal")
        assert values["auc"] == pytest.approx(pairs(normal, anomalous))
        assert values["pauc"] == pytest.approx(partial(normal, anomalous))
        ranking.append(partial(normal, anomalous))
    assert figures["score"] == pytest.approx(hmean(ranking))
    first, second = (figures["sections"][section]["auc_target"] for section in ("00", "01"))
    assert figures["harmonic_mean"]["auc_target"] == pytest.approx(hmean([first, second]))
    assert figures["arithmetic_mean"]["auc_target"] == pytest.approx((first + second) / 2)
    assert figures["not_computed"] == {}


def test_precision_recall_and_f1_of_each_domain():
    rows = [
        ("source", "anomalous", "anomalous", 6),
        ("source", "anomalous", "normal", 2),
        ("source", "normal", "anomalous", 3),
        ("source", "normal", "normal", 9),
        ("source", "normal", "undecided", 4),
        ("target", "anomalous", "normal", 5),
        ("target", "normal", "normal", 5),
    ]
    table = pd.DataFrame(
        [
            (f"{index}_{number}", "00", "test", label, domain, float(number), decision)
            for index, (domain, label, decision, count) in enumerate(rows)
            for number in range(count)
        ],
        columns=["clip_id", "machine_id", "split", "label", "domain", "score", "decision"],
    )
    decisions = table[["clip_id", "decision"]]
    table = table.drop(columns="decision")
    figures = official_figures(table, decisions, 2022)["sections"]["00"]
    assert figures["precision_source"] == pytest.approx(6 / 9)
    assert figures["recall_source"] == pytest.approx(6 / 8)
    assert figures["f1_source"] == pytest.approx(12 / 17)
    # nothing is called anomalous there: the evaluators say 0
    assert [figures[f"{name}_target"] for name in ("precision", "recall", "f1")] == [0, 0, 0]


def test_a_section_without_target_clips_is_told_and_has_no_score():
    table = scored()
    table = table[(table.machine_id != "01") | (table.domain != "target")]
    figures = official_figures(table, decided(table), 2023)
    assert figures["sections"]["01"]["auc_target"] is None
    assert figures["sections"]["01"]["auc_source"] is not None
    assert figures["score"] is figures["harmonic_mean"]["auc_target"] is None
    assert figures["harmonic_mean"]["auc_source"] is not None
    assert figures["not_computed"]["sections.01.auc_target"] == (
        "section 01, target domain: no test clip is labelled normal"
    )


def test_without_labels_nothing_is_computed():
    table = scored().assign(label="unknown")
    figures = official_figures(table, decided(table), 2026)
    assert set(figures["sections"]) == {"00", "01"}
    assert {value for values in figures["sections"].values() for value in values.values()} == {None}
    assert figures["not_computed"]["sections.00.pauc"] == "section 00: no test clip has a label"


def test_clips_of_no_challenge_with_two_domains_have_the_figures_since_2022():
    table = scored()
    figures, known = (official_figures(table, decided(table), year) for year in (None, 2022))
    assert (figures["challenge"], figures["year"]) == ("DCASE Task 2 since 2022", 2022)
    for name in ("sections", "harmonic_mean", "score"):
        assert figures[name] == known[name]
    assert has_domains(table)
    assert not has_domains(table[table.domain == "source"])
    assert not has_domains(table.assign(domain=""))
    without_labels = table.label.mask(table.domain == "target", "unknown")
    assert not has_domains(table.assign(label=without_labels))


def test_a_perfectly_wrong_detector_has_a_score_of_nearly_zero():
    table = scored()
    table["score"] = -1.0 * (table.label == "anomalous")
    assert 0 < official_figures(table, decided(table), 2022)["score"] < 1e-14
