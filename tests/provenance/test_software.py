"""What a result was made with is recorded, and what is other elsewhere is named."""

import importlib.metadata
import platform
import subprocess

import torch

from anomalous_sound import __version__
from anomalous_sound.provenance.lock import FOLDER, here
from anomalous_sound.provenance.software import environment, software, what_differs


def locked(project, text):
    (project / FOLDER).mkdir(exist_ok=True)
    (project / FOLDER / f"{here()}.txt").write_text(text)
    return software(project)


def test_versions_processor_and_revision(tmp_path):
    made = software(tmp_path)
    assert (made.version, made.python) == (__version__, platform.python_version())
    assert made.packages["torch"] == importlib.metadata.version("torch")
    assert made.processor[:2] == [platform.machine(), torch.backends.cpu.get_cpu_capability()]
    assert made.git_revision == "unknown: not a git checkout"
    assert made.git_uncommitted_changes is None
    assert (made.lock, made.is_locked) == (None, False)
    assert made.in_one_line() == f"no lock for {here()}"


def test_the_revision_says_whether_there_are_changes(tmp_path):
    def git(*arguments):
        own = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", tmp_path, *own, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "one")
    assert (clean := software(tmp_path)).git_uncommitted_changes is False
    (tmp_path / "a").write_text("2")
    changed = software(tmp_path)
    assert changed.git_uncommitted_changes is True
    assert list(what_differs(clean, changed)) == [
        f"git revision: {clean.git_revision} with uncommitted changes here, "
        f"{clean.git_revision} there"
    ]


def test_whether_the_environment_is_the_lock_s(tmp_path):
    numpy = importlib.metadata.version("numpy")
    made = locked(tmp_path, f"numpy=={numpy}\n")
    assert made.is_locked
    assert made.in_one_line() == f"as locked ({made.lock})"
    other = locked(tmp_path, "numpy==1.0\nsix==0.1\n")
    assert not other.is_locked
    assert other.in_one_line() == (
        f"not as locked ({other.lock}): numpy {numpy}, 1.0 is locked and 1 more"
    )
    assert list(what_differs(made, other)) == [
        f"lock: {other.lock} here, {made.lock} there",
        f"environment: {other.in_one_line()} here, {made.in_one_line()} there",
    ]


def test_what_is_other_elsewhere_is_named(tmp_path):
    this = software(tmp_path)
    assert list(what_differs(this, this)) == []
    changed = {
        "python": "3.10.0",
        "processor": ["x86_64", "AVX2"],
        "packages": {**this.packages, "numpy": "1.0"},
    }
    there = this.model_copy(update=changed)
    assert list(what_differs(there, this)) == [
        f"Python: {this.python} here, 3.10.0 there",
        f"processor: {', '.join(this.processor)} here, x86_64, AVX2 there",
        f"numpy: {this.packages['numpy']} here, 1.0 there",
    ]


def test_the_environment_names_the_version_of_each_package_that_is_imported(tmp_path):
    packages = environment(software(tmp_path))["packages"]
    for name in ("torch", "mlflow", "numpy"):
        assert packages[name] == importlib.metadata.version(name)
