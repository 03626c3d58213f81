"""Hooks around a run: names, locks, processes, and last lines that say what was found."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from anomalous_sound.command import choice
from anomalous_sound.compute.cluster import close_clusters
from anomalous_sound.compute.processes import start_processes, stop_processes
from anomalous_sound.compute.threads import job_count
from anomalous_sound.configuration.compute import LocalEngine
from anomalous_sound.configuration.runs import RunSettings
from anomalous_sound.corpus.extraction import extraction_identity
from anomalous_sound.decision.verdict import in_one_sentence
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation.official import ranking_figures
from anomalous_sound.reporting.facts import figure_title
from anomalous_sound.storage.identity import identity
from anomalous_sound.storage.locks import Readers, WriterLocks
from anomalous_sound.storage.remote import RemotePath
from anomalous_sound.vocabulary import Decision, Split

logger = logging.getLogger(__name__)


class ProcessHooks:
    """Start the processes that train while the clips are prepared."""

    _TRAINS, _IMPORTED = "train_network", "anomalous_sound.training.loop"  # takes seconds

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Start as many as the first training of this run has networks for."""
        for node in pipeline.nodes:
            if node.func.__name__ == self._TRAINS:
                given = dict(zip(signature(node.func).parameters, node.inputs, strict=True))
                engine = catalog.load(given["engine"])
                if isinstance(engine, LocalEngine) and engine.num_nodes == 1:
                    folds, jobs = catalog.load(given["detector"]).folds, catalog.load(given["jobs"])
                    side_by_side = min(folds, job_count(jobs)) if folds > 1 else 1
                    start_processes(
                        engine.devices if engine.joins else side_by_side, [self._IMPORTED]
                    )
                return

    @hook_impl
    def after_pipeline_run(self) -> None:
        """End them if nothing was trained."""
        stop_processes()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """End them."""
        stop_processes()


