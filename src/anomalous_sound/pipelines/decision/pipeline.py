"""clip_scores → calibration scores → deployed threshold → decisions; detector."""

from kedro.pipeline import Node, Pipeline, node

from anomalous_sound.decision.evidence_table import weigh_clips
from anomalous_sound.decision.thresholds import decide_clips
from anomalous_sound.pipelines.decision import nodes


def create_pipeline(*, frozen: bool) -> Pipeline:
    """Create the pipeline that chooses a threshold and decides.

    Args:
        frozen: whether the detector has a frozen encoder, which says nothing of windows.
    """
    return Pipeline(
        [
            node(
                nodes.calibrate,
                inputs=["clip_scores", "folds", "foreign_clips"],
                outputs="calibration_scores",
                name="calibrate",
            ),
            node(
                nodes.deploy_threshold,
                inputs=["calibration_scores", "params:thresholds", "params:detector"],
                outputs="deployed",
                name="deploy_threshold",
            ),
            evidence_node(),
            node(
                decide_clips,
                inputs=["clip_scores", "deployed", "calibration_scores", "evidence"],
                outputs="decisions",
                name="decide_clips",
            ),
            node(
                nodes.assemble_detector,
                inputs=[
                    "network",
                    "fitted_score",
                    "deployed",
                    "calibration_scores",
                    "sound_reference",
                    "params:localisation",
                    "params:inference",
                    *([] if frozen else ["window_reference"]),
                ],
                outputs="detector",
                name="assemble_detector",
            ),
        ]
    )


def evidence_node() -> Node:
    """Return the node that holds each clip against what normal clips sound like."""
    return node(
        weigh_clips,
        inputs=["clips", "log_mel", "sound_reference"],
        outputs="evidence",
        name="weigh_evidence",
    )
