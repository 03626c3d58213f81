"""Render the pages from the templates in ``templates/``: Markdown, and HTML."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomalous_sound.reporting.facts import (
    corpus_title,
    machine_id_name,
    machine_id_names,
    strategy_name,
)

if TYPE_CHECKING:
    from jinja2 import Environment

MISSING = "–"

_ABBREVIATIONS = {"auc": "AUC", "pauc": "pAUC", "fpr": "FPR", "tpr": "TPR", "id": "ID", "f1": "F1"}


def render(template: str, **facts: Any) -> str:
    """Render a page.

    Args:
        template: file name in ``templates/``.
        **facts: what the template names; a name that it does not find is an error.

    Returns:
        Markdown that ends in one newline; several blank lines become one.

    Raises:
        jinja2.UndefinedError: a fact is missing.
    """
    text = _environment(html=False).get_template(template).render(facts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def render_html(template: str, **facts: Any) -> str:
    """Render a page in HTML; what facts hold is text, whatever characters are in it.

    Args:
        template: file name in ``templates/``.
        **facts: what the template names; a name that it does not find is an error.

    Raises:
        jinja2.UndefinedError: a fact is missing.
    """
    return _environment(html=True).get_template(template).render(facts)


def markdown_table(frame: pd.DataFrame, *, has_names: bool = False) -> str:
    """Write a table in Markdown, with a dash for each missing value.

    Args:
        frame: the table.
        has_names: whether columns are called by names, such as ``lstm_dense``, which are kept.
    """
    heading = _text if has_names else _heading
    header = [heading(str(name)) for name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with a fixed count of decimals, or a dash if it is missing."""
    return MISSING if _is_missing(value) else f"{value:.{digits}f}"


@lru_cache
def _environment(*, html: bool) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # nosec B701  # off for Markdown alone, which `_cell` escapes
        loader=PackageLoader("anomalous_sound.reporting"),
        undefined=StrictUndefined,
        autoescape=html,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    as_text = _as_itself if html else _as_text  # in HTML, jinja2 escapes what is inserted
    filters: dict[str, Callable[..., str]] = {
        "corpus_title": as_text(corpus_title),
        "machine_id": as_text(machine_id_name),
        "machine_ids": as_text(machine_id_names),
        "cell": _cell_as_it_is if html else _cell,
        "heading": _heading,
        "number": number,
        "percent": lambda value: f"{value:.0%}",
        "short": lambda value: f"{value:.4g}",
        "strategy": strategy_name,
        "table": markdown_table,
        "text": str if html else _text,
    }
    environment.filters |= filters
    return environment


def _heading(column: str) -> str:
    return " ".join(_ABBREVIATIONS.get(word, word) for word in column.split("_"))


def _cell(value: Any) -> str:
    return _text(_cell_as_it_is(value)).replace("|", "\\|")


def _cell_as_it_is(value: Any) -> str:
    if _is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _as_itself(name: Callable[[Any], str]) -> Callable[[Any], str]:
    return name


def _as_text(name: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda named: _text(name(named))


def _text(value: Any) -> str:
    """Write a text that a user has named something by: one line, without HTML or links."""
    line = re.sub(r"[\r\n]+", " ", str(value))
    return line.replace("<", "&lt;").replace("](", "]\\(")


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(pd.isna(value)))
