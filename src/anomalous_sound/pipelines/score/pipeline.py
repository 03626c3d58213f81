"""raw_audio, detector → clips → log_mel → window errors → decisions → report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.decision.thresholds import decide_new_clips
from anomalous_sound.pipelines import inference
from anomalous_sound.pipelines.decision.pipeline import evidence_node
from anomalous_sound.pipelines.report import page_nodes, sound_nodes
from anomalous_sound.pipelines.report.pipeline import shown_clips_node, timeline_node
from anomalous_sound.pipelines.score import nodes
from anomalous_sound.pipelines.stages import in_stages


def create_pipeline() -> Pipeline:
    """Create the pipeline that judges recordings; nothing is trained, fitted or chosen in it."""
    stages = {
        "preparation": _preparation(),
        "inference": inference.create_pipeline(fit=False),
        "report": _report(),
    }
    return Pipeline(
        in_stages(stages),
        namespace="score",
        parameters={
            f"params:{name}" for name in ("inference", "jobs", "engine", "localisation", "page")
        },
    )


def _preparation() -> Pipeline:
    return Pipeline(
        [
            node(
                nodes.open_detector,
                inputs=["detector", "params:inference"],
                outputs=[
                    "network",
                    "fitted_score",
                    "window_reference",
                    "deployed",
                    "calibration_scores",
                    "sound_reference",
                ],
                name="open_detector",
            ),
            node(
                nodes.check_clips,
                inputs=[
                    *("raw_audio", "detector", "params:inference"),
                    *("params:jobs", "params:engine"),
                ],
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
    )


def _report() -> Pipeline:
    return Pipeline(
        [
            evidence_node(),
            node(
                decide_new_clips,
                inputs=["clip_scores", "deployed", "calibration_scores", "evidence"],
                outputs="decisions",
                name="decide_clips",
            ),
            node(
                nodes.track_counts,
                inputs=["decisions", "rejected_clips"],
                outputs="tracked_metrics",
                name="track_counts",
            ),
            timeline_node(),
            node(
                page_nodes.plot_recordings,
                inputs=["clip_scores", "decisions", "clips", "corpus_summary"],
                outputs="recordings_figure",
                name="plot_recordings",
            ),
            node(
                page_nodes.write_judgement,
                inputs=[
                    "clip_scores",
                    "decisions",
                    "clips",
                    "localisation",
                    "rejected_clips",
                    "detector",
                    "deployed",
                    "channel_scores",
                    "corpus_summary",
                ],
                outputs="report",
                name="write_report",
            ),
            shown_clips_node(),
            node(
                sound_nodes.write_judgement_page,
                inputs=[
                    "shown_clips",
                    "clip_scores",
                    "decisions",
                    "clips",
                    "events",
                    "localisation",
                    "rejected_clips",
                    "detector",
                    "deployed",
                    "channel_scores",
                    "corpus_summary",
                    "params:page",
                ],
                outputs="page",
                name="write_page",
            ),
        ]
    )
