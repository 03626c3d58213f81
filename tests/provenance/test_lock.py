"""The lock fits what is declared, and this environment is the lock's."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support import REPOSITORY

from anomalous_sound.errors import InputError
from anomalous_sound.provenance.lock import FOLDER, Lock, find_lock, here
from constraints import lock as writing

PYPROJECT = REPOSITORY / "pyproject.toml"
FILES = sorted((REPOSITORY / FOLDER).glob("*.txt"))


@pytest.fixture(scope="module")
def declared():
    return writing.declared(PYPROJECT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_declared_dependency_is_locked_in_a_version_that_is_declared(path, declared):
    assert re.fullmatch(r"python3\.1[1-3]-[a-z0-9]+-\w+", path.stem)
    assert writing.problems(Lock.read(path).versions, declared) == []


def test_the_lock_holds_no_address():
    for path in FILES:
        assert not re.search(r"://|--|@", path.read_text()), path


def test_this_environment_is_the_lock_s(declared):
    lock = find_lock(REPOSITORY)
    if lock is None:
        pytest.skip(f"there is no lock for {here()}")
    marker = Path(sys.prefix) / ".installed"
    if marker.is_file() and marker.read_text().strip() == "no lock":
        pytest.skip("this environment was made without the lock: make CONSTRAINTS=")
    told = "to install what is locked: rm -r .venv, make setup; to lock what is there: make lock"
    assert lock.differences() == [], told
    assert writing.unlocked(lock.versions, declared) == [], told


def test_what_is_missing_or_out_of_range_is_named():
    wanted = [Requirement(one) for one in ("numpy>=2.2,<3", "Paho_MQTT>=2.1", "torch==2.13.0")]
    locked = {"numpy": "3.0.1", "torch": "2.13.0"}
    assert writing.problems(locked, wanted) == [
        "numpy 3.0.1 is locked, and <3,>=2.2 is declared",
        "Paho_MQTT is declared and not locked",
    ]
    elsewhere = Requirement("pywin32>=300; sys_platform == 'win32'")
    assert writing.problems(locked, [elsewhere]) == (
        ["pywin32 is declared and not locked"] if sys.platform == "win32" else []
    )


def test_all_extras_are_declared_and_the_project_itself_is_not(tmp_path):
    file = tmp_path / "pyproject.toml"
    file.write_text(
        "[project]\nname = 'a.project'\ndependencies = ['one>=1']\n"
        "[project.optional-dependencies]\nx = ['a_project[y]', 'two[z]>=2']\ny = ['three']\n"
    )
    assert [str(one) for one in writing.declared(file)] == ["one>=1", "two[z]>=2", "three"]


def test_a_version_that_is_another_is_named(tmp_path):
    numpy, torch = (importlib.metadata.version(name) for name in ("numpy", "torch"))
    file = tmp_path / "lock.txt"
    file.write_text(f"# a comment\nnumpy=={numpy}\ntorch=={torch.partition('+')[0]}  # any build\n")
    lock = Lock.read(file)
    assert lock.differences() == []
    other = Lock({**lock.versions, "numpy": "1.0", "no-such-package": "2.0"})
    assert other.differences() == [
        "no-such-package is not installed, 2.0 is locked",
        f"numpy {numpy}, 1.0 is locked",
    ]
    file.write_text("\n".join(reversed(file.read_text().splitlines())))
    assert Lock.read(file).digest == lock.digest != other.digest


@pytest.mark.parametrize("line", ["numpy>=2", "numpy", "numpy==2; python_version>'3.11'"])
def test_a_line_that_locks_nothing_is_refused(tmp_path, line):
    file = tmp_path / "lock.txt"
    file.write_text(f"torch==2.13.0\n{line}\n")
    with pytest.raises(InputError, match="line 2: .* is not NAME==VERSION; .* make lock"):
        Lock.read(file)


def test_what_is_written_is_read_again_and_holds_what_others_need(tmp_path):
    needed = writing.needed([Requirement("mlflow")])
    assert {"mlflow", "mlflow-skinny", "pandas", "numpy"} <= set(needed)
    assert "ruff" not in needed
    file = tmp_path / "lock.txt"
    file.write_text(writing.text(needed))
    assert Lock.read(file).versions == needed
    assert writing.unlocked({}, [Requirement("six")]) == ["six"]


def test_a_lock_for_another_python_is_none_for_this_one(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "python2.7-linux-x86_64.txt").write_text("six==1.0\n")
    assert find_lock(tmp_path) is None
    (folder / f"{here()}.txt").write_text("six==1.0\n")
    assert find_lock(tmp_path).versions == {"six": "1.0"}


def test_make_takes_the_file_that_the_package_takes():
    makefile = (REPOSITORY / "Makefile").read_text()
    (command,) = re.findall(r'-c "(import platform, sys; print\(.*\))"\)\.txt', makefile)
    printed = []
    exec(command.replace("print(", "printed.append("), {"printed": printed})
    assert printed == [here()]
