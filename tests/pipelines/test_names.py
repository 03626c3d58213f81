"""What a run makes lies in folders of the detector's name, beside those of other detectors."""

import shlex
import shutil

import pytest
from support import Project

from anomalous_sound.config_loader import with_detector_name
from anomalous_sound.configuration.command_lines import kedro_run
from anomalous_sound.configuration.names import is_name, safe_name
from anomalous_sound.errors import InputError


@pytest.mark.parametrize("name", ["press_3", "fan-2.1", "Presse_äöü", "007", "x" * 100])
def test_a_name_is_letters_digits_and_few_signs(name):
    assert is_name(name)
    assert safe_name(name) == name


@pytest.mark.parametrize("name", ["", ".hidden", "..", "a/b", "a\\b", "press 3", "a=b", "x" * 101])
def test_other_names_are_refused_and_made_safe(name):
    assert not is_name(name)
    assert is_name(safe_name(name))


def test_a_name_that_is_not_accepted_is_named(project):
    for name in ("../../press", "/press", "a b", "", "x" * 101):
        with pytest.raises(
            InputError, match="parameter 'detector.name' is '.*'; accepted: letters"
        ):
            project.look(detector={"name": name})


@pytest.fixture
def name_of(project):
    """The name that a run would have."""

    def ask(env=None, **parameters):
        with project.session(env, **parameters) as session:
            return session.load_context().config_loader.name_of_run

    return ask


def test_the_name_is_that_of_the_corpus(name_of, tmp_path):
    odd = tmp_path / "press 3 (old)"
    odd.mkdir()
    (odd / "a long hour.wav").touch()
    assert name_of() == "slider"
    assert name_of(audio_dir=str(odd)) == "press_3_old_"
    assert name_of(audio_dir=f"{odd}/../press 3 (old)/") == "press_3_old_"
    assert name_of(audio_dir=str(odd / "a long hour.wav")) == "a_long_hour"
    assert name_of(audio_dir=str(odd), corpus={"machine_type": "fan"}) == "press_3_old_-fan"
    assert name_of("dcase2020") == "dcase2020-slider"
    assert name_of("dcase2023", corpus={"machine_type": "fan"}) == "dcase2023-fan"
    assert name_of("dcase2020", corpus={"parts": ["development"]}) == "dcase2020-slider"
    assert name_of("mimii", corpus={"parts": ["0_dB"]}) == "mimii-slider-0_dB"
    assert name_of("dcase2020", audio_dir=str(odd)) == "press_3_old_"
    assert name_of(audio_dir=str(odd), detector="press_3") == "press_3"
    assert name_of(detector={"name": "press_3", "folds": 1}) == "press_3"


def test_paths_hold_the_name(project):
    with project.session(detector="press_3/gru") as session:
        catalog = session.load_context().catalog
    for name in ("clips", "log_mel", "scaling", "lstm.network", "lstm.clip_scores", "gru.page"):
        assert "/press_3/" in str(catalog.get(name)._filepath), name
    assert catalog.get("compare.comparison")._filepath.parts[-3:-1] == ("press_3", "compare")
    assert catalog.get("score.detector")._filepath.parts[-3:] == ("press_3", "gru", "detector")


def test_two_detectors_lie_side_by_side(project, dcase_folder, tmp_path):
    other = tmp_path / "press"
    shutil.copytree(dcase_folder, other)
    project.look(audio_dir=str(dcase_folder))
    before = project.load("explore.clip_levels")
    project.look(audio_dir=str(other))
    project.look(audio_dir=str(dcase_folder), detector="again")
    names = {folder.name for folder in project.data("08_reporting").iterdir() if folder.is_dir()}
    assert names == {"slider", "press", "again"}
    assert project.load("explore.clip_levels", detector="slider").equals(before)


