"""``compare`` says which method is best, and makes it the champion only when told."""

import shutil
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from support import Project, corpus_summary

from anomalous_sound.errors import InputError
from anomalous_sound.methods.discovery import trained_methods
from anomalous_sound.pipelines.compare import nodes

NAME = "slider"


def aliases(project):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    found = client.get_registered_model(NAME).aliases
    return {alias: str(version) for alias, version in found.items()}


def tags(project, version):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    return client.get_model_version(NAME, version).tags


@pytest.mark.slow
def test_nothing_is_promoted_by_itself(compared_run):
    assert set(aliases(compared_run)) == set(trained_methods())
    best = compared_run.load("compare.best")
    table = compared_run.load("compare.comparison").set_index("method").auc_pooled
    assert best["method"] == table[list(trained_methods())].idxmax()
    assert best["champion"] is None


@pytest.mark.slow
def test_a_champion_is_made_when_told(compared_run, tmp_path):
    shutil.copytree(compared_run.path, tmp_path / "copy")
    project = Project.existing(tmp_path / "copy")
    project.run("compare", compare={"promote": "gru"})
    champion = project.load("compare.best")["champion"]
    found = aliases(project)
    assert found.pop("champion") == champion["version"]
    assert found == aliases(compared_run)
    digest = project.load("gru.detector").identity.digest
    assert tags(project, champion["version"])["digest"] == digest

    project.run("compare")
    assert aliases(project)["champion"] == champion["version"]


@pytest.fixture
def promoted(monkeypatch):
    """Note what is promoted."""
    noted = []

    def promote(digest):
        noted.append(digest)
        return NAME, "7"

    monkeypatch.setattr(nodes, "promote", promote)
    return noted


def choose(promote, *, with_auc=True):
    comparison = pd.DataFrame({"method": ["lstm", "gru", "spectrum"]})
    if with_auc:
        comparison["auc_pooled"] = [0.7, 0.8, 0.9]
    differences = pd.DataFrame(
        [("lstm", "gru", -0.1, -0.3, 0.1)], columns=["method", "other", "difference", "low", "high"]
    )
    results = {"lstm": {"detector": "01"}, "gru": {"detector": "02"}}
    missing = {"autoencoder": "it has not been run; run: kedro run --pipeline autoencoder"}
    corpus, compare = corpus_summary(name="hall 3"), SimpleNamespace(promote=promote)
    return nodes.choose_best(comparison, differences, results, missing, corpus, compare, "")


def test_the_best_trained_method_is_promoted_or_the_one_that_is_named(promoted):
    best = {"method": "gru", "not_clearly_worse": ["lstm"], "champion": None}
    assert choose(False) == best
    assert promoted == []
    champion = {"method": "gru", "name": NAME, "version": "7"}
    assert choose(True) == best | {"champion": champion}
    assert choose("lstm") == best | {"champion": champion | {"method": "lstm"}}
    assert promoted == ["02", "01"]


def test_what_cannot_be_promoted_is_told(promoted):
    assert choose(False, with_auc=False)["method"] is None
    with pytest.raises(InputError, match="no method is best; name one: compare.promote=METHOD"):
        choose(True, with_auc=False)
    assert choose("lstm", with_auc=False)["champion"]["method"] == "lstm"
    with pytest.raises(InputError, match="autoencoder, which is not compared: it has not been run"):
        choose("autoencoder")
    assert len(promoted) == 1


@pytest.mark.slow
def test_a_method_that_does_not_exist_is_told(compared_run):
    with pytest.raises(InputError, match=r"'compare.promote' names 'grü'.*'gru'"):
        compared_run.run("compare", compare={"promote": "grü"})
