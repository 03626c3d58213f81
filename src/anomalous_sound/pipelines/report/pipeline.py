"""Scores and decisions of one method → metrics, tables, figures, report, MLflow."""

from kedro.pipeline import Node, Pipeline, node

from anomalous_sound.evaluation.threshold_table import classification_report
from anomalous_sound.pipelines.report import nodes, page_nodes, sound_nodes
from anomalous_sound.reporting import figures


def create_pipeline(*, frozen: bool) -> Pipeline:
    """Create the pipeline that reports on one method.

    Args:
        frozen: whether it has a frozen encoder, so that nothing was trained and nothing is known of
            windows.
    """
    of_networks = [] if frozen else [*_training(), *_localisation()]
    return Pipeline([*_tables(frozen), *_figures(), *_page(frozen), *of_networks])


def timeline_node() -> Node:
    """Return the node that draws when and where clips deviate."""
    return node(
        page_nodes.plot_timelines,
        inputs=[
            "log_mel",
            "band_errors",
            "window_errors",
            "clip_scores",
            "localisation",
            "window_reference",
            "network",
            "corpus_summary",
            "params:localisation",
        ],
        outputs="timeline_figure",
        name="plot_timelines",
    )


def shown_clips_node(*, frozen: bool = False) -> Node:
    """Return the node that gathers sound and pictures of the clips that the page shows.

    Args:
        frozen: whether a frozen encoder has scored them, which says nothing of windows.
    """
    of_windows = ["band_errors", "window_errors", "window_reference", "events"]
    return node(
        sound_nodes.show_clips,
        inputs=[
            "raw_audio",
            "clips",
            "log_mel",
            "network",
            "clip_scores",
            "decisions",
            "params:page",
            *([] if frozen else of_windows),
        ],
        outputs="shown_clips",
        name="show_clips",
    )


def _tables(frozen: bool) -> list[Node]:
    return [
        node(
            nodes.tabulate_thresholds,
            inputs=[
                "clip_scores",
                "calibration_scores",
                "deployed",
                "decisions",
                "params:thresholds",
                "params:evaluation",
            ],
            outputs=["thresholds", "calibration"],
            name="tabulate_thresholds",
        ),
        node(
            classification_report,
            inputs=["thresholds", "clip_scores"],
            outputs="classification_report",
            name="tabulate_classification",
        ),
        node(
            nodes.evaluate,
            inputs=[
                "clip_scores",
                "decisions",
                "deployed",
                "corpus_summary",
                "params:evaluation",
                "params:seed",
                *([] if frozen else ["window_errors", "localisation_rates"]),
            ],
            outputs="metrics",
            name="evaluate",
        ),
        node(
            nodes.write_submission,
            inputs=["clip_scores", "decisions", "metrics", "params:evaluation"],
            outputs=["submission", "dcase_result"],
            name="write_submission",
        ),
        node(
            nodes.summarise_result,
            inputs=[
                "clip_scores",
                "deployed",
                "network",
                "detector",
                "run_description",
                "origin",
                *(["embedding_time"] if frozen else ["band_errors", "training_history"]),
            ],
            outputs="result",
            name="summarise_result",
        ),
        node(
            nodes.track_metrics,
            inputs=["metrics", "result"],
            outputs="tracked_metrics",
            name="track_metrics",
        ),
    ]


def _figures() -> list[Node]:
    return [
        node(
            figures.roc_figure,
            inputs=["clip_scores", "thresholds", "metrics", "corpus_summary"],
            outputs="roc_figure",
            name="plot_roc",
        ),
        node(
            page_nodes.plot_scores,
            inputs=["clip_scores", "deployed", "fitted_score", "corpus_summary"],
            outputs="score_figure",
            name="plot_scores",
        ),
    ]


def _page(frozen: bool) -> list[Node]:
    return [
        node(
            page_nodes.write_report,
            inputs=[
                "metrics",
                "thresholds",
                "classification_report",
                "rejected_clips",
                "network",
                "fitted_score",
                "deployed",
                "calibration",
                "channel_scores",
                "clip_scores",
                "corpus_summary",
            ],
            outputs="report",
            name="write_report",
        ),
        node(
            page_nodes.write_card,
            inputs=[
                "network",
                "run_description",
                "metrics",
                "fitted_score",
                "deployed",
                "calibration_scores",
                "calibration",
                "corpus_summary",
                "origin",
                *([] if frozen else ["training_history"]),
            ],
            outputs="card",
            name="write_card",
        ),
        shown_clips_node(frozen=frozen),
        node(
            sound_nodes.write_page,
            inputs=[
                "shown_clips",
                "clip_scores",
                "decisions",
                "clips",
                "metrics",
                "deployed",
                "calibration_scores",
                "calibration",
                "network",
                "fitted_score",
                "rejected_clips",
                "channel_scores",
                "corpus_summary",
                "roc_figure",
                "origin",
                "params:page",
                *([] if frozen else ["events", "localisation", "history_figure"]),
            ],
            outputs="page",
            name="write_page",
        ),
    ]


def _localisation() -> list[Node]:
    return [
        node(
            nodes.measure_localisation,
            inputs=["raw_audio", "localisation", "clips", "network"],
            outputs="localisation_rates",
            name="measure_localisation",
        ),
        timeline_node(),
    ]


def _training() -> list[Node]:
    return [
        node(
            nodes.describe_run,
            inputs=[
                "params:network",
                "params:training",
                "params:score",
                "params:windows",
                "params:corpus",
                "params:audio",
                "params:log_mel",
                "params:scaling",
                "params:detector",
                "params:thresholds",
                "params:evidence",
                "params:seed",
            ],
            outputs="run_description",
            name="describe_run",
        ),
        node(
            figures.history_figure,
            inputs=["training_history", "corpus_summary"],
            outputs="history_figure",
            name="plot_history",
        ),
        node(
            nodes.track_epochs,
            inputs="training_history",
            outputs="tracked_epochs",
            name="track_epochs",
        ),
    ]
