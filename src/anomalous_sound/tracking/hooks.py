"""Hooks around a run by which MLflow records what was run on what."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
from kedro_mlflow.io.metrics import MlflowMetricsHistoryDataset
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from pydantic import BaseModel

from anomalous_sound.configuration.runs import RunSettings
from anomalous_sound.errors import InputError
from anomalous_sound.interruption import raise_if_swallowed
from anomalous_sound.provenance.software import Software, environment, git_revision, software
from anomalous_sound.storage.locks import LivingRuns
from anomalous_sound.tracking import nesting
from anomalous_sound.tracking.active_run import NamedRun, leave_runs
from anomalous_sound.tracking.afterwards import COMMAND, Note, Notes
from anomalous_sound.tracking.entries import (
    Artifact,
    Corpus,
    Entry,
    Metrics,
    Parameters,
    RegisteredDetector,
    Tags,
    Text,
)
from anomalous_sound.tracking.guard import TrackingGuard
from anomalous_sound.tracking.page import KIND
from anomalous_sound.tracking.store import limit_waiting, prepare_store, take_credentials_out

logger = logging.getLogger(__name__)


class TrackingHooks(MlflowHook):
    """kedro-mlflow's tracking, with what it leaves out.

    All parameters are recorded when the run begins, and without the method's name, so that two
    methods line up in MLflow's comparison; so are the git revision, the environment and the corpus.
    The store is opened when a run begins, not by every command. A dataset is recorded after it was
    saved, so whatever happens to MLflow, the results are on disk; what it could not record of a run
    that ends well is noted, and recorded by `kedro mlflow catch-up`.
    """

    def __init__(self) -> None:
        """Begin with nothing to record."""
        super().__init__()
        self._guard: TrackingGuard | None = None
        self._recorded: dict[str, Any] = {}
        self._saved: dict[str, Any] = {}
        self._corpus: dict[str, Any] = {}
        self._already_active_mlflow = False
        self._named: NamedRun | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Place the store in the project, whatever the working directory; nothing is opened."""
        self._context = context
        loader = context.config_loader
        server = dict(loader["mlflow"]["server"])
        server["mlflow_tracking_uri"] = take_credentials_out(
            _in_project(server["mlflow_tracking_uri"], Path(context.project_path))
        )
        self._settings = RunSettings.of(context.config_loader["globals"])
        limit_waiting(self._settings.mlflow_timeout_s, self._settings.mlflow_retries)
        loader["mlflow"] = {**loader["mlflow"], "server": server}
        # for `kedro mlflow ui` and notebooks
        context.__setattr__("mlflow", KedroMlflowConfig.model_validate(loader["mlflow"]))
        mlflow.set_tracking_uri(server["mlflow_tracking_uri"])

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Start the MLflow run; record the revision, the environment and all parameters."""
        self.run_id = None  # that of an earlier run in this process
        self._corpus = {}
        self._already_active_mlflow = False
        self._guard = _begin_guard(self._settings.mlflow_patience_s)
        folder = Path(self._context.project_path) / self._settings.locks
        self._living = LivingRuns(folder)
        # they are saved first, and recorded in after_dataset_saved
        saved = {name: catalog.get(name) for name in sorted(pipeline.all_outputs())}
        self._recorded = {name: dataset for name, dataset in saved.items() if _is_recorded(dataset)}
        self._saved = saved
        self._set_recording(False)
        self._note = self._begin_note(run_params, pipeline, catalog)
        active = mlflow.active_run()  # of whoever has called Kedro
        self._guard.attempt("the run", lambda: self._start(active, run_params, pipeline, catalog))
        if self.run_id is None:
            self._guard.afterwards(self._give_up)
        else:
            self._named = NamedRun(self.run_id)
        self._describe_run(pipeline, catalog)

    def _start(
        self,
        active: mlflow.ActiveRun | None,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol,
    ) -> None:
        if active is not None and mlflow.active_run() is None:  # in a thread of its own
            mlflow.start_run(active.info.run_id)
        prepare_store(mlflow.get_tracking_uri(), self._settings.mlflow_timeout_s)
        place = nesting.current()
        continues = place is not None and place.continues
        if place is not None and continues:
            self._go_on_with(place.parent)
        super().after_context_created(self._context)
        run = self.mlflow_config.tracking.run
        if place is not None and continues:
            run.name = mlflow.MlflowClient().get_run(place.parent).info.run_name
        run.name = run.name or self._name(run_params, pipeline, catalog)
        super().before_pipeline_run(run_params, pipeline, catalog)
        if self.run_id is None:  # tracking is switched off for this pipeline
            return
        if place is not None and not continues:
            mlflow.set_tag(MLFLOW_PARENT_RUN_ID, place.parent)
        if not self._already_active_mlflow and not continues:
            mlflow.set_experiment_tags(KIND)
            self._living.begin(self.run_id)
        for died in self._living.died():
            client = mlflow.MlflowClient()
            if client.get_run(died).info.status == "RUNNING":
                client.set_terminated(died, "KILLED")
            self._living.end(died)

    def _give_up(self) -> None:
        """Leave the run that could not be started, but remember which it was."""
        if (begun := mlflow.active_run()) is not None:
            self._note.run_id = begun.info.run_id
        leave_runs("FAILED")

    def _begin_note(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> Note:
        place = nesting.current()
        tags = {name: str(value) for name, value in run_params.items() if value}
        note = Note(name=self._name(run_params, pipeline, catalog), tags=tags)
        if place is not None and place.continues:
            note.run_id, note.ends_run = place.parent, False
        elif place is not None:
            note.tags[MLFLOW_PARENT_RUN_ID] = place.parent
        return note

    def _go_on_with(self, run_id: str) -> None:
        """Let the run be one that was begun before."""
        loader = self._context.config_loader
        tracking = dict(loader["mlflow"]["tracking"])
        tracking["run"] = {**tracking["run"], "id": run_id}
        loader["mlflow"] = {**loader["mlflow"], "tracking": tracking}

    def _name(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> str:
        """Return what tells this run from others: detector, pipeline and seed."""
        words = [self._context.config_loader.name_of_run, *(run_params["pipeline_names"] or [])]
        if "params:seed" in pipeline.inputs():
            words.append(f"seed {catalog.load('params:seed')}")
        return " ".join(words)

    def _describe_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        if not self._is_tracked():
            return
        what = "parameters and environment"
        project = Path(self._context.project_path)
        made_with = software(project)
        detector = {"detector": self._context.config_loader.name_of_run}
        self._log(what, Tags(tags=git_revision(project) | lock_tags(made_with) | detector))
        self._log(what, Text(name="environment.json", values=environment(made_with)))
        if (place := nesting.current()) is not None and place.continues:
            return  # MLflow refuses another value of a parameter, and this may be another time
        self._log(what, Parameters(parameters=parameters_of(pipeline, catalog)))

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol, is_async: bool) -> None:
        """Enter the MLflow run in the node's thread; its parameters are recorded already."""
        raise_if_swallowed()
        if self.run_id is not None:
            start = super().before_node_run
            self._attempt("", lambda: start(node, catalog, {}, is_async))

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Record the dataset; which corpus the run is about; on what its network was trained."""
        if dataset_name in self._recorded:
            registers = dataset_name.endswith(".detector") and self._settings.register_detectors
            entry = _entry_of(
                self._recorded[dataset_name],
                data,
                registered_as=self._context.config_loader.name_of_run if registers else None,
            )
            self._log(dataset_name, entry)
        if tags := tags_of(dataset_name, data):
            self._log("tags", Tags(tags=tags))
        self._record_corpus(dataset_name, data)

    def _record_corpus(self, dataset_name: str, data: Any) -> None:
        """Record the corpus as MLflow's dataset, when its clips and its name are known."""
        part = dataset_name.split(".")[-1]
        if part in ("clips", "corpus_summary"):
            self._corpus[part] = Path(self._saved[dataset_name]._filepath), data
            if len(self._corpus) == 2:
                trains = any(name.endswith(".detector") for name in self._recorded)
                context = "training" if trains else "evaluation"
                (clips, table), (summary, facts) = (
                    self._corpus[name] for name in ("clips", "corpus_summary")
                )
                corpus = Corpus(clips=clips, summary=summary, context=context)
                self._log("the corpus", corpus.holding(table, facts))

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """End the MLflow run, and say and note what it does not hold."""
        end = super().after_pipeline_run
        of = f"{self._context.config_loader.name_of_run}.{_kind_of_run(run_params, pipeline)}"
        self._end("FINISHED", lambda: end(run_params, pipeline, catalog), of=of)

    @hook_impl
    def on_pipeline_error(
        self,
        error: Exception,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol,
    ) -> None:
        """Mark the MLflow run as failed."""
        end = super().on_pipeline_error
        self._end("FAILED", lambda: end(error, run_params, pipeline, catalog))

    def _is_tracked(self) -> bool:
        """Whether the run is tracked, or would be if MLflow worked."""
        return self._guard is not None and (self.run_id is not None or bool(self._guard.problem))

    def _attempt(self, what: str, action: Callable[[], Any]) -> None:
        """Do what a run that is tracked needs."""
        if self._is_tracked():
            self._guard.attempt(what, action)

    def _log(self, what: str, entry: Entry) -> None:
        """Log something of a run that is tracked, or note that it is to be logged."""
        self._attempt(what, entry.log)
        if self._is_tracked():
            entry.let_go()
            note = self._note.entries if self._guard.problem else self._note.recorded
            note.append(entry)

    def _end(self, status: str, end: Callable[[], Any], *, of: str | None = None) -> None:
        self._set_recording(True)
        if self._guard is None:
            return
        if self._named is not None:
            self._named.forget()
            self._named = None
        was_tracked = self._is_tracked()
        run_id, self.run_id = self.run_id, None
        if run_id is not None and not self._guard.problem:
            self.run_id = run_id  # kedro-mlflow ends it from whatever thread
            self._guard.attempt("the end of the run", end)
        if self._guard.problem and not self._already_active_mlflow:
            self._guard.afterwards(lambda: leave_runs(status))  # MLflow may be back by now
        elif run_id is not None:
            self._living.end(run_id)
        self._guard.close()
        noted = of is not None and was_tracked and self._write_note(of, run_id)
        self._guard.report(COMMAND if noted else "")

    def _write_note(self, of: str, run_id: str | None) -> bool:
        """Note what MLflow lacks of a run that has ended well; return whether it lacks anything."""
        notes = Notes(Path(self._context.project_path) / self._settings.unrecorded)
        if not self._guard.problem:
            notes.forget(of)
            return False
        self._note.run_id = run_id or self._note.run_id
        self._note.ends_run &= not self._already_active_mlflow
        try:
            notes.write(of, self._note)
        except InputError as error:
            logger.warning("What MLflow lacks is not noted: %s", error)
            return False
        return True

    def _set_recording(self, is_on: bool) -> None:
        for dataset in self._recorded.values():
            dataset._logging_activated = is_on


