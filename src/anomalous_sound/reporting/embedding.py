"""Pictures and sound inside a page, as data URIs: a page of one file fetches nothing."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Literal

import numpy as np

_SUBTYPES = {"flac": "PCM_16", "ogg": "VORBIS"}
_COLOURS = 64  # fewer make a smaller file, and the eye sees no more


def data_uri(content: bytes, media_type: str) -> str:
    """Return a URI that holds its content."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def audio_uri(samples: np.ndarray, sample_rate: int, form: Literal["flac", "ogg"]) -> str:
    """Encode mono samples, full scale ±1."""
    import soundfile

    file = BytesIO()
    soundfile.write(file, samples, sample_rate, format=form.upper(), subtype=_SUBTYPES[form])
    return data_uri(file.getvalue(), f"audio/{form}")


def map_uri(values: np.ndarray, *, lowest: float, highest: float, colours: str) -> str:
    """Draw a map, time × mel bands, as a PNG of one pixel a value, low bands below.

    Args:
        values: rows are columns of the picture.
        lowest: the value of the first colour; those below have it too.
        highest: the value of the last colour; those above have it too.
        colours: name of a matplotlib colour map.
    """
    from matplotlib import colormaps
    from PIL import Image

    scaled = (values.T[::-1] - lowest) / (highest - lowest)
    picture = Image.fromarray((np.clip(scaled, 0, 1) * (_COLOURS - 1)).round().astype(np.uint8))
    palette = colormaps[colours](np.linspace(0, 1, _COLOURS), bytes=True)[:, :3]
    picture.putpalette(palette.tobytes())
    file = BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return data_uri(file.getvalue(), "image/png")