class NameHooks:
    """Keep what one detector is made of apart from what another is."""

    _PLACE, _JUDGING = "corpus_place", "score.detector"

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember how to ask for the name."""
        self._context = context

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Choose the detector that judges; refuse to write over the data of other recordings.

        Raises:
            InputError: it is not clear which detector is meant, or other recordings are called so.
        """
        self._place = None
        if self._JUDGING in pipeline.inputs():
            self._choose(pipeline, catalog)
        if "corpus_summary" in pipeline.all_outputs():
            self._claim(catalog)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Remember whose recordings are called so."""
        if dataset_name == "corpus_summary" and self._place is not None:
            self._place.save(self._claimed)

    def _choose(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        loader = self._context.config_loader
        chosen = choice.to_judge_with(
            self._context.project_path,
            loader.given_name,
            loader.detector_method,
            names_method=loader.names_method,
            audio_dir=loader["parameters"]["audio_dir"],
        )
        loader.judge_with(chosen.name, chosen.method)
        of_detector = self._context.catalog
        for name in pipeline.datasets() - pipeline.inputs() | {self._JUDGING}:
            catalog[name] = of_detector[name]

    def _claim(self, catalog: CatalogProtocol) -> None:
        loader, place = self._context.config_loader, catalog.get("raw_audio").place
        self._place = catalog.get(self._PLACE)
        self._claimed = {"place": str(_below(place, Path(self._context.project_path)))}
        if not self._place.exists():
            return
        earlier = self._place.load()["place"]
        if earlier == self._claimed["place"]:
            return
        name, audio_dir = loader.detector_name, loader["parameters"]["audio_dir"]
        if loader.given_name is not None and audio_dir is not None:
            return
        told = f"what is called '{name}' was made of the recordings in {earlier}, and these are in"
        if loader.given_name is not None:
            raise InputError(
                f"{told} {place}; to go on with those, add audio_dir={earlier} to --params, or "
                "give these another name: --params detector=NAME."
            )
        raise InputError(
            f"{told} {place}; give these a name of their own, as in --params detector={name}_2; "
            f"or, to replace what was made of the others: --params detector={name}."
        )


class LockHooks:
    """Let one run at a time write the data of a method, and those that all methods share.

    What methods share is written when a run begins, and read until it ends. So a run lets others
    write it as soon as it has: another method that prepares the same clips in the same way trains
    beside it, and one that prepares others waits until nobody reads these.
    """

    _SHARED = "preparation"
    _CLIPS = "clips"  # the first of what is shared, from which all else follows

    def __init__(self) -> None:
        """Begin without locks."""
        self._locks: WriterLocks | None = None
        self._readers: Readers | None = None
        self._left: set[str] = set()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find out where the locks are."""
        self._context = context
        self._settings = RunSettings.of(context.config_loader["globals"])
        self._folder = Path(context.project_path) / self._settings.locks

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Wait until nobody else writes what this run writes.

        Raises:
            InputError: somebody does for too long.
        """
        self._release()  # of a run in this process that was interrupted
        outputs = pipeline.all_outputs()
        of = self._context.config_loader.name_of_run
        self._part = f"{of}.{self._SHARED}"
        parts = {f"{of}.{name.split('.')[0] if '.' in name else self._SHARED}" for name in outputs}
        self._locks, self._readers = WriterLocks(self._folder), Readers(self._folder)
        remarks = {self._part: " Once it has prepared the clips, its training is not waited for."}
        self._locks.acquire(parts, wait_s=self._settings.wait_s, remarks=remarks)
        self._left = {name for name in outputs if "." not in name}
        in_processes = "ParallelRunner" in str(run_params.get("runner"))  # which call no hooks here
        if self._left and (in_processes or self._CLIPS not in self._left):
            self._left = set()  # never let go of before the end
            self._readers.wait(self._part, None, wait_s=self._settings.wait_s)

    @hook_impl
    def after_node_run(self, node: Node, catalog: CatalogProtocol, outputs: dict[str, Any]) -> None:
        """Before clips are written, wait for runs that read others.

        Raises:
            InputError: they do for too long.
        """
        if self._readers is not None and self._left and self._CLIPS in outputs:
            prepared = preparation_identity(outputs, catalog)
            self._readers.wait(self._part, prepared, wait_s=self._settings.wait_s)
            self._readers.begin(self._part, prepared)

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Let others write what methods share, once this run has."""
        if dataset_name in self._left:
            self._left.remove(dataset_name)
            if not self._left and self._locks is not None:
                self._locks.release(self._part)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Let others write."""
        self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Let others write."""
        self._release()

    def _release(self) -> None:
        if self._locks is not None:
            self._locks.release()
        if self._readers is not None:
            self._readers.end()


def preparation_identity(outputs: Mapping[str, Any], catalog: CatalogProtocol) -> str:
    """Return the identity of all that methods share.

    Args:
        outputs: of the node that makes the table of clips.
        catalog: with the parameters.
    """
    shared = (node for pipeline in pipelines.values() for node in pipeline.nodes)
    read = {
        name
        for node in shared
        for name in node.inputs
        if name.startswith("params:") and any("." not in output for output in node.outputs)
    }
    tables = {
        name: data.to_csv(index=False) if isinstance(data, pd.DataFrame) else data
        for name, data in outputs.items()
        if name != "clip_checks"  # what a file was found to be, whether or not it is used
    }
    return identity(
        tables=tables,
        parameters={name: catalog.load(name) for name in read - _WHERE_AND_HOW},
        code=extraction_identity(),
    )


_WHERE_AND_HOW = {"params:jobs", "params:engine"}  # what comes of it is the same


class ClusterHooks:
    """Leave the cluster when a run ends; what it is made for connects it."""

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Leave the cluster, if there is one."""
        close_clusters()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Leave the cluster, if there is one."""
        close_clusters()