_guards: list[TrackingGuard] = []  # that of the last run


def _begin_guard(patience_s: float) -> TrackingGuard:
    _guards[:] = [TrackingGuard(mlflow.get_tracking_uri(), patience_s=patience_s)]
    return _guards[0]


def mark_as_killed() -> None:
    """Mark the MLflow run as stopped by the user."""
    for guard in _guards:
        guard.afterwards(lambda: leave_runs("KILLED"))


def _is_recorded(dataset: Any) -> bool:
    return hasattr(dataset, "_logging_activated")


def _entry_of(dataset: Any, data: Any, *, registered_as: str | None) -> Entry:
    """Return what MLflow records of a dataset that has been saved."""
    if isinstance(dataset, MlflowMetricsHistoryDataset):
        return Metrics.of(data, dataset._prefix)
    path = Path(dataset._filepath)
    if registered_as is not None:
        return RegisteredDetector.of(path, dataset.artifact_path, data, called=registered_as)
    return Artifact(path=path, folder=dataset.artifact_path)


def _kind_of_run(run_params: Mapping[str, Any], pipeline: Pipeline) -> str:
    """Return what a run makes: another run of the same kind replaces it."""
    parts = {name.split(".")[0] for name in pipeline.all_outputs() if "." in name}
    chosen = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs")
    in_part = ["part"] if any(run_params.get(name) for name in chosen) else []
    return "+".join([*sorted(parts), *in_part])


