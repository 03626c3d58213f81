"""From an archive to the official figures, for two years, on small archives."""

import csv

import pytest
import yaml
from file_server import DOWNLOAD, clip, sections, zip_of
from support import SMALL_PARAMETERS

from anomalous_sound.sources.dcase.published import evaluation_labels

pytestmark = pytest.mark.slow


def serve(project, server, env, archives):
    """Let an environment ask this machine for archives, and train small networks."""
    folder = project.path / "conf" / env
    values = yaml.safe_load((folder / "globals.yml").read_text())
    for number, (part, (machine_type, made)) in enumerate(archives.items()):
        known = values["archives"][part]
        name = known["files"][machine_type]["name"]
        known["record"] = server.add_record(str(number), {name: zip_of(made)})
    values |= {"download": DOWNLOAD, "profile": "report"}
    (folder / "globals.yml").write_text(yaml.safe_dump(values))
    (folder / "parameters.yml").write_text(yaml.safe_dump(SMALL_PARAMETERS))


def read(path):
    with path.open(newline="") as file:
        return dict(csv.reader(file))


def pairs(normal, anomalous):
    return sum((a > n) + 0.5 * (a == n) for a in anomalous for n in normal) / (
        len(normal) * len(anomalous)
    )


def test_the_development_set_of_2022_to_its_official_figures(project, file_server):
    serve(project, file_server, "dcase2022", {"development": ("fan", sections("fan"))})
    project.run("lstm", "dcase2022", corpus={"machine_type": "fan"})
    official = project.load("lstm.metrics", "dcase2022")["official"]
    assert official["challenge"] == "DCASE 2022 Task 2"
    submission = project.data("08_reporting", "slider", "lstm", "submission")
    assert sorted(path.name for path in submission.glob("[ad]*.csv")) == [
        f"{kind}_fan_section_{section}_test.csv"
        for kind in ("anomaly_score", "decision_result")
        for section in ("00", "01")
    ]
    for section in ("00", "01"):
        # what the names say, and nothing else of the program
        scores = read(submission / f"anomaly_score_fan_section_{section}_test.csv")
        anomalous = [float(score) for name, score in scores.items() if "anomaly" in name]
        for domain in ("source", "target"):
            normal = [float(s) for name, s in scores.items() if f"{domain}_test_normal" in name]
            assert official["sections"][section][f"auc_{domain}"] == pytest.approx(
                pairs(normal, anomalous)
            )
    assert 0 < official["score"] < 1
    result = project.load("lstm.dcase_result", "dcase2022")
    assert result["official score"].iloc[-1] == pytest.approx(official["score"])


def test_the_evaluation_set_of_2023_by_its_published_labels(project, file_server):
    known = list(evaluation_labels(2023, "bandsaw").items())[::8]
    training = [
        f"section_00_{domain}_train_normal_{number:04d}_vel_{number}.wav"
        for domain, count in (("source", 6), ("target", 2))
        for number in range(count)
    ]
    archives = {
        "additional_training": (
            "bandsaw",
            {f"bandsaw/train/{name}": clip(seed) for seed, name in enumerate(training)},
        ),
        "evaluation": (
            "bandsaw",
            {f"bandsaw/test/{name}": clip(seed) for seed, (name, _) in enumerate(known, 30)},
        ),
    }
    serve(project, file_server, "dcase2023", archives)
    chosen = {"machine_type": "bandsaw", "parts": list(archives)}
    project.run("lstm", "dcase2023", corpus=chosen)
    submission = project.data("08_reporting", "slider", "lstm", "submission")
    scores = read(submission / "anomaly_score_bandsaw_section_00_test.csv")
    assert set(scores) == {name for name, _ in known}
    anomalous = [float(scores[name]) for name, facts in known if facts.label == "anomalous"]
    official = project.load("lstm.metrics", "dcase2023")["official"]["sections"]["00"]
    for domain in ("source", "target"):
        normal = [
            float(scores[name])
            for name, facts in known
            if (facts.label, facts.domain) == ("normal", domain)
        ]
        assert official[f"auc_{domain}"] == pytest.approx(pairs(normal, anomalous))
