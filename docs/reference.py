"""Write the reference: a MkDocs hook that makes a page for each room of the package.

The rooms are found, not listed; those that only wire Kedro are left out.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PACKAGE = Path(__file__).parents[1] / "src" / "anomalous_sound"
KEDRO_ROOMS = {"datasets", "pipelines"}
# Sphinx's roles, which docstrings use, as they come out of Markdown
_ROLE = re.compile(r":(?:func|class|meth|mod|attr|data):<code>[~.]?([^<]*)</code>")


def rooms() -> list[str]:
    """Return the packages that have a page, by name."""
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    return sorted(folders - KEDRO_ROOMS)


def modules(room: str) -> list[str]:
    """Return the modules of a room that define something, with their dotted names."""
    names = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        defines = ast.parse(path.read_text(encoding="utf-8")).body[1:]
        if path.name == "__init__.py" and not any(
            isinstance(part, ast.ClassDef | ast.FunctionDef | ast.Assign) for part in defines
        ):
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(part for part in parts if part != "__init__"))
    return names


def page(room: str) -> str:
    """Write the page of a room."""
    docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8")))
    parts = [f"# {room}", docstring or "", *(f"::: {name}" for name in modules(room))]
    return "\n\n".join(parts) + "\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation (called by MkDocs)."""
    pages = [{room: f"reference/{room}.md"} for room in rooms()]
    config.nav = [*(config.nav or []), {"Reference": pages}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference (called by MkDocs)."""
    from mkdocs.structure.files import File

    for room in rooms():
        files.append(File.generated(config, f"reference/{room}.md", content=page(room)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Take Sphinx's roles off the names in docstrings (called by MkDocs)."""
    return _ROLE.sub(r"<code>\1</code>", html)
