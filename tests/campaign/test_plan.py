"""Which runs a command asks for, and what is said of those that it cannot mean."""

import shutil

import pytest
import yaml

from anomalous_sound.campaign.plan import is_campaign, make_plan, of_one_run
from anomalous_sound.errors import InputError


@pytest.fixture
def plan(project):
    """Return the plan of a command."""

    def make(env=None, **params):
        with project.session(env, **of_one_run(params)) as session:
            context = session.load_context()
            return make_plan(params, context.params, context.config_loader["globals"])

    return make


@pytest.fixture
def folders(tmp_path, dcase_folder):
    """A folder for each of two machine types."""
    place = tmp_path / "machines"
    for name in ("press 1", "fan"):
        shutil.copytree(dcase_folder, place / name)
    return place


def names(found):
    return [child.name for child in found.children]


def test_what_asks_for_several_runs():
    assert is_campaign({"seeds": 1})
    assert is_campaign({"corpus": {"machine_type": "all"}})
    assert is_campaign({"corpus": {"machine_type": ["fan"]}})
    assert not is_campaign({"corpus": {"machine_type": "fan"}, "seed": 3})
    assert not is_campaign({})


def test_all_machine_types_of_a_year_with_several_seeds(plan):
    found = plan("dcase2020", corpus={"machine_type": "all"}, seeds=2)
    types = ("slider", "fan", "pump", "valve", "ToyCar", "ToyConveyor")
    assert names(found) == [f"dcase2020-{kind}-seed{seed}" for kind in types for seed in (1, 2)]
    assert (found.name, found.machine_types) == ("dcase2020", 6)
    last = found.children[-1]
    assert last.params == {
        "corpus": {"machine_type": "ToyConveyor", "machine_ids": None},
        "detector": {"name": "dcase2020-ToyConveyor-seed2"},
        "seed": 2,
    }
    # what is said about machine IDs is obeyed
    own = plan("dcase2020", corpus={"machine_type": ["fan"], "machine_ids": ["00"]})
    assert own.children[0].params["corpus"] == {"machine_type": "fan", "machine_ids": ["00"]}
    assert own.children[0].params["seed"] == 1
    assert names(own) == ["dcase2020-fan"]
    # the table of one machine type is called by it, whether it stands in a list or not
    for one in (["fan"], "fan"):
        assert plan("dcase2020", corpus={"machine_type": one}, seeds=2).name == "dcase2020-fan"


def test_parts_and_a_name_of_the_user_s_own(plan):
    parts = ["additional_training", "evaluation"]
    found = plan("dcase2023", corpus={"machine_type": "all", "parts": parts}, seed=5, seeds=1)
    assert names(found)[0] == "dcase2023-ToyDrone-additional_training-evaluation-seed5"
    assert len(found.children) == 7
    assert found.name == "dcase2023-additional_training-evaluation"
    own = plan(
        "dcase2023",
        corpus={"machine_type": ["fan", "valve"]},
        detector={"name": "wide", "folds": 2},
    )
    assert names(own) == ["wide-fan", "wide-valve"]
    assert own.children[0].params["detector"] == {"name": "wide-fan", "folds": 2}


def test_a_folder_for_each_machine_type(plan, folders):
    found = plan(corpus={"machine_type": "all"}, audio_dir=str(folders))
    assert names(found) == ["fan", "press_1"]
    assert found.children[1].params["audio_dir"] == str(folders / "press 1")
    assert "machine_type" not in found.children[1].params["corpus"]
    assert found.name == "machines"
    assert names(plan(corpus={"machine_type": ["fan"]}, audio_dir=str(folders), seeds=1)) == [
        "fan-seed1"
    ]


def test_seeds_alone(plan, dcase_folder):
    assert names(plan(seeds=2)) == ["slider-seed1", "slider-seed2"]
    found = plan(seeds=2, audio_dir=str(dcase_folder), seed=7)
    assert [(child.name, child.seed) for child in found.children] == [
        ("slider-seed7", 7),
        ("slider-seed8", 8),
    ]


@pytest.mark.parametrize(
    ("env", "params", "message"),
    [
        (None, {"seeds": 0}, "seeds is 0; give how many trainings there are to be, 1 or more."),
        (None, {"seeds": "few"}, "seeds is few; give how many"),
        (
            None,
            {"corpus": {"machine_type": "all"}},
            "the simulated corpus has one; give a data set",
        ),
        (
            "dcase2020",
            {"corpus": {"machine_type": ["fan", "bearing"]}},
            "corpus.machine_type 'bearing' is not in the data set's part development; it has slid",
        ),
        ("dcase2020", {"corpus": {"machine_type": []}}, "is an empty list; name machine types"),
        (
            "dcase2023",
            {"corpus": {"machine_type": "all", "parts": ["development", "evaluation"]}},
            "development, evaluation], which have no machine type in common; take parts of",
        ),
        (
            "dcase2023",
            {"corpus": {"machine_type": "all", "parts": ["test"]}},
            "corpus.parts names 'test', which the data set does not have; it has development",
        ),
        (
            None,
            {"corpus": {"machine_type": "all"}, "audio_dir": "nowhere"},
            "audio_dir: nowhere does not exist; give a folder of recordings.",
        ),
    ],
)
def test_a_mistake_is_told_in_a_sentence(plan, env, params, message):
    with pytest.raises(InputError) as error:
        plan(env, **params)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_that_does_not_hold_machine_types_is_told(plan, folders, dcase_folder, tmp_path):
    def told(place, wanted="all"):
        with pytest.raises(InputError) as error:
            plan(corpus={"machine_type": wanted}, audio_dir=str(place))
        return str(error.value)

    assert "holds test/, train/, parts of one machine type; several" in told(dcase_folder)
    (tmp_path / "empty" / "fan").mkdir(parents=True)
    assert "has no folders with recordings in them; several" in told(tmp_path / "empty")
    assert (
        f"names 'fans', which is not among the folders of {folders}; did you mean 'fan'? "
        "There are fan, press 1." in told(folders, ["fans"])
    )
    (folders / "labels.csv").write_text("file,label\n")
    assert "has a labels.csv for all of its folders" in told(folders)


def test_every_year_has_its_machine_types(project, plan):
    for year in range(2020, 2027):
        values = yaml.safe_load((project.path / f"conf/dcase{year}/globals.yml").read_text())
        files = values["archives"]["development"]["files"]
        found = plan(f"dcase{year}", corpus={"machine_type": "all"})
        assert [child.params["corpus"]["machine_type"] for child in found.children] == list(files)
