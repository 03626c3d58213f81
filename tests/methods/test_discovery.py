import subprocess
import sys
from importlib.resources import files
from typing import get_args

import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.methods.base import FrozenSettings, Method, MethodSettings
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.network import Network

TOY = """
from typing import Literal
from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings

class ToyNetworkSettings(NetworkSettings):
    architecture: Literal["toy"]

    def target_frames(self, length):
        return length, length

class ToySettings(MethodSettings):
    network: ToyNetworkSettings

METHOD = Method("{name}", "a toy", "learns nothing", ToySettings, "toy_method:Toy", True)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package that offers a method, as pip does: a module and its dist-info."""

    def install(source):
        (tmp_path / "toy_method.py").write_text(source)
        info = tmp_path / "toy-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[anomalous_sound.methods]\ntoy = toy_method:METHOD\n"
        )
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("toy_method", None)


def test_the_methods_that_are_there():
    found = methods()
    assert {"lstm", "gru", "lstm_dense", "autoencoder"} <= set(found)
    assert list(found)[:2] == ["lstm", "gru"]
    assert list(found)[2:] == sorted(list(found)[2:])
    assert [name for name, method in found.items() if method.core] == ["lstm", "gru"]


@pytest.mark.parametrize("method", methods().values(), ids=methods())
def test_what_a_method_says_of_itself(method):
    assert method.title
    assert method.summary
    assert issubclass(method.settings, FrozenSettings if method.frozen else MethodSettings)
    if not method.frozen:
        assert issubclass(method.network_class(), Network)
    assert len(get_args(method.network_settings.model_fields["architecture"].annotation)) == 1
    assert method.own_windows == (method.name == "autoencoder")


def test_a_method_of_another_package_is_found(install):
    assert "toy" not in methods()
    install(TOY.format(name="toy"))
    found = methods()
    assert isinstance(found["toy"], Method)
    assert list(found) == ["lstm", "gru", "autoencoder", "embedding", "lstm_dense", "toy"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import a_library_that_is_not_there", "'toy'.*cannot be imported: ModuleNotFoundError"),
        ("METHOD = 3", "'toy' .toy_method:METHOD. is 3; it must be a Method"),
        (TOY.format(name="gru"), "two methods are named 'gru'.*methods.gru and of.*'toy'"),
    ],
)
def test_a_broken_method_is_an_error_that_names_it(install, source, message):
    install(source)
    with pytest.raises(InputError, match=message):
        methods()


def test_finding_methods_does_not_import_pytorch():
    code = "import sys; from anomalous_sound.methods.discovery import methods; methods()"
    check = f"{code}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


@pytest.mark.parametrize("name", methods())
def test_every_room_has_a_page(name):
    page = files(f"anomalous_sound.methods.{name}") / "README.md"
    assert f"(`{name}`)" in page.read_text(encoding="utf-8").splitlines()[0]
