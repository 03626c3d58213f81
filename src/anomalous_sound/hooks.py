"""What happens around a run: parameters are checked, and MLflow learns what was run on what."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
from kedro_mlflow.framework.hooks.utils import _assert_mlflow_enabled, _flatten_dict
from mlflow.tracking.context.default_context import DefaultRunContext
from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

from anomalous_sound.compute.memory import nothing_to_collect
from anomalous_sound.errors import InputError
from anomalous_sound.parameters import parse_parameters

logger = logging.getLogger(__name__)


class ParameterHooks:
    """Stop before the first node if a parameter is unknown or not accepted."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Parse all parameters, those of ``--params`` included, and pass them on as types."""
        context.config_loader["parameters"] = dict(
            parse_parameters(context.config_loader["parameters"])
        )


class TrackingHooks(MlflowHook):
    """kedro-mlflow's tracking, with what it leaves out.

    The namespace is stripped from the names of parameters, so that two methods line up in MLflow's
    comparison, and the git revision, the environment and the corpus are recorded. The store is
    opened when a run begins, not by every command.
    """

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Place the store in the project wherever the command is given; nothing is opened."""
        self._context = context
        self._project_path = Path(context.project_path)
        loader = context.config_loader
        loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
        server = {**loader["mlflow"]["server"]}
        server["mlflow_tracking_uri"] = _in_project(
            server["mlflow_tracking_uri"], self._project_path
        )
        loader["mlflow"] = {**loader["mlflow"], "server": server}
        # for ``kedro mlflow ui`` and notebooks
        context.__setattr__("mlflow", KedroMlflowConfig.model_validate(loader["mlflow"]))
        mlflow.set_tracking_uri(server["mlflow_tracking_uri"])

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Start the MLflow run; record revision, environment and all parameters."""
        self._namespaces = {node.namespace for node in pipeline.nodes if node.namespace}
        try:
            with nothing_to_collect():  # MLflow imports what opens its store
                super().after_context_created(self._context)
        except Exception as error:
            store = self._context.config_loader["mlflow"]["server"]["mlflow_tracking_uri"]
            raise InputError(
                f"MLflow cannot use {store}: {str(error).splitlines()[0]}. If the store is "
                "damaged, move it away, and a new one is made."
            ) from error
        self._create_run(run_params["pipeline_names"] or ["__default__"])
        super().before_pipeline_run(run_params, pipeline, catalog)
        if self._is_mlflow_enabled:
            mlflow.set_tags(git_revision(self._project_path))
            mlflow.log_dict(environment(), "environment.json")
            parameters = {}
            for name in pipeline.inputs():
                if name.startswith("params:"):
                    parameters[name.removeprefix("params:")] = catalog.get(name).load()
            self._log_params(_flatten_dict(parameters, True, "."))

    def _create_run(self, pipeline_names: list[str]) -> None:
        """Create the run that kedro-mlflow then starts.

        Started without one, MLflow asks whether this is a notebook or a cluster's job, and imports
        half a second of libraries to find out.
        """
        tracking = self.mlflow_config.tracking
        given = self._already_active_mlflow or tracking.run.id or os.environ.get("MLFLOW_RUN_ID")
        if given or not _assert_mlflow_enabled(pipeline_names, self.mlflow_config):
            return
        run = mlflow.MlflowClient().create_run(
            tracking.experiment._experiment.experiment_id,
            run_name=tracking.run.name or "+".join(pipeline_names),
            tags=DefaultRunContext().tags(),
        )
        tracking.run.id = run.info.run_id

    @hook_impl
    def before_node_run(self) -> None:
        """Nothing: the parameters of all nodes are recorded when the run begins."""

    @hook_impl
    def after_node_run(self) -> None:
        """Enter the MLflow run before what the node returned is saved and recorded."""
        self._enter()

    def _enter(self) -> None:
        """Make the run this thread's active one, for to MLflow every thread has its own."""
        if self._is_mlflow_enabled and not mlflow.active_run():
            mlflow.start_run(run_id=self.run_id)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Record which corpus the run is about, and on what its network was trained."""
        if dataset_name.endswith(".network") and self._is_mlflow_enabled:
            trained_on = data.settings["trained_on"]
            mlflow.set_tags({f"trained_{name}": value for name, value in trained_on.items()})
        if dataset_name in ("corpus_summary", "score.corpus_summary") and self._is_mlflow_enabled:
            tags = {
                "corpus": data["name"],
                "corpus_fingerprint": data["fingerprint"],
                "simulated": str(data["simulated"]).lower(),
                "machine_type": data["machine_type"],
                "machine_ids": ", ".join(data["machine_ids"]),
            }
            mlflow.set_tags(tags)

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """End the MLflow run."""
        self._enter()
        super().after_pipeline_run(run_params, pipeline, catalog)

    @hook_impl
    def on_pipeline_error(
        self,
        error: Exception,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol,
    ) -> None:
        """Mark the MLflow run as failed."""
        self._enter()
        super().on_pipeline_error(error, run_params, pipeline, catalog)

    def stop(self) -> None:
        """Mark the MLflow run as stopped by the user."""
        while mlflow.active_run():
            mlflow.end_run("KILLED")

    def _log_params(self, parameters: dict[str, Any]) -> None:
        """Record all parameters at once: each one alone would be a transaction of the store."""
        short = {}
        for name, value in parameters.items():
            namespace, _, rest = name.partition(".")
            key = rest if namespace in self._namespaces else name
            if len(str(value)) <= MAX_PARAM_VAL_LENGTH:
                short[key] = value
            else:
                self._log_param(key, value)
        mlflow.log_params(short)


class SummaryHooks:
    """End a run with where to look."""

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log the place of each report that the run wrote."""
        for name in sorted(pipeline.all_outputs()):
            if name.endswith(".report"):
                filepath = Path(catalog.get(name)._describe()["filepath"])
                logger.info("Report: %s", _short(filepath))
                logger.info("Runs side by side: kedro mlflow ui")


def git_revision(folder: Path) -> dict[str, str]:
    """Return the revision of the code and whether it has uncommitted changes, as MLflow tags."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        revision = git("rev-parse", "HEAD")
        changed = bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return {"git_revision": "unknown: not a git checkout"}
    return {"git_revision": revision, "git_uncommitted_changes": str(changed).lower()}


def environment() -> dict[str, Any]:
    """Return Python, platform and the version of every installed package."""
    # the folders' names tell; importlib.metadata would parse a file for each package
    places = [Path(place) for place in reversed(sys.path)]
    found = [folder.stem.split("-")[:2] for place in places for folder in place.glob("*.dist-info")]
    packages = {name.lower().replace("_", "-"): version for name, version in found}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": dict(sorted(packages.items())),
    }


def _in_project(uri: str, project_path: Path) -> str:
    """Make the path of a sqlite store absolute; MLflow would take it from the working directory."""
    scheme, separator, path = uri.partition("sqlite:///")
    if scheme or not separator or Path(path).is_absolute():
        return uri
    return f"sqlite:///{(project_path / path).as_posix()}"


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
