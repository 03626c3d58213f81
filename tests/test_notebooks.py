"""The notebooks are committed without outputs, and run from top to bottom in a project."""

import shutil

import nbformat
import pytest
from nbclient import NotebookClient
from support import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture
def execute(project):
    """Execute a copy of a notebook where it lies in a project."""

    def run(name):
        shutil.copytree(REPOSITORY / "notebooks", project.path / "notebooks")
        notebook = nbformat.read(project.path / "notebooks" / name, as_version=4)
        place = {"metadata": {"path": project.path / "notebooks"}}
        return NotebookClient(notebook, timeout=300, resources=place).execute()

    return run


def shown(notebook):
    return [
        mime_type
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for mime_type in output.get("data", {})
    ]


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
    notebook = execute("01_explore_sounds.ipynb")
    assert shown(notebook).count("image/png") == 4
    texts = str([cell.get("outputs") for cell in notebook.cells])
    assert "'simulated': True" in texts
    assert "rms_median_dbfs" in texts
    assert "<audio" in texts
