"""Whether a run of a campaign has been finished before: by what it wrote, not by a mark."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.evaluation.run_result import what_differs


def why_not_finished(method: str, pipeline: Pipeline, catalog: CatalogProtocol) -> str:
    """Say why a run has to be made; empty if it is finished.

    It is if its result was made as it would be now, from the recordings that are there now, and all
    that comes after its first step was written since then. Recordings that are no longer there are
    taken to be the same.

    Args:
        method: its name.
        pipeline: of the method.
        catalog: of the run.
    """
    result = _result(catalog.get(f"{method}.result"))
    if result is None:
        return "it has not been run to its end"
    wanted = describe_run(method, pipeline, catalog)
    if differs := what_differs(result.get("run", {}), wanted):
        return f"it was run {differs}"
    if not _is_whole(method, pipeline, catalog):
        return "it was interrupted before its end"
    if catalog.get("raw_audio").exists():
        summary = summary_of_corpus(pipeline, catalog)
        if summary.fingerprint != result["corpus"]["fingerprint"]:
            return "it was run on other recordings"
    return ""


def describe_run(method: str, pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, Any]:
    """Describe how a run would be made; see :func:`.run_result.describe`."""
    described: dict[str, Any] = _run(pipeline, catalog, "describe_run")[f"{method}.run_description"]
    return described


def summary_of_corpus(pipeline: Pipeline, catalog: CatalogProtocol) -> CorpusSummary:
    """Sum up the clips that a run would be on; they are decoded, and nothing is written."""
    summary: CorpusSummary = _run(pipeline, catalog, "check_clips")["corpus_summary"]
    return summary


def _result(dataset: Any) -> dict[str, Any] | None:
    if not dataset.exists():
        return None
    try:
        return dict(dataset.load())
    except Exception:  # a file that cannot be read is none: the run makes it anew
        return None


def _run(pipeline: Pipeline, catalog: CatalogProtocol, name: str) -> dict[str, Any]:
    """Compute what a node would, and write nothing."""
    (node,) = (node for node in pipeline.nodes if node.name.rpartition(".")[2] == name)
    disabled = logging.root.manager.disable
    logging.disable(logging.INFO)  # the run itself says it
    try:
        return dict(node.run({one: catalog.get(one).load() for one in node.inputs}))
    finally:
        logging.disable(disabled)


def _is_whole(method: str, pipeline: Pipeline, catalog: CatalogProtocol) -> bool:
    """Whether all that the method writes is there, and was written by one run."""
    # the first of its nodes: it waits for no other
    begun = _newest(_path(catalog.get(f"{method}.run_description")))
    for name in pipeline.all_outputs():
        if name.startswith(f"{method}."):
            path = _path(catalog.get(name))
            if path is not None and not 0 < begun <= _newest(path):
                return False
    return True


def _path(dataset: Any) -> Path | None:
    described = dataset._describe()
    place = described.get("filepath") or described.get("path")
    return None if place is None else Path(place)


def _newest(path: Path) -> int:
    """When a file was written, or the last one in a folder, ns; 0: it is not there."""
    files = path.rglob("*") if path.is_dir() else [path] if path.exists() else []
    return max((file.stat().st_mtime_ns for file in files), default=0)
