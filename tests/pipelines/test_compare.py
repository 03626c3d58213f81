"""``compare`` says which method is best, and makes it the champion only when told."""

import shutil

import mlflow
import pandas as pd
import pytest
from support import Project

from anomalous_sound.errors import InputError
from anomalous_sound.methods import methods

pytestmark = pytest.mark.slow
NAME = "simulated_slide_rail"


def aliases(project):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    return dict(client.get_registered_model(NAME).aliases)


def tags(project, version):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    return client.get_model_version(NAME, version).tags


def test_nothing_is_promoted_by_itself(compared_run):
    assert set(aliases(compared_run)) == set(methods())
    best = compared_run.load("compare.best")
    table = compared_run.load("compare.comparison").set_index("method").auc_pooled
    assert best["method"] == table[list(methods())].idxmax()
    assert best["champion"] is None


def test_a_champion_is_made_when_told(compared_run, tmp_path):
    shutil.copytree(compared_run.path, tmp_path / "copy")
    project = Project.existing(tmp_path / "copy")
    project.run("compare", compare={"promote": True})
    best = project.load("compare.best")
    found = aliases(project)
    assert found.pop("champion") == best["champion"]["version"]
    assert found == aliases(compared_run)
    assert tags(project, best["champion"]["version"])["method"] == best["method"]
    detector = project.load(f"{best['method']}.detector")
    promoted = tags(project, best["champion"]["version"])["digest"]
    assert promoted == detector.identity.digest

    project.run("compare", compare={"promote": "gru"})
    assert tags(project, aliases(project)["champion"])["method"] == "gru"
    project.run("compare")
    assert tags(project, aliases(project)["champion"])["method"] == "gru"

    result = project.data("07_model_output/lstm/result.json")
    result.write_text(result.read_text().replace('"detector": "', '"detector": "0'))
    with pytest.raises(InputError, match=f"no version of '{NAME}' in MLflow's registry"):
        project.run("compare", compare={"promote": "lstm"})
    assert tags(project, aliases(project)["champion"])["method"] == "gru"
    assert not pd.isna(project.load("compare.comparison").auc_pooled).any()
    result.unlink()
    with pytest.raises(InputError, match="promote is lstm, which is not compared: it has not been"):
        project.run("compare", compare={"promote": "lstm"})


def test_a_method_that_does_not_exist_is_told(compared_run):
    with pytest.raises(InputError, match=r"'compare.promote' names 'grü'.*'gru'"):
        compared_run.run("compare", compare={"promote": "grü"})
