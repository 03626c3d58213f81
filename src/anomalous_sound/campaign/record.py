"""What MLflow holds of a campaign: a run of its own, with a run for each machine type and seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.context import KedroContext

from anomalous_sound.configuration.runs import RunSettings
from anomalous_sound.storage.identity import identity
from anomalous_sound.storage.locks import LivingRuns
from anomalous_sound.tracking.guard import TrackingGuard
from anomalous_sound.tracking.nesting import Place
from anomalous_sound.tracking.store import prepare_store

_IDENTITY = "campaign_identity"


class CampaignRecord:
    """The run that those of a campaign stand below.

    A campaign that is continued goes on with the run that it began. Without MLflow, there is none,
    and the campaign goes on.
    """

    def __init__(self, context: KedroContext, tags: Mapping[str, str], **made: Any) -> None:
        """Begin it, or go on with it.

        Args:
            context: of the project.
            tags: of the run.
            **made: what it is known again by.
        """
        self._run_id: str | None = None
        runs = RunSettings.of(context.config_loader["globals"])
        uri = mlflow.get_tracking_uri()
        self._guard = TrackingGuard(uri, patience_s=runs.mlflow_patience_s)
        self._living = LivingRuns(Path(context.project_path) / runs.locks)
        known = {_IDENTITY: identity(**made), **tags}
        self._guard.attempt("the campaign", lambda: self._begin(context, known, runs))

    def _begin(self, context: KedroContext, tags: Mapping[str, str], runs: RunSettings) -> None:
        prepare_store(mlflow.get_tracking_uri(), runs.mlflow_timeout_s)
        context.mlflow.setup(context)
        experiment = context.mlflow.tracking.experiment._experiment.experiment_id
        client = mlflow.MlflowClient()
        found = client.search_runs([experiment], f"tags.{_IDENTITY} = '{tags[_IDENTITY]}'")
        run_id = (found[0] if found else client.create_run(experiment)).info.run_id
        for name, value in tags.items():
            client.set_tag(run_id, name, value)
        client.update_run(run_id, status="RUNNING")
        self._living.begin(run_id)
        self._run_id = run_id

    def child(self) -> Place | None:
        """Return the place of a run of the campaign."""
        return None if self._run_id is None else Place(self._run_id)

    def itself(self) -> Place | None:
        """Return the place of what is recorded in the campaign's own run."""
        return None if self._run_id is None else Place(self._run_id, continues=True)

    def end(self, status: str) -> None:
        """End it: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if self._run_id is not None:
            run_id = self._run_id
            self._guard.attempt(
                "the end of the campaign",
                lambda: mlflow.MlflowClient().set_terminated(run_id, status),
            )
            self._living.end(run_id)
        self._guard.close()
        self._guard.report()
