"""From an archive to the official figures, for two years, on small archives."""

import csv

import numpy as np
import pytest
import torch
import yaml
from file_server import DOWNLOAD, clip, sections, zip_of
from mlflow import MlflowClient
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
    submission = project.data("08_reporting", "dcase2022-fan", "lstm", "submission")
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
    written = project.data("08_reporting", "dcase2022-fan", "lstm")
    for name, shown in (("report.md", "**official score {}**"), ("report.html", "<dd>{}</dd>")):
        text = (written / name).read_text(encoding="utf-8")
        assert "Official figures: DCASE 2022 Task 2" in text
        assert shown.format(f"{official['score']:.3f}") in text
    client = MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["official_2022.score"] == pytest.approx(official["score"])
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
    name = "dcase2023-bandsaw-additional_training-evaluation"
    submission = project.data("08_reporting", name, "lstm", "submission")
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


def test_the_selective_mahalanobis_mode_and_the_nearer_domain_on_both_domains(project, file_server):
    """The baseline's clip score, joined with another score by domains, worked out with numpy."""
    serve(project, file_server, "dcase2023", {"development": ("fan", sections("fan"))})
    spectrum = {
        "type": "band_deviation",
        "reads": "spectrum",
        "pooling": {"type": "mean"},
        "scale": "linear",
        "whitening": "band",
        "reference": "domain",
        "prior_clips": 0.0,
        "backend": {"type": "mean_square"},
    }
    baseline = {"type": "pooled_error", "pooling": {"type": "mean"}}
    own = {
        "training": {"epochs": 1},
        "network": {"hidden_size": 16, "error": "selective_mahalanobis"},
        "score": {"type": "joined", "fits": 3, "parts": [baseline, spectrum]},
    }
    project.run(
        *("autoencoder", "dcase2023"),
        profile="baseline",
        corpus={"machine_type": "fan", "validation_fraction": 0.2},
        autoencoder=own,
    )
    clips, frames = (project.load(name, "dcase2023") for name in ("clips", "log_mel"))
    network = project.load("autoencoder.network", "dcase2023").build()
    fitted = project.load("autoencoder.fitted_score", "dcase2023")
    scores = project.load("autoencoder.clip_scores", "dcase2023").set_index("clip_id").score
    training = clips[clips.split == "train"]
    assert set(training.domain) == {"source", "target"}
    assert not torch.equal(*network.whiteners)
    means = {clip_id: frames.clip(clip_id).astype(float).mean(axis=0) for clip_id in clips.clip_id}

    def by_domain(tested, domain):
        normal = training[training.domain == domain]
        centres = {
            section: np.mean([means[name] for name in clip_ids], axis=0)
            for section, clip_ids in normal.groupby("machine_id").clip_id
        }
        rest = [means[one.clip_id] - centres[one.machine_id] for one in normal.itertuples()]
        deviations = np.sqrt(np.square(rest).sum(axis=0) / (len(normal) - len(centres)))
        z = (means[tested.clip_id] - centres[tested.machine_id]) / deviations
        return 10 * np.log10((z**2).mean())

    for tested in clips[clips.split == "test"].itertuples():
        decibels = frames.clip(tested.clip_id)
        stacked = np.stack([decibels[n : n + 5].ravel() for n in range(len(decibels) - 4)])
        with torch.no_grad():
            rebuilt = network.layers(torch.from_numpy(stacked)).numpy()
        mean = (stacked - rebuilt).reshape(-1, 128).astype(float).mean(axis=0)
        distance = min(((mean @ root.double().numpy()) ** 2).sum() for root in network.whiteners)
        parts = (distance / 128, min(by_domain(tested, domain) for domain in ("source", "target")))
        expected = [
            (part - centre) / spread
            for part, centre, spread in zip(parts, fitted.centres, fitted.spreads, strict=True)
        ]
        assert scores[tested.clip_id] == pytest.approx(np.mean(expected), rel=1e-3, abs=1e-4)
    official = project.load("autoencoder.metrics", "dcase2023")["official"]
    assert set(official["sections"]) == {"00", "01"}
