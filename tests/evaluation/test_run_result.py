"""Which results stand in one table, and which are told instead."""

import pytest

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation import run_result
from anomalous_sound.evaluation.run_result import JOINED_COLUMNS, describe, join, what_differs

CORPUS = CorpusSettings(
    parts=None,
    machine_type="fan",
    machine_ids=None,
    segment_s=None,
    segment_hop_s=None,
    validation_fraction=0.2,
    normal_test_fraction=0.3,
    min_frames=11,
)


def result(machine_type="fan", seed=1, method="lstm", labels=("normal", "anomalous"), **made):
    return {
        "corpus": {"machine_type": machine_type},
        "run": {
            "method": method,
            "seed": seed,
            "settings": {"training": {"epochs": 1} | made},
            "code": "c",
        },
        "test": {
            "clip_id": ["a.wav", "b.wav"],
            "machine_id": ["00", "00"],
            "domain": ["", ""],
            "label": list(labels),
            "score": [0.25, 0.5 * seed],
        },
    }


def test_a_description_tells_settings_apart_but_not_the_runs_of_a_campaign():
    one = describe("lstm", 1, corpus=CORPUS)
    assert one["seed"] == 1
    assert one == describe("lstm", 1, corpus=CORPUS.model_copy(update={"machine_type": "pump"}))
    other = describe("lstm", 1, corpus=CORPUS.model_copy(update={"min_frames": 12}))
    assert what_differs(one, other) == "with corpus.min_frames 11, not 12"
    assert what_differs(one, dict(one)) == ""
    assert what_differs(one, one | {"code": "other"}) == "by other code"
    assert what_differs(one, one | {"seed": 2}) == "with seed 1, not 2"


def test_other_code_is_another_run(monkeypatch):
    one = describe("lstm", 1, corpus=CORPUS)
    monkeypatch.setattr(run_result, "_LIBRARIES", ("numpy",))
    assert describe("lstm", 1, corpus=CORPUS)["code"] != one["code"]


def test_results_are_joined_by_method_machine_type_and_seed():
    results = {
        ("fan-seed1", "lstm"): result(),
        ("fan-seed2", "lstm"): result(seed=2),
        ("pump-seed1", "gru"): result("pump", method="gru"),
        ("elsewhere", "lstm"): result("valve"),
    }
    table, told = join(results, ["fan-seed1", "fan-seed2", "pump-seed1"])
    assert list(table.columns) == JOINED_COLUMNS
    keys = table[["method", "machine_type", "seed"]].drop_duplicates().to_numpy().tolist()
    assert sorted(keys) == [["gru", "pump", 1], ["lstm", "fan", 1], ["lstm", "fan", 2]]
    assert table.score[table.seed == 2].tolist() == [0.25, 1.0]
    assert told == [
        "gru, fan-seed1: it has not been run.",
        "gru, fan-seed2: it has not been run.",
        "lstm, pump-seed1: it has not been run.",
    ]
    everything, _ = join(results, None)
    assert "valve" in set(everything.machine_type)


def test_what_is_not_alike_is_left_out_and_told():
    results = {
        ("fan-seed1", "lstm"): result(),
        ("fan-seed2", "lstm"): result(seed=2),
        ("fan-seed3", "lstm"): result(seed=3, epochs=7),
        ("fan-seed1", "gru"): result(method="gru", labels=("anomalous", "normal")),
        ("old", "lstm"): {"corpus": {"machine_type": "fan"}, "scores": {}},
        ("none", "lstm"): result("pump") | {"test": {"clip_id": []}},
    }
    table, told = join(results, None)
    assert set(table.seed) == {1, 2}
    assert set(table.method) == {"lstm"}
    assert set(told) == {
        "lstm, fan-seed3: it was run with training.epochs 7, not 1 as the others were.",
        "gru, fan-seed1: it was tested on other clips than the others were.",
        "lstm, old: it is of an earlier version; run it again.",
        "lstm, none: it has no labelled test clips.",
    }


def test_two_runs_of_the_same_are_a_question_to_the_user():
    results = {("mine", "lstm"): result(), ("other", "lstm"): result()}
    with pytest.raises(InputError, match=r"mine and other both hold lstm on fan with seed 1"):
        join(results, None)


def test_nothing_to_join_is_told():
    with pytest.raises(InputError, match="there are no results to join"):
        join({}, None)
    with pytest.raises(InputError, match="an earlier version"):
        join({("old", "lstm"): {"corpus": {}}}, None)
