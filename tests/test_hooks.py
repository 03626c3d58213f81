"""What is done beside the pipelines: data of others is waited for, results are said."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from anomalous_sound import hooks
from anomalous_sound.configuration.compute import LOCAL
from anomalous_sound.errors import InputError
from anomalous_sound.pipelines import training
from anomalous_sound.storage.locks import Readers, WriterLocks


def test_a_second_run_of_a_method_waits_and_then_refuses(project, dcase_folder, caplog):
    project.configure("globals", {"runs": {"wait_s": 1}})
    other = WriterLocks(project.path / ".locks")
    other.acquire(["slider.explore"], wait_s=1)
    with pytest.raises(InputError, match="writing the data of 'slider.explore' for more than 1 s"):
        project.look(audio_dir=str(dcase_folder))
    assert "waiting for it, at most 1 s" in caplog.text
    other.release()
    project.look(audio_dir=str(dcase_folder))


def test_what_methods_share_is_written_by_one_run_at_a_time(project, dcase_folder):
    project.configure("globals", {"runs": {"wait_s": 1}})
    other = WriterLocks(project.path / ".locks")
    other.acquire(["slider.preparation"], wait_s=1)
    with pytest.raises(InputError, match="writing the data of 'slider.preparation'"):
        project.look(audio_dir=str(dcase_folder))


def test_what_methods_share_is_free_for_others_once_it_is_prepared(
    project, dcase_folder, monkeypatch
):
    """Whoever prepares the same goes on beside this run; whoever prepares other clips waits."""
    project.configure("globals", {"runs": {"wait_s": 1}})
    locks, part = project.path / ".locks", "slider.preparation"
    read = []

    def look(path):
        """Be another run, while this one still uses its clips."""
        other, readers = WriterLocks(locks), Readers(locks)
        other.acquire([part, "slider.gru"], wait_s=1)
        with pytest.raises(InputError, match=r"'slider\.explore'"):
            WriterLocks(locks).acquire(["slider.explore"], wait_s=0.1)
        (file,) = locks.glob(f"{part}.read.*.lock")
        read.append(file.name.split(".")[-3])
        readers.wait(part, read[-1], wait_s=0.1)
        with pytest.raises(InputError, match="with other data of"):
            readers.wait(part, "other", wait_s=0.1)
        other.release()
        return path

    with monkeypatch.context() as patch:
        patch.setattr(hooks, "_short", look)
        project.look(audio_dir=str(dcase_folder))
    assert not list(locks.glob("*.read.*"))
    training = Readers(locks)
    training.begin(part, read[0])
    project.look(audio_dir=str(dcase_folder), jobs=2)
    with pytest.raises(InputError, match="has been working with other data of"):
        project.look(audio_dir=str(dcase_folder), scaling={"method": "band"})


def test_a_run_of_a_part_waits_for_all_who_read_it(project, dcase_folder):
    project.configure("globals", {"runs": {"wait_s": 1}})
    project.look(audio_dir=str(dcase_folder))
    training = Readers(project.path / ".locks")
    training.begin("slider.preparation", "0a")
    with (
        project.session(audio_dir=str(dcase_folder)) as session,
        pytest.raises(InputError, match="has been working with other data of"),
    ):
        session.run(pipeline_names=["lstm"], node_names=["preparation.fit_scaling"])


@pytest.mark.parametrize(("simulated", "end"), [(True, ", on simulated sound."), (False, ".")])
def test_the_area_of_simulated_sound_is_called_so(simulated, end):
    metrics = {
        **{"auc_pooled": 0.8389, "auc_pooled_interval": [0.7664, 0.9025], "confidence": 0.95},
        "corpus": {"simulated": simulated},
    }
    assert hooks.area(metrics) == f"AUC: 0.839 (0.766 to 0.902 with 95% confidence){end}"


def test_the_official_figures_are_said_as_the_challenge_of_the_year_ranks():
    means = {"auc": 0.7, "pauc": 0.61, "auc_source": 0.8, "auc_target": 0.55}
    later = {
        **{"challenge": "DCASE 2023 Task 2", "year": 2023, "score": 0.6333},
        **{"harmonic_mean": means, "arithmetic_mean": {}, "not_computed": {}},
    }
    assert hooks.official_line(later) == (
        "DCASE 2023 Task 2: official score 0.633; harmonic means of AUC (source) 0.800, "
        "AUC (target) 0.550, pAUC 0.610."
    )
    first = {"challenge": "DCASE 2020 Task 2", "year": 2020, "arithmetic_mean": means}
    assert hooks.official_line(first) == "DCASE 2020 Task 2: means of AUC 0.700, pAUC 0.610."
    # why, a warning has said
    assert hooks.official_line(later | {"score": None}) == (
        "DCASE 2023 Task 2: no official score, since not all of its figures can be computed."
    )


def test_what_a_run_found_is_said_of_its_test_clips():
    clips = pd.DataFrame({"clip_id": list("abcde"), "split": ["train", *["test"] * 4]})
    decisions = pd.DataFrame(
        {
            "clip_id": list("abcde"),
            "score": [9.0, 1.0, 5.0, 4.0, 7.0],
            "decision": ["anomalous", "normal", "anomalous", "anomalous", "undecided"],
        }
    )

    def said(*chosen):
        return hooks.findings(decisions[decisions.clip_id.isin(chosen)], clips)

    assert said(*"abcde") == "2 of 3 clips sound anomalous; the worst: c. Undecided: 1."
    assert said("a", "b", "d") == "1 of 2 clips sounds anomalous; the worst: d."
    assert said("b") == "0 of 1 clip sound anomalous."
    assert said("e") == "No clip could be decided. Undecided: 1."
    assert said("a") == "There are no clips to test with."


@pytest.mark.parametrize(
    ("folds", "jobs", "engine", "started"),
    [
        (1, 2, {}, [1]),  # which starts none
        (4, 1, {}, [1]),
        (4, 2, {}, [2]),
        (3, 8, {}, [3]),
        (1, 1, {"devices": 2}, [2]),
        (4, 8, {"devices": 2}, [2]),
        (1, 1, {"devices": 2, "num_nodes": 2}, []),  # torchrun starts its own
    ],
)
def test_processes_that_train_are_started_before_clips_are_prepared(
    monkeypatch, folds, jobs, engine, started
):
    given = {
        "params:detector": SimpleNamespace(folds=folds),
        "params:jobs": jobs,
        "params:engine": LOCAL.model_copy(update=engine),
    }
    found = []
    monkeypatch.setattr(hooks, "start_processes", lambda number, modules: found.append(number))
    hooks.ProcessHooks().before_pipeline_run(
        training.create_pipeline(), SimpleNamespace(load=given.__getitem__)
    )
    assert found == started
