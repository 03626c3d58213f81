"""A store that fails in the middle of a run."""

from __future__ import annotations

import mlflow
import pytest


def artifacts_fail(patch: pytest.MonkeyPatch, *, at: int, error: OSError) -> list[str]:
    """Let MLflow fail with one artifact, and log those before and after it.

    Args:
        patch: what takes it back.
        at: which artifact fails, counted from 1.
        error: how.

    Returns:
        What MLflow is given from now on, the artifact that fails included.
    """
    whole, given = mlflow.log_artifact, []

    def log_artifact(path, *arguments):
        given.append(path)
        if len(given) == at:
            raise error
        whole(path, *arguments)

    patch.setattr(mlflow, "log_artifact", log_artifact)
    return given
