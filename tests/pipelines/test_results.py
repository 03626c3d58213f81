"""The nodes that join results: whose are taken, what is tracked, what is written."""

import pandas as pd
import pytest

from anomalous_sound.configuration.evaluation import CampaignSettings, EvaluationSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.evaluation.campaign import FIGURE_COLUMNS
from anomalous_sound.pipelines.results import nodes
from anomalous_sound.provenance.origin import origin
from anomalous_sound.provenance.table import CorpusMark


def settings(year=None):
    return EvaluationSettings(
        max_fpr=0.1, bootstrap_resamples=20, confidence=0.95, challenge_year=year
    )


def result(machine_type, seed, score):
    return {
        "corpus": {"machine_type": machine_type, "simulated": False},
        "run": {"method": "lstm", "seed": seed, "settings": {}, "code": "c"},
        "test": {
            "clip_id": ["a.wav", "b.wav", "c.wav"],
            "machine_id": ["", "", ""],
            "domain": ["", "", ""],
            "label": ["normal", "normal", "anomalous"],
            "score": [0.0, 1.0, score],
        },
    }


FOUND = {
    "fan-seed1/lstm": lambda: result("fan", 1, 2.0),
    "fan-seed2/lstm": lambda: result("fan", 2, 0.5),
    "elsewhere/lstm": lambda: result("pump", 1, 2.0),
}


def test_the_results_of_a_campaign_become_figures_over_its_seeds():
    campaign = CampaignSettings(names=["fan-seed1", "fan-seed2"], title=None)
    clips, facts = nodes.join_results(FOUND, campaign, settings())
    assert facts == {"title": "fan", "simulated": False, "missing": []}
    figures, differences = nodes.compute_figures(clips, settings(), seed=1)
    assert differences.empty
    auc = figures[figures.figure == "auc"].set_index("machine_id")
    # the anomalous clip is above both normal ones, then above one of two
    assert auc["mean"].to_dict() == {"": 0.75, "mean": 0.75}
    assert auc["std"]["mean"] == pytest.approx(0.25 * 2**0.5)
    table = nodes.put_published_beside(figures, settings())
    page, latex = nodes.write_report(table, differences, facts, settings())
    assert "| fan | (none given) | 0.750 ± 0.354 |" in page
    assert r"0.750 $\pm$ 0.354" in latex


def test_the_title_is_the_challenge_s_or_the_user_s_own():
    everything = CampaignSettings(names=None, title=None)
    clips, facts = nodes.join_results(FOUND, everything, settings(2020))
    assert facts["title"] == "DCASE 2020 Task 2"
    assert set(clips.machine_type) == {"fan", "pump"}
    # of a published data set, with its parts: a table says of which set it is
    part = "(additional_training, evaluation)"
    published = {}
    for place, load in FOUND.items():
        of_run = load()
        of_run["corpus"]["name"] = f"DCASE 2023 Task 2 {of_run['corpus']['machine_type']} {part}"
        published[place] = lambda of_run=of_run: of_run
    facts = nodes.join_results(published, everything, settings(2023))[1]
    assert facts["title"] == f"DCASE 2023 Task 2 {part}"
    named = CampaignSettings(names=None, title="Hall 3")
    assert nodes.join_results(FOUND, named, settings())[1]["title"] == "Hall 3"


def test_what_the_table_was_made_of_is_recorded_beside_it(tmp_path):
    asked = {"environment": None, "profile": "report", "given": {"seed": 1}, "source": "simulated"}
    made = origin(tmp_path, **asked)
    facts = {"name": "hall 3", "simulated": False, "fingerprint": "0123", "clips_used": 9}
    recorded = {
        **{"origin": made.model_dump(mode="json"), "trained_on": {"device": "cpu"}},
        "corpus": {"machine_type": "fan", **facts},
    }
    found = {**FOUND, "fan-seed1/lstm": lambda: result("fan", 1, 2.0) | recorded}
    campaign = CampaignSettings(names=["fan-seed1", "fan-seed2"], title=None)
    clips, of_table = nodes.join_results(found, campaign, settings())
    detector = DetectorSettings(
        name="fans",
        per="machine_type",
        folds=1,
        left_out="clip",
        left_out_fits=9,
        channels="maximum",
    )
    provenance = nodes.record_provenance(
        found, clips, of_table, campaign, settings(), detector, seed=5
    )
    (run,) = provenance.runs
    assert (run.name, run.method, run.machine_type, run.seed) == ("fan-seed1", "lstm", "fan", 1)
    assert run.corpus == CorpusMark(name="hall 3", simulated=False, fingerprint="0123", clips=9)
    assert run.origin == made
    assert provenance.not_recorded == ["lstm, fan-seed2"]  # of an earlier version
    assert (provenance.name, provenance.title, provenance.seed) == ("fans", "fan", 5)
    assert provenance.evaluation["bootstrap_resamples"] == 20
    # another score of a test clip is another digest
    other = {**found, "fan-seed1/lstm": lambda: result("fan", 1, 2.5) | recorded}
    again = nodes.record_provenance(other, clips, of_table, campaign, settings(), detector, seed=5)
    assert again.runs[0].scores != run.scores


def test_means_are_tracked_over_all_machine_types_and_for_each():
    rows = [
        ("lstm", "fan", "00", "auc", 0.5),
        ("lstm", "fan", "mean", "auc", 0.6),
        ("lstm", "pump", "mean", "auc", 0.8),
        ("lstm", "mean", "mean", "auc", 0.7),
    ]
    figures = pd.DataFrame(rows, columns=["method", "machine_type", "machine_id", "figure", "mean"])
    figures = figures.reindex(columns=FIGURE_COLUMNS)
    tracked = {name: value["value"] for name, value in nodes.track_figures(figures).items()}
    assert tracked == {"lstm.fan.auc": 0.6, "lstm.pump.auc": 0.8, "lstm.auc": 0.7}
    only = figures[figures.machine_type == "fan"]
    assert set(nodes.track_figures(only)) == {"lstm.auc"}
