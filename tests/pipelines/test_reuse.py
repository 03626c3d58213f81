"""What an earlier run has computed is used again, and nothing else is."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from features_of_report import FEATURES
from kedro.framework.project import pipelines
from kedro.runner import SequentialRunner
from support import AUDIO_BOUNDS

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus import extraction
from anomalous_sound.features.log_mel import log_mel_spectrogram


@pytest.fixture
def prepare(project, dcase_folder, capsys, caplog):
    """Run the preparation and return what the log says of re-use."""

    def run(**parameters):
        capsys.readouterr()
        caplog.clear()
        with project.session(audio_dir=str(dcase_folder), **parameters) as session:
            catalog = session.load_context().catalog
            mlflow.set_experiment("anomalous-sound")  # of this project's store
            SequentialRunner().run(pipelines["lstm"].to_outputs("windows", "scaling"), catalog)
        # kedro sets logging up at the first session of a process, and caplog's handler is lost
        return capsys.readouterr().out + caplog.text

    yield run
    while mlflow.active_run():  # without a session nothing ends what artefacts have begun
        mlflow.end_run()


def test_a_second_run_computes_nothing(prepare, project):
    first = prepare()
    assert "Clips: 16 checked, 0 known from before." in first
    assert "16 clips computed" in first
    written = project.data("03_primary/slider/log_mel/index.parquet").stat().st_mtime_ns
    second = prepare()
    assert "Clips: 0 checked, 16 known from before." in second
    assert "all 16 clips re-used, none computed" in second
    assert project.data("03_primary/slider/log_mel/index.parquet").stat().st_mtime_ns == written


def test_a_changed_clip_is_computed_again_and_no_other(prepare, project, dcase_folder, write_clip):
    prepare()
    before = project.load("log_mel")
    changed = "test/normal_id_00_00000000.wav"
    unchanged = {clip_id: values for clip_id, values in before.clips() if clip_id != changed}
    write_clip(dcase_folder / changed, seed=99)
    said = prepare()
    assert "Clips: 1 checked, 15 known from before." in said
    assert "1 clips computed, 15 re-used" in said
    after = project.load("log_mel")
    for clip_id, values in unchanged.items():
        np.testing.assert_array_equal(after.clip(clip_id), values)
    audio = AudioSettings(sample_rate=16000, channel=0, **AUDIO_BOUNDS)
    samples = project.load_corpus(dcase_folder).mono_clip(changed, audio)
    alone = log_mel_spectrogram(samples, FEATURES)
    np.testing.assert_array_equal(after.clip(changed), alone)


def test_a_clip_that_is_gone_is_gone(prepare, project, dcase_folder):
    prepare()
    (dcase_folder / "test" / "normal_id_00_00000000.wav").unlink()
    assert "0 clips computed, 15 re-used" in prepare()
    assert len(project.load("log_mel").index) == 15


@pytest.mark.parametrize(
    ("parameters", "checked", "computed"),
    [
        ({"log_mel": {"n_fft": 1024}}, 0, "16 clips computed"),
        ({"audio": {"sample_rate": 8000}}, 16, "16 clips computed"),
        ({"scaling": {"method": "band"}}, 0, "none computed"),
        ({"seed": 5}, 0, "none computed"),
        ({"lstm": {"training": {"epochs": 1}}}, 0, "none computed"),
    ],
)
def test_a_parameter_recomputes_what_depends_on_it(prepare, parameters, checked, computed):
    prepare()
    said = prepare(**parameters)
    assert f"Clips: {checked} checked" in said
    assert computed in said


def test_other_code_recomputes_its_own_step(prepare, monkeypatch):
    prepare()
    monkeypatch.setattr(extraction, "extraction_identity", lambda: "another")
    said = prepare()
    assert "Clips: 0 checked" in said
    assert "16 clips computed" in said


def test_a_half_written_table_of_checks_is_not_trusted(prepare, project):
    prepare()
    table = project.data("02_intermediate/slider/clip_checks.parquet")
    table.write_bytes(table.read_bytes()[:200])
    assert "Clips: 16 checked, 0 known from before." in prepare()


def test_two_methods_share_clips_and_frames(compared_run):
    """The features were written by the first method's run and by none after it."""
    written = compared_run.data("03_primary/slider/log_mel/index.parquet").stat().st_mtime
    network = compared_run.data("06_models/slider/lstm/network/settings.json").stat().st_mtime
    assert written < network
    assert compared_run.data("06_models/slider/gru/network/settings.json").exists()


def test_one_network_a_machine_id(project, dcase_folder, write_clip):
    """A machine ID's scores depend on its own clips alone."""
    own = {"detector": {"per": "machine_id"}}
    project.run(to_outputs=["lstm.clip_scores"], audio_dir=str(dcase_folder), **own)
    scores = project.load("lstm.clip_scores").set_index("clip_id").score
    names = project.load("lstm.network").weights
    assert {name.partition("/")[0] for name in names} == {"id_00", "id_02"}
    assert not list(project.data("06_models/slider/lstm").glob("*.ckpt"))
    for number in range(4):
        write_clip(dcase_folder / "train" / f"normal_id_02_{number:08d}.wav", seed=50 + number)
    project.run(to_outputs=["lstm.clip_scores"], audio_dir=str(dcase_folder), **own)
    again = project.load("lstm.clip_scores").set_index("clip_id").score
    of_00 = scores.index.str.contains("_id_00_")
    pd.testing.assert_series_equal(again[of_00], scores[of_00])
    test_02 = scores.index.str.contains("test/.*_id_02_")
    assert not np.isclose(again[test_02], scores[test_02]).any()
