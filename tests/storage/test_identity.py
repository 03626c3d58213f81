import doctest
import importlib.metadata

import pytest
from features_of_report import FEATURES, features_with

import anomalous_sound.storage
from anomalous_sound.corpus import decode
from anomalous_sound.storage import identity as module
from anomalous_sound.storage.identity import code_identity, identity


def test_the_example():
    results = doctest.testmod(module)
    assert results.attempted
    assert results.failed == 0


def test_an_identity_follows_names_and_values_and_not_their_order():
    assert identity(a=1, b={"c": 2, "d": 3}) == identity(b={"d": 3, "c": 2}, a=1)
    different = [{}, {"a": 1}, {"a": "1"}, {"b": 1}, {"a": [1]}, {"a": {"b": 1}}, {"a": None}]
    assert len({identity(**values) for values in different}) == len(different)


def test_settings_count_with_all_their_values():
    assert identity(a=FEATURES) == identity(a=FEATURES.model_copy())
    assert identity(a=FEATURES) == identity(a=FEATURES.model_dump(mode="json"))
    assert identity(a=FEATURES) != identity(a=features_with(top_db=60.0))
    assert identity(a=[FEATURES]) != identity(a=FEATURES)


def test_what_has_no_digest_is_refused():
    with pytest.raises(TypeError, match="object has no place in an identity"):
        identity(a=object())


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of which one module cannot be imported."""
    folder = tmp_path / "toy_code"
    (folder / "deeper").mkdir(parents=True)
    for name in ("__init__.py", "one.py"):
        (folder / name).write_text(f"# {name}\n")
    (folder / "deeper" / "two.py").write_text("raise RuntimeError('imported')\n")
    (folder / "notes.txt").write_text("not code")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_every_module_of_a_package_counts(package):
    seen = [code_identity("toy_code")]
    (package / "deeper" / "two.py").write_text("changed\n")
    seen.append(code_identity("toy_code"))
    (package / "one.py").rename(package / "three.py")
    seen.append(code_identity("toy_code"))
    (package / "deeper" / "two.py").unlink()
    seen.append(code_identity("toy_code"))
    assert len(set(seen)) == 4
    (package / "notes.txt").write_text("other notes")
    assert code_identity("toy_code") == seen[-1]


def test_a_module_stands_for_itself_alone(package):
    before = code_identity("toy_code.one")
    (package / "__init__.py").write_text("# other code")
    assert code_identity("toy_code.one") == before
    (package / "one.py").write_text("# other code")
    assert code_identity("toy_code.one") != before


def test_a_name_says_the_same_as_the_module():
    assert code_identity(decode) == code_identity("anomalous_sound.corpus.decode")
    assert code_identity(anomalous_sound.storage) == code_identity("anomalous_sound.storage")
    assert code_identity(decode, decode) != code_identity(decode)


def test_versions_of_what_is_called_count(monkeypatch):
    before = code_identity(decode, distributions=["numpy"])
    assert before != code_identity(decode)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0")
    assert code_identity(decode, distributions=["numpy"]) != before


def test_code_that_is_not_there():
    with pytest.raises(ModuleNotFoundError):
        code_identity("anomalous_sound.no_such_module")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        code_identity(decode, distributions=["no-such-distribution"])
