"""What a run was asked for is recorded without names and places."""

from anomalous_sound.provenance.origin import Origin, origin

ASKED = {"environment": "dcase2022", "profile": "baseline", "source": "published"}


def test_parameters_are_kept_and_places_are_not(tmp_path):
    recordings = tmp_path / "hall 3" / "fan"
    given = {
        "audio_dir": f"{recordings}/../fan/",
        "jobs": 2,
        "seed": 3,
        "detector": {"name": "secret", "folds": 2},
        "lstm": {"training": {"epochs": 4}},
    }
    made = origin(tmp_path, given=given, **ASKED)
    assert made.given == {
        "seed": 3,
        "detector": {"folds": 2},
        "lstm": {"training": {"epochs": 4}},
    }
    assert (made.source, made.folder) == ("folder", "fan")
    text = made.model_dump_json()
    assert "secret" not in text
    assert "hall 3" not in text
    assert Origin.model_validate_json(text) == made


def test_a_data_set_has_no_folder(tmp_path):
    made = origin(tmp_path, given={"detector": {"name": "press"}}, **ASKED)
    assert (made.given, made.source, made.folder) == ({}, "published", None)
    assert (made.environment, made.profile) == ("dcase2022", "baseline")
