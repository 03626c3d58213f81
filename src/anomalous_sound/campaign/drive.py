"""Run a campaign: each run in turn, those that fail told at the end, then the table of all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession

from anomalous_sound import interruption
from anomalous_sound.campaign.finished import why_not_finished
from anomalous_sound.campaign.plan import Child, Plan, make_plan, of_one_run
from anomalous_sound.campaign.record import CampaignRecord
from anomalous_sound.errors import InputError, input_error_behind
from anomalous_sound.methods.discovery import methods
from anomalous_sound.tracking.nesting import placed

logger = logging.getLogger(__name__)

COMPARE, TABLE = "compare", "results"
RunKedro = Callable[..., Any]


def run_campaign(run_kedro: RunKedro, options: Mapping[str, Any]) -> None:
    """Run all that a command asks for which is not finished yet.

    Args:
        run_kedro: runs one pipeline; it takes the options of ``kedro run``.
        options: of the command; ``params`` ask for a campaign.

    Raises:
        InputError: what is asked for is not there, or some of it failed: each with its reason.
    """
    names = options["pipelines"] or ["__default__"]
    params = options["params"]
    env, place = options["env"], options["conf_source"]
    with KedroSession.create(
        env=env, conf_source=place, runtime_params=of_one_run(params)
    ) as session:
        context = session.load_context()
        method = _method(names)
        plan = make_plan(params, context.params, context.config_loader["globals"])
        record = None if method == COMPARE else begin_record(context, plan, method, env)
    if record is None:
        _run_table(run_kedro, options, plan)
        return
    status = "FAILED"
    try:
        failed = run_children(run_kedro, options, plan, method, record)
        if len(failed) < len(plan.children):
            with placed(record.itself()):
                _run_table(run_kedro, options, plan)
        status = "FAILED" if failed else "FINISHED"
    except KeyboardInterrupt:
        interruption.ignore_further()
        status = "KILLED"
        raise
    finally:
        record.end(status)
    if failed:
        told = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise InputError(
            f"{len(failed)} of {len(plan.children)} runs failed. {told} The same command runs them "
            "again, and none of the others."
        )


def _method(names: list[str]) -> str:
    """Return the one method that is trained, or ``compare``."""
    own = [*methods(), COMPARE]
    name = names[0]
    if name == "__default__":
        name = next(one for one in methods() if pipelines[one].nodes == pipelines[name].nodes)
    if len(names) > 1 or name not in own:
        raise InputError(
            f"several machine types or seeds are run of one method, or joined by compare; "
            f"{', '.join(names)} takes one machine type at a time, and no seeds. Give one of "
            f"{', '.join(own)}."
        )
    return name


def begin_record(context: KedroContext, plan: Plan, method: str, env: str | None) -> CampaignRecord:
    """Begin the run that those of a plan stand below in MLflow."""
    seeds = sorted({child.seed for child in plan.children})
    tags = {
        "mlflow.runName": f"{plan.name} {method}",
        "campaign": plan.name,
        "method": method,
        "profile": context.params["profile"],
        "runs": ", ".join(child.name for child in plan.children),
        "seeds": ", ".join(map(str, seeds)),
    }
    return CampaignRecord(context, tags, method=method, env=env, name=plan.name)


def run_children(
    run_kedro: RunKedro,
    options: Mapping[str, Any],
    plan: Plan,
    method: str,
    record: CampaignRecord,
    *,
    again: bool = False,
) -> dict[str, str]:
    """Run those that are not finished, or all again; return the reasons of those that fail."""
    failed: dict[str, str] = {}
    for number, child in enumerate(plan.children, start=1):
        called = f"{child.name} ({number} of {len(plan.children)})"
        try:
            reason = "again" if again else _why_not_finished(options, child, method)
            if not reason:
                logger.info("%s: finished before.", called)
                continue
            logger.info("%s: %s.", called, reason)
            with placed(record.child()):
                run_kedro(**options | {"pipelines": [method], "params": dict(child.params)})
        except Exception as error:
            mistake = input_error_behind(error)
            if mistake is None:
                logger.exception("%s failed; the campaign goes on.", called)
                failed[child.name] = f"{type(error).__name__}: {error}."
            else:
                logger.error("%s failed; the campaign goes on: %s", called, mistake)
                failed[child.name] = str(mistake)
    return failed


def _why_not_finished(options: Mapping[str, Any], child: Child, method: str) -> str:
    with KedroSession.create(
        env=options["env"], conf_source=options["conf_source"], runtime_params=dict(child.params)
    ) as session:
        return why_not_finished(method, pipelines[method], session.load_context().catalog)


def _run_table(run_kedro: RunKedro, options: Mapping[str, Any], plan: Plan) -> None:
    """Join the results of the campaign's runs, of all methods."""
    shared = of_one_run(options["params"])
    group = shared.get("detector")
    detector = group if isinstance(group, dict) else {}
    names = [child.name for child in plan.children]
    params = shared | {
        "detector": detector | {"name": plan.name},
        "campaign": {"names": names},
    }
    run_kedro(**options | {"pipelines": [TABLE], "params": params})
