"""Make a table of results again: the same runs, the same table, and how far the figures are apart.

What is run again has names of its own, so what the table was made of stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from anomalous_sound import interruption
from anomalous_sound.campaign.drive import TABLE, RunKedro, begin_record, run_children
from anomalous_sound.campaign.finished import describe_run, summary_of_corpus
from anomalous_sound.campaign.plan import Child, Plan
from anomalous_sound.campaign.rerun import child_of, params_of_table, reproduced_name
from anomalous_sound.campaign.side_by_side import (
    OTHER,
    other_clips,
    read_table,
    run_lines,
    table_lines,
)
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation import run_result
from anomalous_sound.evaluation.reproduction import beyond, figures_apart
from anomalous_sound.provenance.software import software, what_differs
from anomalous_sound.provenance.table import TableProvenance, TableRun, find_table

Say = Callable[[str], None]
_Children = list[tuple[TableRun, Child]]


def reproduce(
    run_kedro: RunKedro,
    options: Mapping[str, Any],
    place: Path,
    *,
    audio_dir: Path | None,
    again: bool,
    tolerance: float,
    say: Say,
) -> bool:
    """Make a table again, and compare its figures with the published ones.

    Args:
        run_kedro: runs one pipeline; it takes the options of ``kedro run``.
        options: of ``kedro run``, as they are where none is given.
        place: the table, or its folder.
        audio_dir: the recordings, where the table is of a user's own.
        again: whether to run again what this command has finished before.
        tolerance: largest difference of a figure that is accepted.
        say: tells the user a line.

    Returns:
        Whether all figures are within the tolerance.

    Raises:
        InputError: what is needed is not there, or a run failed.
    """
    table = find_table(place)
    published = read_table(table)
    made = TableProvenance.beside(table)
    if made.not_recorded or not made.runs:
        raise InputError(
            f"{table}: how {'; '.join(made.not_recorded) or 'it'} was made is not recorded, since "
            "an earlier version has run it. Remove its result.json, and give the command of the "
            "campaign again."
        )
    children = [(run, child_of(run, audio_dir)) for run in made.runs]
    say(f"{made.title}: {len(children)} runs are made again.")
    for line in _what_is_other(children, options):
        say(f"{OTHER} {line}.")
    _run_all(run_kedro, options, made, children, again=again)
    params = params_of_table(made, [child.name for _, child in children])
    of_table = {**options, "env": made.runs[0].origin.environment}
    run_kedro(**of_table | {"pipelines": [TABLE], "params": params})
    with _session(of_table, params) as session:
        catalog = session.load_context().catalog
        found = Path(catalog.get(f"{TABLE}.table")._describe()["filepath"])
    apart = figures_apart(published, read_table(found))
    outside = beyond(apart, tolerance)
    for line in (*table_lines(apart, outside), *run_lines(made, TableProvenance.beside(found))):
        say(line)
    bound = f" by more than {tolerance:g}" if tolerance else ""
    say(
        f"Reproduced: none of {len(apart)} figures differs{bound}."
        if outside.empty
        else f"Not reproduced: {len(outside)} of {len(apart)} figures differ{bound}."
    )
    say(f"The table made again: {found}")
    return outside.empty


def _what_is_other(children: _Children, options: Mapping[str, Any]) -> Iterator[str]:
    """Say what is other here than where the table was made: software, settings, clips."""
    said: list[str] = []
    clips: list[str] = []
    looked_at = set()  # seeds and methods have the same clips
    for run, child in children:
        with _session({**options, "env": run.origin.environment}, child.params) as session:
            context = session.load_context()
            said += what_differs(run.origin.software, software(Path(context.project_path)))
            catalog, pipeline = context.catalog, pipelines[run.method]
            here = describe_run(run.method, pipeline, catalog)
            if differs := run_result.what_differs(here, run.made):
                said.append(f"{run.method}: it is run {differs}")
            if (run.machine_type, run.corpus.fingerprint) not in looked_at:
                looked_at.add((run.machine_type, run.corpus.fingerprint))
                clips.append(_clips_here(run, context))
    yield from dict.fromkeys(line for line in (*said, *clips) if line)


def _clips_here(run: TableRun, context: KedroContext) -> str:
    catalog = context.catalog
    if not catalog.get("raw_audio").exists():
        return f"{run.corpus.name}: its clips are not here yet, and are compared when they are"
    summary = summary_of_corpus(pipelines[run.method], catalog)
    return other_clips(run, summary.fingerprint, summary.clips_used)


def _run_all(
    run_kedro: RunKedro,
    options: Mapping[str, Any],
    made: TableProvenance,
    children: _Children,
    *,
    again: bool,
) -> None:
    """Run what is not finished, method by method.

    Raises:
        InputError: some of it failed: each with its reason.
    """
    groups: dict[tuple[str, str | None], list[Child]] = {}
    for run, child in children:
        groups.setdefault((run.method, run.origin.environment), []).append(child)
    failed: dict[str, str] = {}
    for (method, env), own in groups.items():
        plan = Plan(reproduced_name(made.name), tuple(own), len(own))
        failed |= _run_method(run_kedro, {**options, "env": env}, plan, method, again=again)
    if failed:
        told = " ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise InputError(
            f"{len(failed)} of {len(children)} runs failed, and nothing is compared. {told} The "
            "same command runs them again, and none of the others."
        )


def _run_method(
    run_kedro: RunKedro, options: Mapping[str, Any], plan: Plan, method: str, *, again: bool
) -> dict[str, str]:
    with _session(options, plan.children[0].params) as session:
        record = begin_record(session.load_context(), plan, method, options["env"])
    status = "FAILED"
    try:
        failed = run_children(run_kedro, options, plan, method, record, again=again)
        status = "FAILED" if failed else "FINISHED"
        return failed
    except KeyboardInterrupt:
        interruption.ignore_further()
        status = "KILLED"
        raise
    finally:
        record.end(status)


def _session(options: Mapping[str, Any], params: Mapping[str, Any]) -> KedroSession:
    return KedroSession.create(
        env=options["env"], conf_source=options["conf_source"], runtime_params=dict(params)
    )
