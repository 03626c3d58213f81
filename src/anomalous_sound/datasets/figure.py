"""``FigureDataset`` keeps a figure as a PNG file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview

from anomalous_sound.storage.seal import check_seal, sealed_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FigureDataset(AbstractDataset["Figure", bytes]):
    """``FigureDataset`` saves a matplotlib figure as PNG, and loads as the file's bytes.

    Unlike kedro-datasets' ``MatplotlibDataset`` it writes the file whole or not at all, and does
    not import matplotlib when the catalog is read, but leaves that to the one who draws.

    Example usage for the YAML API:

    ```yaml
    "{model}.{kind}_figure":
      type: anomalous_sound.datasets.FigureDataset
      filepath: data/08_reporting/press_3/{model}/{kind}_figure.png
      dpi: 130
    ```

    Example usage for the Python API:

    ```pycon
    >>> from matplotlib.figure import Figure
    >>> from anomalous_sound.datasets import FigureDataset
    >>> dataset = FigureDataset(filepath=tmp_path / "roc_figure.png", dpi=100)
    >>> dataset.save(Figure())
    >>> dataset.load()[1:4]
    b'PNG'

    ```
    """

    def __init__(
        self, *, filepath: str, dpi: float, metadata: dict[str, Any] | None = None
    ) -> None:
        """Create the dataset.

        Args:
            filepath: the PNG file.
            dpi: pixels per inch.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self._dpi = dpi
        self.metadata = metadata

    def load(self) -> bytes:
        """Return the PNG file's bytes.

        Raises:
            InputError: it is not as it was written.
        """
        check_seal(self._filepath)
        return self._filepath.read_bytes()

    def save(self, data: Figure) -> None:
        """Draw the figure into the file; a dollar sign in a clip's name begins no formula."""
        from matplotlib.text import Text

        for text in data.findobj(Text):
            # matplotlib's own formulas are those of logarithmic axes
            if "$" in text.get_text() and r"\mathdefault" not in text.get_text():
                text.set_parse_math(False)
        with sealed_path(self._filepath) as incomplete:
            data.savefig(incomplete, format="png", dpi=self._dpi)

    def preview(self) -> ImagePreview:
        """Return the picture for kedro-viz, in base64."""
        return ImagePreview(base64.b64encode(self.load()).decode("ascii"))

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "dpi": self._dpi}
