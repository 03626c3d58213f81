"""The card of a detector says for what it is made, of what, and how well it does."""

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError
from support import corpus_summary

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.evaluation.metrics import evaluate
from anomalous_sound.reporting import pages
from anomalous_sound.reporting.card_page import card_page

CALIBRATION = pd.DataFrame(
    [
        {
            "per": "machine_type",
            "machine_id": "",
            "strategy": "conformal",
            "rate": 0.02,
            "holds": "proven",
            "calibration_clips": 60,
            "clips_needed": 49,
            "threshold": 2.5,
            "alarms": 1,
            "test_clips": 20,
            "delivered": 0.05,
            "delivered_low": 0.0,
            "delivered_high": 0.2,
        }
    ]
)
MADE = {
    "method": "lstm",
    "seed": 7,
    "code": "c",
    "settings": {
        "training": {"epochs": 10, "batch_size": 32},
        "score": {"type": "joined", "parts": [{"type": "band_deviation"}]},
        "thresholds": {"deployed": "conformal", "false_alarm_rate": 0.02},
    },
}


def metrics(labels=("normal", "anomalous")):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "machine_id": "00",
            "split": "test",
            "label": np.repeat(labels, 10),
            "score": rng.normal(size=10 * len(labels)),
        }
    )
    settings = EvaluationSettings(
        max_fpr=0.1, bootstrap_resamples=50, confidence=0.95, challenge_year=None
    )
    return evaluate(table, settings, seed=1)


def card(**changed):
    facts = {
        "method": "LSTM frame prediction",
        "summary": "predicts the frame after a window of 10",
        "corpus": corpus_summary(),
        "made": MADE,
        "trained_on": {"device": "cpu", "precision": "32-true"},
        "networks": 4,
        "parameters": 123456,
        "training_s": 61.2,
        "metrics": metrics(),
        "unit": "standard deviations of normal clips",
        "deployed": Thresholds("conformal", {"00": 2.5}, "machine_type", false_alarm_rate=0.02),
        "calibration_clips": 60,
        "calibration": CALIBRATION,
        "version": "0.1.0",
        "revision": "abc",
        "packages": "as locked (0123)",
    }
    return card_page(**facts | changed)


def test_data_settings_seed_figures_limits_and_use():
    made, text = metrics(), card()
    for heading in ("Intended use", "Data", "How it was made", "Figures", "Decision", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "slide rails of hall 3: 20 clips (10 test normal), 0 rejected." in text
    assert "4 networks with 123,456 trained values together, trained in 61 s on cpu" in text
    assert "seed 7, anomalous-sound 0.1.0" in text
    assert "Git revision: abc. Versions of packages: as locked (0123)." in text
    assert "- training: epochs 10, batch_size 32" in text
    assert "- score: type joined, parts.1.type band_deviation" in text
    assert f"AUC over all test clips: {made['auc_pooled']:.3f}" in text
    assert "| 00 |" in text
    assert "at least 2.5 (conformal, from 60 normal clips" in text
    assert "Not intended: as the only safeguard" in text
    assert "simulated" not in text
    assert "Figures of DCASE" not in text


def test_what_is_not_so_good_is_said():
    note = "conformal cannot be given: 49 clips are needed, and there are 8"
    text = card(
        corpus=corpus_summary(simulated=True, held_out_by="blocks"),
        deployed=Thresholds("validation_mean_plus_k_std", {"00": 1.0}, "machine_type", note),
        metrics=metrics(labels=("normal",)) | {"deployed": {"undecided": 3}},
    )
    assert "The sound is simulated: no figure here" in text
    assert f"- {note}; validation mean + k std. dev. decides instead, which promises no" in text
    assert "blocks of recordings" in text
    assert "3 test clips are undecided: no normal clip of their machine ID" in text
    assert "None: they need normal and anomalous test clips." in text


def test_the_figures_of_a_challenge_stand_on_the_card():
    sections = {"00": {"auc": 0.75, "pauc": 0.5}}
    official = {
        "challenge": "DCASE 2020 Task 2",
        "year": 2020,
        "not_computed": {},
        "sections": sections,
        "arithmetic_mean": {"auc": 0.75, "pauc": 0.5},
        "harmonic_mean": {"auc": 0.75, "pauc": 0.5},
    }
    text = card(metrics=metrics() | {"official": official})
    assert "Figures of DCASE 2020 Task 2; arithmetic means over the machine IDs: AUC 0.750" in text
    assert "| 00 | 0.75 | 0.5 |" in text


def test_a_fact_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError):
        pages.render("card.md.j2")