def parameters_of(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, str]:
    """Return the parameters that a pipeline reads, flat: ``training.epochs``, ``log_mel.n_mels``.

    The first part of a node's namespace, the method's name, is removed.
    """
    methods = {node.namespace.split(".")[0] for node in pipeline.nodes if node.namespace}
    parameters = {}
    for name in sorted(pipeline.inputs()):
        if name.startswith("params:"):
            for key, value in _flat(name.removeprefix("params:"), catalog.load(name)):
                first, _, rest = key.partition(".")
                parameters[rest if rest and first in methods else key] = str(value)
    return parameters


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    value = _plain(value)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def tags_of(dataset_name: str, data: Any) -> dict[str, str]:
    """Return the MLflow tags of a saved dataset, if it is a network or a corpus summary."""
    if dataset_name.endswith(".network"):
        described = getattr(data, "description", None)
        trained_on = described.trained_on if described else data.settings["trained_on"]
        return {f"trained_{name}": str(value) for name, value in _plain(trained_on).items()}
    if dataset_name.split(".")[-1] == "corpus_summary":
        corpus = _plain(data)
        return {
            "corpus": corpus["name"],
            "corpus_fingerprint": corpus["fingerprint"],
            "simulated": str(corpus["simulated"]).lower(),
            "machine_type": corpus["machine_type"],
            "machine_ids": ", ".join(corpus["machine_ids"]),
        }
    return {}


def lock_tags(made_with: Software) -> dict[str, str]:
    """Return the MLflow tags of the lock: its digest, and whether the environment is as locked."""
    tags = {"lock": made_with.lock or "none", "as_locked": str(made_with.is_locked).lower()}
    return tags | ({} if made_with.is_locked else {"not_as_locked": made_with.in_one_line()})


def _plain(value: Any) -> Any:
    """Return a model's values as those of JSON, and anything else as it is."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _in_project(uri: str, project_path: Path) -> str:
    """Make the path of a SQLite store absolute; MLflow would take it from the working directory."""
    scheme, separator, path = uri.partition("sqlite:///")
    if scheme or not separator or Path(path).is_absolute():
        return uri
    return f"sqlite:///{(project_path / path).as_posix()}"
