"""Ask an advisory database about every package that is installed because the project needs it.

    make audit

It fails if a hole is known, and also if the database says nothing of a package: an audit that was
answered by nobody is none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from constraints.lock import FOLDER, declared, needed, text

_ASK = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json"]


def report(answer: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Read an answer of pip-audit.

    Args:
        answer: its report, as JSON.

    Returns:
        Lines to print, and whether every package was looked up and none has a known hole.
    """
    packages = answer["dependencies"]
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}"
        + (f", mended in {' or '.join(mended)}" if (mended := hole["fix_versions"]) else "")
        for one in packages
        for hole in one.get("vulns", [])
    ]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    lines = [f"{len(packages) - len(skipped)} packages looked up, {len(holes)} known holes", *holes]
    if skipped:
        lines.append(f"Not looked up, so nothing is known of them: {', '.join(skipped)}")
    return lines, bool(packages) and not holes and not skipped


def main() -> None:
    """Ask about what is installed.

    Raises:
        SystemExit: a hole is known, or not every package was looked up.
    """
    versions = needed(declared(FOLDER.parent / "pyproject.toml"))
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "installed.txt"
        wanted.write_text(text(versions), encoding="utf-8")
        asked = subprocess.run([*_ASK, "-r", str(wanted)], capture_output=True, text=True)
    try:
        answer = json.loads(asked.stdout)
    except ValueError:
        said = asked.stderr.strip().splitlines() or ["pip-audit said nothing"]
        raise SystemExit(f"Error: no audit: {said[-1]}") from None
    lines, is_clean = report(answer)
    print("\n".join(lines))
    raise SystemExit(0 if is_clean else 1)


if __name__ == "__main__":
    main()
