"""The notebooks are committed without outputs, and run from top to bottom in a project."""

import re
import shutil

import nbformat
import pytest
from nbclient import NotebookClient
from support import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture
def execute():
    """Execute a copy of a notebook where it lies in a project."""

    def run(project, name):
        shutil.copytree(REPOSITORY / "notebooks", project.path / "notebooks", dirs_exist_ok=True)
        notebook = nbformat.read(project.path / "notebooks" / name, as_version=4)
        place = {"metadata": {"path": project.path / "notebooks"}}
        return NotebookClient(notebook, timeout=300, resources=place).execute()

    return run


def shown(notebook, mime_type):
    """Return what the cells show in one form, one text an output."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    forms = [output.get("data", {}) for output in outputs]
    return [data[mime_type] for data in forms if mime_type in data]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_holds_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.slow
def test_the_sounds_are_shown_and_played(project, execute):
    project.run("explore")
    notebook = execute(project, "01_explore_sounds.ipynb")
    assert len(shown(notebook, "image/png")) == 4
    words = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown(notebook, "text/plain")))  # colours
    assert "simulated=True" in words
    pages = "\n".join(shown(notebook, "text/html"))
    assert "rms_median_dbfs" in pages
    assert "test/anomaly_id_00_00000000.wav" in pages
    assert "<audio" in pages


@pytest.mark.slow
def test_the_models_are_compared(compared_run, execute):
    notebook = execute(compared_run, "02_compare_models.ipynb")
    assert len(shown(notebook, "image/png")) == 5
    words = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown(notebook, "text/plain")))  # colours
    assert "simulated=True" in words
    tables = "\n".join(shown(notebook, "text/html"))
    assert "persistence" in tables
    assert "oracle_nearest_corner" in tables
    assert "Does training pay?" in "\n".join(shown(notebook, "text/markdown"))
