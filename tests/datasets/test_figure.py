"""Figures are PNG files, written whole, that kedro-viz can show."""

import base64
import io
import subprocess
import sys

import pytest
from kedro.io import DatasetError
from matplotlib.figure import Figure
from matplotlib.image import imread

from anomalous_sound.datasets import FigureDataset


class Undrawable(Figure):
    def savefig(self, path, **options):
        path.write_bytes(b"half a pic")
        raise OSError("no room")


def test_a_figure_has_its_size_in_pixels_and_kedro_viz_shows_the_same_picture(tmp_path):
    dataset = FigureDataset(filepath=str(tmp_path / "new" / "roc.png"), dpi=50)
    assert not dataset.exists()
    dataset.save(Figure(figsize=(4, 3)))
    assert dataset.exists()
    assert imread(tmp_path / "new" / "roc.png").shape[:2] == (150, 200)
    shown = imread(io.BytesIO(base64.b64decode(dataset.preview())), format="png")
    assert shown.shape[:2] == (150, 200)


def test_a_failed_drawing_leaves_the_earlier_figure_and_nothing_else(tmp_path):
    dataset = FigureDataset(filepath=str(tmp_path / "roc.png"), dpi=50)
    dataset.save(Figure())
    earlier = dataset.load()
    with pytest.raises(DatasetError, match="no room"):
        dataset.save(Undrawable())
    assert dataset.load() == earlier
    assert {path.name for path in tmp_path.iterdir()} == {"roc.png", ".roc.png.sha256"}


def test_the_catalog_is_read_without_matplotlib():
    code = "import sys, anomalous_sound.datasets; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["$x_{$.wav", "$\\frac$", "5$ 6$", "<b>"])
def test_the_name_of_a_clip_is_no_formula(tmp_path, name):
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 1000], [1, 1000], label=name)
    axes.set(title=name, yscale="log", xlabel=name)
    axes.legend()
    figure.suptitle(name)
    dataset = FigureDataset(filepath=str(tmp_path / "a.png"), dpi=50)
    dataset.save(figure)
    assert dataset.load().startswith(b"\x89PNG")