def test_other_recordings_called_alike_are_not_taken_for_the_first(project, dcase_folder, tmp_path):
    other = tmp_path / "hall 2" / "slider"
    shutil.copytree(dcase_folder, other)
    project.look(audio_dir=str(dcase_folder))
    with pytest.raises(InputError, match="'slider' was made of the recordings in") as told:
        project.look(audio_dir=str(other))
    assert "--params detector=slider_2; or, to replace" in str(told.value)
    with pytest.raises(InputError, match="'slider' was made of"):  # nor are simulated ones
        project.look()
    with pytest.raises(InputError, match=f"add audio_dir={dcase_folder}"):
        project.look(detector="slider")
    project.look(audio_dir=str(dcase_folder))
    project.look(audio_dir=str(other), detector="slider")  # as it was said
    project.look(audio_dir=str(other))


def test_a_project_that_is_moved_knows_its_simulated_corpus(project, tmp_path):
    project.look()
    moved = shutil.move(project.path, tmp_path / "moved")
    Project.existing(moved).look()


@pytest.mark.slow
def test_the_detector_that_judges_is_the_only_one_or_named(
    simulated_run, dcase_folder, tmp_path, project
):
    detector = simulated_run.data("06_models/slider/lstm/detector")
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(next(dcase_folder.glob("test/*.wav")), new)

    def judge(**parameters):
        project.run("score", audio_dir=str(new), **parameters)

    with pytest.raises(InputError, match="there is no detector; train one first"):
        judge()
    shutil.copytree(detector, project.data("06_models/lstm/detector"))
    with pytest.raises(InputError, match="--detector data/06_models/lstm/detector"):
        judge()
    shutil.copytree(detector, project.data("06_models/press_3/gru/detector"))
    judge()  # the only one, of whatever method
    assert project.data("08_reporting/press_3/score/report.html").exists()
    assert [folder.name for folder in project.data("02_intermediate").iterdir()] == ["press_3"]
    shutil.copytree(detector, project.data("06_models/fan/lstm/detector"))
    command = f"kedro run --pipeline score --params audio_dir={new},detector="
    with pytest.raises(InputError) as told:
        judge()
    assert f"choose one: {command}fan or {command}press_3/gru" in str(told.value)
    judge(detector="fan")
    assert project.data("08_reporting/fan/score/report.html").exists()
    judge(to_outputs=["score.decisions"], inference={"method": "gru"})
    shutil.copytree(detector, project.data("06_models/fan/gru/detector"))
    judge(detector="fan")  # of several methods, that of inference.method
    judge(detector="fan/gru")
    with pytest.raises(InputError, match="no detector 'fun'; choose one: .*detector=fan/gru or"):
        judge(detector="fun")
    with pytest.raises(InputError, match="no detector 'press_3' of the method lstm"):
        judge(detector="press_3/lstm")


def test_a_name_may_be_given_with_the_method():
    given = {"detector": "press_3/gru", "inference": {"machine_id": "00"}}
    assert with_detector_name(given) == {
        "detector": {"name": "press_3"},
        "inference": {"method": "gru", "machine_id": "00"},
    }
    assert with_detector_name({"jobs": 1}) == {"jobs": 1}
    assert with_detector_name({"detector": {"folds": 1}}) == {"detector": {"folds": 1}}


def test_recordings_may_come_from_the_environment(name_of, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_DIR", str(tmp_path / "press 3, a=b"))
    assert name_of() == "press_3_a_b"
    assert name_of(audio_dir=str(tmp_path / "fan")) == "fan"
    monkeypatch.setenv("AUDIO_DIR", "")
    assert name_of() == "slider"


def test_a_command_in_a_message_can_be_typed():
    assert kedro_run("lstm") == "kedro run --pipeline lstm"
    odd = kedro_run("lstm", audio_dir="my press", detector=None, seed=1)
    assert shlex.split(odd)[-1] == "audio_dir=my press,seed=1"
    assert kedro_run("gru", audio_dir="a, b", detector="press_3") == (
        "AUDIO_DIR='a, b' kedro run --pipeline gru --params detector=press_3"
    )
