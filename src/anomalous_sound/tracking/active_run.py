"""The active run of MLflow, which it keeps for each thread by itself."""

from __future__ import annotations

import logging
import os

import mlflow
from mlflow.environment_variables import MLFLOW_RUN_ID

logger = logging.getLogger(__name__)


class NamedRun:
    """Names a run to nodes that call MLflow by themselves, in whatever thread.

    Where a server keeps the record, only the thread that waits for it has entered the run. A node
    that logs something then enters it by its name, which MLflow takes from the environment.
    """

    def __init__(self, run_id: str) -> None:
        """Name it."""
        self._before = os.environ.get(MLFLOW_RUN_ID.name)
        self._is_entered = mlflow.active_run() is not None
        os.environ[MLFLOW_RUN_ID.name] = run_id

    def forget(self) -> None:
        """Leave the run, if this thread has entered it since, and take its name back."""
        if not self._is_entered:
            leave_runs("FINISHED")
        if self._before is None:
            os.environ.pop(MLFLOW_RUN_ID.name, None)
        else:
            os.environ[MLFLOW_RUN_ID.name] = self._before


def leave_runs(status: str) -> None:
    """End all active runs of this thread, as far as MLflow can be reached."""
    while mlflow.active_run():
        try:
            mlflow.end_run(status)
        except Exception as error:  # the run is left all the same
            logger.debug("MLflow could not end a run: %s", error)
