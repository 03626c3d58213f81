"""The official figures of a year, named with it, as reports and MLflow have them."""

import pandas as pd
import pytest
from clips_to_show import page

from anomalous_sound.evaluation.official import official_figures
from anomalous_sound.pipelines.report.nodes import track_metrics
from anomalous_sound.reporting.official_table import official_facts

# of each section and domain: scores of normal clips, then of anomalous ones
SCORES = {
    ("00", "source"): ([1, 2, 3, 4], [2.5, 5]),
    ("00", "target"): ([1, 6], [5, 7]),
}


def figures(year, scores=SCORES):
    rows = [
        (f"{section}{domain}{label}{number}", section, "test", domain, label, float(score))
        for (section, domain), of_labels in scores.items()
        for label, values in zip(("normal", "anomalous"), of_labels, strict=True)
        for number, score in enumerate(values)
    ]
    columns = ["clip_id", "machine_id", "split", "domain", "label", "score"]
    table = pd.DataFrame(rows, columns=columns)
    return official_figures(table, table[["clip_id"]].assign(decision="normal"), year)


def test_without_a_challenge_there_is_nothing():
    assert official_facts(None) is None
    assert "Official figures" not in page()


def test_2020_has_means_over_machine_ids_and_no_score():
    facts = official_facts(figures(2020))
    assert (facts.challenge, facts.mean, facts.part) == (
        *("DCASE 2020 Task 2", "arithmetic", "machine ID"),
    )
    ahead = sum(a > n for n in (1, 2, 3, 4, 1, 6) for a in (2.5, 5, 5, 7))
    assert facts.means["AUC"] == pytest.approx(ahead / 24)
    assert list(facts.means) == ["AUC", "pAUC"]
    assert not facts.has_score
    assert list(facts.table) == ["machine ID", "AUC", "pAUC"]
    text = page(official=facts)
    assert "Official figures: DCASE 2020 Task 2" in text
    assert "Official score" not in text
    assert f"<dt>AUC</dt><dd>{ahead / 24:.3f}</dd>" in text


def test_2021_is_by_domain():
    facts = official_facts(figures(2021))
    assert list(facts.means) == ["AUC (source)", "AUC (target)", "pAUC (source)", "pAUC (target)"]
    assert facts.means["AUC (source)"] == pytest.approx(6 / 8)
    assert facts.means["AUC (target)"] == pytest.approx(3 / 4)


def test_from_2022_the_score_stands_first_and_the_year_is_named():
    official = figures(2023)
    facts = official_facts(official)
    assert list(facts.means) == ["AUC (source)", "AUC (target)", "pAUC"]
    assert facts.means["AUC (source)"] == pytest.approx(14 / 16)
    values = list(facts.means.values())
    assert facts.score == pytest.approx(3 / sum(1 / value for value in values))
    assert list(facts.table.section) == ["00", "arithmetic mean", "harmonic mean"]
    text = page(official=facts)
    assert "Official figures: DCASE 2023 Task 2" in text
    assert f"<dt>Official score</dt><dd>{facts.score:.3f}</dd>" in text
    costs = dict.fromkeys(("parameters", "training_s", "scoring_s_per_clip"), 1)
    tracked = track_metrics({"auc_pooled": 0.5, "official": official}, costs)
    assert tracked["official_2023.score"] == {"value": facts.score, "step": 0}
    assert tracked["official_2023.sections.00.auc_source"]["value"] == pytest.approx(14 / 16)
    assert "official_2023.year" not in tracked


def test_what_cannot_be_computed_is_a_dash_with_its_reason():
    facts = official_facts(figures(2022, {("00", "source"): SCORES["00", "source"]}))
    text = page(official=facts)
    assert "<dt>Official score</dt><dd>–</dd>" in text
    assert "section 00, target domain: no test clip is labelled normal" in text
    assert "AUC (target)" not in facts.table
