"""The Python examples in the datasets' docstrings run."""

import doctest

import pytest
from file_server import DOWNLOAD, development
from omegaconf import OmegaConf
from support import SMALL_SIMULATION

from anomalous_sound import datasets

BASE = "conf/base/globals.yml"


@pytest.mark.parametrize("name", datasets.__all__)
def test_example(name, tmp_path, dcase_folder, file_server, pytestconfig):
    configured = OmegaConf.to_container(OmegaConf.load(pytestconfig.rootpath / BASE))
    part = {
        "record": None,
        "url": file_server.url,
        "licence": "CC BY-NC-SA 4.0",
        "citation": "Koizumi et al.",
        "files": {"slider": file_server.add("dev_data_slider.zip", development("slider"))},
    }
    examples = doctest.DocTestFinder(recurse=False).find(
        getattr(datasets, name),
        globs={
            "tmp_path": tmp_path,
            "audio_dir": str(dcase_folder),
            "simulation": configured["simulation"] | SMALL_SIMULATION,
            "archives": {"development": part},
            "download": DOWNLOAD,
        },
    )
    assert examples[0].examples
    assert doctest.DocTestRunner().run(examples[0]).failed == 0
