"""raw_audio, detector → clips → log_mel → windows → window_errors → decisions → report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.detection.pipeline import window_error_nodes
from anomalous_sound.pipelines.score import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline that judges recordings; nothing is trained, fitted or chosen in it."""
    return Pipeline(
        _preparation() + _verdict() + _report(),
        namespace="score",
        inputs={"raw_audio"},
        parameters={"params:jobs", "params:localisation", "params:scoring"},
    )


def _preparation() -> list:
    return [
        node(
            nodes.check_clips,
            inputs=["raw_audio", "detector", "params:jobs"],
            outputs=["clips", "rejected_clips", "corpus_summary"],
            name="check_clips",
        ),
        node(
            nodes.extract_log_mel,
            inputs=["raw_audio", "clips", "detector"],
            outputs="log_mel",
            name="extract_log_mel",
        ),
        node(
            nodes.index_windows,
            inputs=["log_mel", "detector"],
            outputs="windows",
            name="index_windows",
        ),
    ]


def _verdict() -> list:
    return [
        *window_error_nodes("detector"),
        node(
            nodes.score_clips,
            inputs=["band_errors", "clips", "detector"],
            outputs="clip_scores",
            name="score_clips",
        ),
        node(
            nodes.decide,
            inputs=["clip_scores", "detector"],
            outputs="decisions",
            name="decide",
        ),
        node(
            nodes.localise,
            inputs=["band_errors", "window_errors", "clips", "detector", "params:localisation"],
            outputs="localisation",
            name="localise",
        ),
    ]


def _report() -> list:
    return [
        node(
            nodes.plot_timelines,
            inputs=[
                "log_mel",
                "band_errors",
                "window_errors",
                "clip_scores",
                "localisation",
                "detector",
                "corpus_summary",
                "params:localisation",
            ],
            outputs="timeline_figure",
            name="plot_timelines",
        ),
        node(
            nodes.write_report,
            inputs=[
                "clip_scores",
                "decisions",
                "localisation",
                "rejected_clips",
                "detector",
                "corpus_summary",
            ],
            outputs="report",
            name="write_report",
        ),
    ]
