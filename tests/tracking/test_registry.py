"""A registered detector stands alone and judges as the library does."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import mlflow
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import anomalous_sound
from anomalous_sound import Detector
from anomalous_sound.errors import InputError
from anomalous_sound.tracking.registry import (
    REQUIREMENTS,
    download_detector,
    promote,
    registered_name,
    requirements,
)

NAME = "slider"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("press_3", "press_3"),
        ("hall 3/press: left", "hall_3_press_left"),
        ("../x", "x"),
        ("ä", "detector"),
        ("", "detector"),
    ],
)
def test_a_name_is_one_that_the_registry_takes(given, expected):
    from mlflow.utils.validation import _validate_model_name

    assert registered_name(given) == expected
    _validate_model_name(expected)


def test_what_is_needed_is_pinned_to_what_is_installed():
    pinned = dict(one.split("==") for one in requirements())
    assert set(pinned) == set(REQUIREMENTS)
    assert pinned["numpy"] == version("numpy")
    assert "+" not in pinned["torch"]


@pytest.fixture
def store(simulated_run, monkeypatch):
    """Make the store of a run that trained the only one that MLflow knows."""
    uri = f"sqlite:///{simulated_run.path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)
    yield mlflow.MlflowClient(uri)
    mlflow.set_tracking_uri(None)


PREDICT = """
import json, sys
from importlib.machinery import PathFinder

given = json.load(sys.stdin)

class FewerFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        is_absent = name.partition(".")[0] in given["absent"]
        return None if is_absent else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = FewerFinder
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
answer = model.predict(pd.DataFrame(given["rows"]))
import anomalous_sound
answer = json.loads(answer.to_json(orient="records", double_precision=15))
print(json.dumps({"answer": answer, "code": anomalous_sound.__file__}))
"""


def needed_by(names):
    """Return distributions and all that they need."""
    found, waiting = set(), list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found.add(name)
            needed = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        waiting += [
            one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return found


@pytest.mark.slow
def test_a_registered_detector_judges_where_this_package_is_not_installed(simulated_run, store):
    paths = sorted(simulated_run.data("01_raw/simulated/slider").glob("test/*_id_00_*.wav"))
    rows = [
        {"audio": base64.b64encode(path.read_bytes()).decode(), "machine_id": "00"}
        for path in paths
    ]
    rows += [
        {"audio": rows[0]["audio"], "machine_id": None},
        {"audio": str(paths[0]), "machine_id": "00"},
        {"audio": base64.b64encode(b"text").decode(), "machine_id": "00"},
        {"audio": rows[0]["audio"], "machine_id": "07"},
    ]
    needed = needed_by([*REQUIREMENTS, "mlflow"])
    absent = [
        module
        for module, names in packages_distributions().items()
        if module != "anomalous_sound" and not needed & {*map(canonicalize_name, names)}
    ]
    assert "kedro" in absent
    # -S leaves out what is installed in place; the rest is added by hand
    run = subprocess.run(
        [sys.executable, "-S", "-c", PREDICT, f"models:/{NAME}@lstm"],
        input=json.dumps({"rows": rows, "absent": absent}),
        env={**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")},
        cwd=simulated_run.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert str(Path(anomalous_sound.__file__).parent) not in told["code"]
    assert "/artifacts/code/anomalous_sound/" in told["code"]

    detector = Detector.load(simulated_run.data("06_models/slider/lstm/detector"))
    answer = told["answer"]
    assert [one["row"] for one in answer] == list(range(len(rows)))
    for path, one in zip(paths, answer, strict=False):
        expected = detector.judge_file(path, machine_id="00").to_json()
        for name in ("decision", "machine_id", "start_s", "notes"):
            assert one[name] == expected[name]
        assert one["reason"] is None
        # JSON as pandas writes it has 15 digits
        for name in ("score", "threshold", "p_value"):
            assert one[name] == pytest.approx(expected[name], rel=1e-12)
        assert [place["start_s"] for place in one["segments"]] == [
            place["start_s"] for place in expected["segments"]
        ]
        assert len(one["bands"]) == len(expected["bands"])
    nameless, path, text, unknown = answer[-4:]
    assert nameless["decision"] == "undecided"
    assert nameless["threshold"] is None
    assert path["reason"] == "audio is not base64"
    assert "cannot be decoded" in text["reason"]
    assert "machine_id is '07'" in unknown["reason"]
    assert path["decision"] is path["score"] is path["segments"] is None


@pytest.mark.slow
def test_a_training_run_registers_its_detector(simulated_run, store):
    (found,) = store.search_model_versions(f"name = '{NAME}'")
    detector = simulated_run.load("lstm.detector")
    summary = simulated_run.load("corpus_summary")
    assert found.tags == {
        "method": "lstm",
        "digest": detector.identity.digest,
        "corpus": summary.name,
        "corpus_fingerprint": summary.fingerprint,
        "simulated": "true",
    }
    assert dict(store.get_registered_model(NAME).aliases) == {"lstm": found.version}
    model = mlflow.models.get_model_info(f"models:/{NAME}@lstm")
    assert [one.name for one in model.signature.inputs] == ["audio", "machine_id"]
    assert "decision" in [one.name for one in model.signature.outputs]
    assert model.saved_input_example_info is not None
    folder = download_detector(f"models:/{NAME}@lstm")
    assert Detector.load(folder).identity == detector.identity
    needed = (folder.parents[1] / "requirements.txt").read_text().split()
    assert set(requirements()) <= set(needed)
    assert f"mlflow=={version('mlflow')}" in needed


@pytest.mark.slow
def test_the_corpus_is_an_input_of_the_run(simulated_run, store):
    summary = simulated_run.load("corpus_summary")
    experiment = store.get_experiment_by_name("anomalous-sound")
    (run,) = store.search_runs([experiment.experiment_id])
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == summary.name
    assert given.dataset.digest == summary.fingerprint
    assert json.loads(given.dataset.profile)["num_rows"] == summary.clips_used
    assert {tag.key: tag.value for tag in given.tags} == {"mlflow.data.context": "training"}


@pytest.mark.slow
def test_what_is_not_there_is_told(simulated_run, store, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"models:/none@champion cannot be read .*sqlite:"):
        download_detector("models:/none@champion")
    with pytest.raises(InputError, match="is the detector 0123 that was compared"):
        promote("0123")
    (tmp_path / "damaged.db").write_text("text")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/damaged.db")
    with pytest.raises(InputError, match="champion cannot be moved: MLflow's registry"):
        promote("0123")
