"""Embeddings of a frozen encoder, from raw audio to report; scores worked out from the files."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from encoders import loudness, quarters
from support import RATE, Project

from anomalous_sound import Detector
from anomalous_sound.campaign.finished import why_not_finished
from anomalous_sound.command.app import main
from anomalous_sound.command.description import in_lines
from anomalous_sound.decision.export import export
from anomalous_sound.errors import InputError
from anomalous_sound.pipeline_registry import register_pipelines

pytestmark = pytest.mark.slow

SCORE = {"whitening": "band", "backend": {"type": "mean"}}


def run(project, folder, encoder, **parameters):
    project.run(
        "embedding",
        audio_dir=str(folder),
        embedding={"encoder": {"path": str(encoder), "sample_rate": RATE}, "score": SCORE},
        **parameters,
    )


def why_again(project, folder, encoder):
    """Why a campaign would run it again; empty: it is finished."""
    settings = {"encoder": {"path": str(encoder), "sample_rate": RATE}, "score": SCORE}
    with project.session(audio_dir=str(folder), embedding=settings) as session:
        catalog = session.load_context().catalog
        return why_not_finished("embedding", register_pipelines()["embedding"], catalog)


def by_hand(folder, clip_id):
    samples = soundfile.read(folder / clip_id, dtype="float32")[0].astype(np.float64)
    return np.array([np.abs(samples).mean(), np.square(samples).mean()])


def test_without_a_path_a_sentence_says_what_is_needed(project):
    with pytest.raises(InputError, match="needs an encoder that you give"):
        project.run("embedding")
    assert not project.data("01_raw", "simulated").exists()  # nothing was done before


def test_scores_are_those_of_embeddings_worked_out_by_hand(tmp_path, dcase_folder):
    project = Project(tmp_path / "project", registers_detectors=True)
    encoder = loudness(tmp_path / "encoder.onnx")
    run(project, dcase_folder, encoder)
    clips = project.load("clips").set_index("clip_id")
    assert len(clips) == 16

    # each value by mean and standard deviation of the training clips, by machine ID
    found = project.load("embedding.clip_scores").set_index("clip_id").score
    values = {clip_id: by_hand(dcase_folder, clip_id) for clip_id in clips.index}
    training = clips.index[clips.split == "train"]
    means = {
        machine_id: np.mean(
            [values[one] for one in training if clips.machine_id[one] == machine_id], axis=0
        )
        for machine_id in ("00", "02")
    }
    rest = np.array([values[one] - means[clips.machine_id[one]] for one in training])
    deviations = np.sqrt((rest**2).sum(axis=0) / (len(training) - 2))
    expected = {
        one: np.mean((values[one] - means[clips.machine_id[one]]) / deviations)
        for one in clips.index
    }
    np.testing.assert_allclose(found[clips.index], list(expected.values()), rtol=1e-3, atol=1e-3)

    # the threshold and the p-values are those of the validation clips
    calibration = project.load("embedding.calibration_scores")
    held_out = clips.index[clips.split == "validation"]
    np.testing.assert_allclose(sorted(calibration.scores), sorted(found[held_out]), rtol=1e-12)
    assert set(project.load("embedding.decisions").clip_id) == set(clips.index)

    # the detector says the same, and with no other encoder
    place = project.data("06_models", "slider", "embedding", "detector")
    detector = Detector.load(place)
    assert sorted(path.name for path in place.iterdir()) == ["settings.json"]
    test = clips.index[clips.split == "test"][0]
    verdict = detector.judge_file(dcase_folder / test, machine_id=clips.machine_id[test])
    assert verdict.score == found[test]
    assert (verdict.segments, verdict.bands) == ((), ())
    assert detector.judge_file(dcase_folder / test, error_map=True).error_map is None
    assert any(str(encoder) in line for line in in_lines(detector))
    with pytest.raises(InputError, match="needs no export"):
        export(detector)
    with pytest.raises(InputError, match="judge with this one by: anomalous-sound score"):
        project.run("score", audio_dir=str(dcase_folder), inference={"method": "embedding"})

    for name in ("report.md", "card.md", "report.html", "metrics.json"):
        assert project.data("08_reporting", "slider", "embedding", name).stat().st_size > 0
    report = project.data("08_reporting", "slider", "embedding", "report.md").read_text()
    assert "does not say when and where" in report
    assert "nan" not in report.lower()
    metrics = json.loads(project.data("08_reporting/slider/embedding/metrics.json").read_text())
    assert metrics["validation_error_mean"] is None

    assert why_again(project, dcase_folder, encoder) == ""
    told = CliRunner().invoke(main, ["score", str(dcase_folder / test), "--detector", str(place)])
    assert told.exit_code in (0, 1)
    assert f"{found[test]:.4g}" in told.output

    watched = ["watch", str(dcase_folder), "--detector", str(place)]
    told = CliRunner().invoke(main, [*watched, "--report", str(project.path / "page.html")])
    assert told.exit_code == 2
    assert "of embeddings, is used without it" in told.output

    project.run("compare", audio_dir=str(dcase_folder))
    compared = project.load("compare.comparison").set_index("method")
    assert compared.kind["embedding"] == "frozen encoder"
    assert compared.parameters["embedding"] == 0

    quarters(encoder, 8)
    assert "encoder_file.sha256" in why_again(project, dcase_folder, encoder)
    with pytest.raises(InputError, match="not the one that the detector was made with"):
        Detector.load(place)
    digest = detector.identity.digest
    loudness(place / "encoder.onnx")
    assert Detector.load(place).identity.digest == digest


def test_in_folds_every_normal_clip_calibrates(project, dcase_folder, tmp_path):
    encoder = quarters(tmp_path / "encoder.onnx", 4000)
    run(project, dcase_folder, encoder, profile="standard", audio={"channel": "mean"})
    clips = project.load("clips")
    calibration = project.load("embedding.calibration_scores")
    assert set(calibration.clip_ids) == set(clips.clip_id[clips.split == "train"])
    assert len(calibration.scores) == 8