class SummaryHooks:
    """End a run by saying what it found, where its results are, and what to type next."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember how to ask for the detector's name."""
        self._context = context

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Log what each method found, each page that the run wrote, and what to type next."""
        outputs = sorted(pipeline.all_outputs())

        def ending(kind: str) -> list[str]:
            return [name for name in outputs if name.endswith(kind)]

        for name in ending(".metrics"):
            metrics = catalog.load(name)
            logger.info("%s", area(metrics))
            if "official" in metrics:
                logger.info("%s", official_line(metrics["official"]))
        for name in ending(".decisions"):
            clips = "score.clips" if name.startswith("score.") else "clips"
            logger.info("%s", findings(catalog.load(name), catalog.load(clips)))
        for name in ending(".page"):
            logger.info("To hear: %s", _short(Path(catalog.get(name)._describe()["filepath"])))
        for name in ending(".report"):
            logger.info("Report: %s", _short(Path(catalog.get(name)._describe()["filepath"])))
        for name in ending(".detector"):
            called = f"{self._context.config_loader.name_of_run}/{name.partition('.')[0]}"
            command = "kedro run --pipeline score --params audio_dir=RECORDINGS"
            logger.info("To judge: anomalous-sound score RECORDINGS --detector %s", called)
            if name.replace(".detector", ".window_reference") in outputs:
                logger.info("To judge, with a report: %s,detector=%s", command, called)
        if ending(".report"):
            logger.info("Runs side by side: kedro mlflow ui")


def area(metrics: Mapping[str, Any]) -> str:
    """Say how well normal and anomalous test clips are told apart."""
    if metrics["auc_pooled"] is None:
        return (
            "AUC: not computed, which takes normal and anomalous test clips; a labels.csv says "
            "which are which."
        )
    low, high = metrics["auc_pooled_interval"]
    return (
        f"AUC: {metrics['auc_pooled']:.3f} ({low:.3f} to {high:.3f} with "
        f"{metrics['confidence']:.0%} confidence)"
        + (", on simulated sound." if metrics["corpus"]["simulated"] else ".")
    )


def official_line(official: Mapping[str, Any]) -> str:
    """Say the figures by which a year's challenge ranks, over the sections of a machine type.

    Args:
        official: as :func:`anomalous_sound.evaluation.official.official_figures` returns it.
    """
    has_score = "score" in official  # since 2021
    means = official["harmonic_mean" if has_score else "arithmetic_mean"]
    names = ranking_figures(official["year"])
    if None in (official.get("score", 0), *(means[name] for name in names)):
        missing = "no official score" if has_score else "no official figures"
        return f"{official['challenge']}: {missing}, since not all of its figures can be computed."
    told = ", ".join(f"{figure_title(name)} {means[name]:.3f}" for name in names)
    score = f"official score {official['score']:.3f}; harmonic " if has_score else ""
    return f"{official['challenge']}: {score}means of {told}."


def findings(decisions: pd.DataFrame, clips: pd.DataFrame) -> str:
    """Say how many test clips sound anomalous, and which one most.

    Args:
        decisions: ``clip_id, score, decision``.
        clips: ``clip_id, split``.
    """
    judged = decisions[decisions.clip_id.isin(clips.clip_id[clips.split == Split.TEST])]
    decided = judged[judged.decision != Decision.UNDECIDED]
    anomalous = decided[decided.decision == Decision.ANOMALOUS].sort_values("score")
    if judged.empty:
        return "There are no clips to test with."
    worst = "" if anomalous.empty else anomalous.clip_id.iloc[-1]
    undecided = len(judged) - len(decided)
    return in_one_sentence(len(anomalous), len(decided), worst) + (
        f" Undecided: {undecided}." if undecided else ""
    )


def _below(place: Path | RemotePath, folder: Path) -> Path | RemotePath:
    """Return where something lies in a folder, or its whole path if it lies elsewhere."""
    if isinstance(place, Path) and place.is_relative_to(folder):
        return place.relative_to(folder)
    return place


def _short(path: Path) -> Path:
    return _below(path, Path.cwd())
