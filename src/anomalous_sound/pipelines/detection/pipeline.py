"""windows → network → window_errors → clip_scores → thresholds → decisions → report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.detection.nodes import report, training, verdict

_SHARED_INPUTS = {"clips", "corpus_summary", "log_mel", "raw_audio", "rejected_clips", "scaling"}
_SHARED_PARAMETERS = {
    "params:audio",
    "params:detector",
    "params:evaluation",
    "params:jobs",
    "params:localisation",
    "params:log_mel",
    "params:scoring",
    "params:seed",
    "params:thresholds",
}


def create_pipeline(method: str, *, own_windows: bool = False) -> Pipeline:
    """Create the pipeline of one method.

    Args:
        method: the namespace of its datasets and parameters, for example ``lstm``.
        own_windows: whether the method has windows of its own and does not share the others'.
    """
    shared = set() if own_windows else {"windows"}
    return Pipeline(
        _training() + _verdict() + _report() + _tracking(),
        namespace=method,
        inputs=_SHARED_INPUTS | shared,
        parameters=_SHARED_PARAMETERS | {f"params:{name}" for name in shared},
    )


def judging_nodes(network: str) -> list:
    """Wire what is done with every clip, be the network just trained or that of a detector.

    Args:
        network: the dataset that holds it.
    """
    return [
        node(
            verdict.score_windows,
            inputs=[network, "log_mel", "windows", "clips", "params:scoring", "params:jobs"],
            outputs="band_errors",
            name="score_windows",
        ),
        node(
            verdict.list_window_errors,
            inputs=["band_errors", "windows"],
            outputs="window_errors",
            name="list_window_errors",
        ),
        node(
            verdict.score_clips,
            inputs=["pooled_errors", "clips", "fitted_score"],
            outputs="clip_scores",
            name="score_clips",
        ),
        node(
            verdict.localise,
            inputs=[
                "band_errors",
                "window_errors",
                "clips",
                "window_reference",
                network,
                "params:localisation",
            ],
            outputs="localisation",
            name="localise",
        ),
        node(
            report.plot_timelines,
            inputs=[
                "log_mel",
                "band_errors",
                "window_errors",
                "clip_scores",
                "localisation",
                "window_reference",
                network,
                "corpus_summary",
                "params:localisation",
            ],
            outputs="timeline_figure",
            name="plot_timelines",
        ),
    ]


def _training() -> list:
    return [
        node(
            training.collect_settings,
            inputs=[
                "params:network",
                "params:audio",
                "params:log_mel",
                "params:windows",
                "scaling",
                "corpus_summary",
            ],
            outputs="settings",
            name="collect_settings",
        ),
        node(
            training.train_network,
            inputs=[
                "log_mel",
                "windows",
                "clips",
                "settings",
                "checkpoint",
                "params:training",
                "params:detector",
                "params:seed",
            ],
            outputs=["network", "training_history"],
            name="train_network",
        ),
    ]


def _verdict() -> list:
    return [
        *judging_nodes("network"),
        node(
            verdict.pool_errors,
            inputs=["band_errors", "params:score"],
            outputs="pooled_errors",
            name="pool_errors",
        ),
        node(
            verdict.fit_score,
            inputs=["pooled_errors", "clips", "params:score", "params:seed"],
            outputs="fitted_score",
            name="fit_score",
        ),
        node(
            training.cross_validate,
            inputs=[
                "log_mel",
                "windows",
                "clips",
                "settings",
                "checkpoint",
                "params:training",
                "params:scoring",
                "params:score",
                "params:thresholds",
                "params:seed",
                "params:jobs",
            ],
            outputs="held_out_scores",
            name="cross_validate",
        ),
        node(
            verdict.set_calibration_clips,
            inputs=["clip_scores", "held_out_scores"],
            outputs="calibration_scores",
            name="set_calibration_clips",
        ),
        node(
            verdict.choose_thresholds,
            inputs=["calibration_scores", "params:thresholds", "params:evaluation"],
            outputs=["thresholds", "calibration"],
            name="choose_thresholds",
        ),
        node(
            verdict.deploy_threshold,
            inputs=["calibration_scores", "params:thresholds"],
            outputs="deployed",
            name="deploy_threshold",
        ),
        node(
            verdict.decide,
            inputs=["calibration_scores", "deployed"],
            outputs="decisions",
            name="decide",
        ),
        node(
            verdict.fit_window_reference,
            inputs=["band_errors", "clips", "params:localisation"],
            outputs="window_reference",
            name="fit_window_reference",
        ),
        node(
            verdict.assemble_detector,
            inputs=[
                "network",
                "fitted_score",
                "window_reference",
                "deployed",
                "calibration_scores",
            ],
            outputs="detector",
            name="assemble_detector",
        ),
    ]


def _report() -> list:
    return [
        node(
            report.measure_localisation,
            inputs=["raw_audio", "localisation", "clips", "network"],
            outputs="localisation_rates",
            name="measure_localisation",
        ),
        node(
            report.evaluate,
            inputs=[
                "clip_scores",
                "decisions",
                "deployed",
                "localisation_rates",
                "corpus_summary",
                "params:evaluation",
                "params:seed",
            ],
            outputs="metrics",
            name="evaluate",
        ),
        node(
            report.classification_report,
            inputs=["thresholds", "clip_scores"],
            outputs="classification_report",
            name="tabulate_classification",
        ),
        node(
            report.write_submission,
            inputs=["clip_scores", "decisions", "metrics"],
            outputs=["submission", "dcase_result"],
            name="write_submission",
        ),
        node(
            report.plot_roc,
            inputs=["clip_scores", "thresholds", "metrics", "deployed"],
            outputs="roc_figure",
            name="plot_roc",
        ),
        node(
            report.plot_scores,
            inputs=["clip_scores", "deployed", "fitted_score", "corpus_summary"],
            outputs="score_figure",
            name="plot_scores",
        ),
        node(
            report.plot_history,
            inputs=["training_history", "corpus_summary"],
            outputs="history_figure",
            name="plot_history",
        ),
        node(
            report.write_report,
            inputs=[
                "metrics",
                "thresholds",
                "classification_report",
                "rejected_clips",
                "network",
                "fitted_score",
                "deployed",
                "calibration",
            ],
            outputs="report",
            name="write_report",
        ),
        node(
            report.summarise_result,
            inputs=[
                "clip_scores",
                "deployed",
                "network",
                "training_history",
                "band_errors",
            ],
            outputs="result",
            name="summarise_result",
        ),
    ]


def _tracking() -> list:
    return [
        node(
            report.track_epochs,
            inputs="training_history",
            outputs="tracked_epochs",
            name="track_epochs",
        ),
        node(
            report.track_metrics,
            inputs=["metrics", "result"],
            outputs="tracked_metrics",
            name="track_metrics",
        ),
    ]
