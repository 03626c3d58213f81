"""raw_audio, detector → clips → log_mel → windows → window_errors → decisions → report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.detection.pipeline import judging_nodes
from anomalous_sound.pipelines.score import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline that judges recordings; nothing is trained, fitted or chosen in it."""
    return Pipeline(
        _preparation() + _verdict(),
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
        node(
            nodes.open_detector,
            inputs="detector",
            outputs=["fitted_score", "window_reference", "deployed", "calibration_scores"],
            name="open_detector",
        ),
        *judging_nodes("detector"),
        node(
            nodes.pool_errors,
            inputs=["band_errors", "fitted_score"],
            outputs="pooled_errors",
            name="pool_errors",
        ),
        node(
            nodes.decide,
            inputs=["clip_scores", "deployed", "calibration_scores"],
            outputs="decisions",
            name="decide",
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
