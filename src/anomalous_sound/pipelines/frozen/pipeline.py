"""encoder, raw_audio, clips → embeddings → clip scores → decisions → report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.methods.base import Method
from anomalous_sound.pipelines import decision, inference, report, training
from anomalous_sound.pipelines.frozen import nodes
from anomalous_sound.pipelines.stages import in_stages

_SHARED_INPUTS = {
    *("clips", "corpus_summary", "log_mel", "origin", "raw_audio", "rejected_clips", "scaling"),
}
_SHARED_PARAMETERS = {
    f"params:{name}"
    for name in (
        *("audio", "corpus", "detector", "evidence", "evaluation", "inference", "jobs"),
        *("localisation", "log_mel", "page", "scaling", "seed", "thresholds", "windows"),
    )
}


def create_pipeline(method: Method) -> Pipeline:
    """Create the pipeline of a method with a frozen encoder, from frames to report.

    Args:
        method: its name is the namespace of its datasets and parameters.
    """
    stages = {
        "encoder": _encoder(),
        "inference": _embeddings()
        + inference.create_pipeline(fit=True).only_nodes(
            *("fit_score", "score_left_out", "score_clips", "score_channels"),
            "fit_sound_reference",
        ),
        "decision": _detector()
        + decision.create_pipeline().only_nodes(
            *("calibrate", "deploy_threshold", "weigh_evidence", "decide_clips"),
        ),
        "report": _report()
        + report.create_pipeline().only_nodes(
            *("tabulate_thresholds", "tabulate_classification", "write_submission"),
            *("plot_roc", "plot_scores", "write_report", "track_metrics"),
        ),
    }
    return Pipeline(
        in_stages(stages),
        namespace=method.name,
        inputs=_SHARED_INPUTS,
        parameters=_SHARED_PARAMETERS,
    )


def _encoder() -> Pipeline:
    drawn = training.create_pipeline().only_nodes("draw_folds")
    return drawn + Pipeline(
        [
            node(
                nodes.describe_run,
                inputs=[
                    "params:encoder",
                    "params:score",
                    "params:corpus",
                    "params:audio",
                    "params:log_mel",
                    "params:scaling",
                    "params:detector",
                    "params:thresholds",
                    "params:evidence",
                    "params:seed",
                ],
                # in this order: all that a run writes is younger than its description
                outputs=["run_description", "encoder_file"],
                name="describe_run",
            ),
            node(
                nodes.describe_encoder,
                inputs=[
                    "encoder_file",
                    "params:encoder",
                    "params:audio",
                    "params:log_mel",
                    "params:windows",
                    "scaling",
                    "clips",
                    "corpus_summary",
                ],
                outputs="network",
                name="describe_encoder",
            ),
        ]
    )


def _embeddings() -> Pipeline:
    return Pipeline(
        [
            node(
                nodes.embed_clips,
                inputs=[
                    "raw_audio",
                    "clips",
                    "network",
                    "params:score",
                    "params:detector",
                    "params:jobs",
                ],
                outputs=["pooled_errors", "embedding_time"],
                name="embed_clips",
            ),
        ]
    )


def _detector() -> Pipeline:
    return Pipeline(
        [
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
                ],
                outputs="detector",
                name="assemble_detector",
            ),
        ]
    )


def _report() -> Pipeline:
    return Pipeline(
        [
            node(
                nodes.evaluate,
                inputs=[
                    "clip_scores",
                    "decisions",
                    "deployed",
                    "corpus_summary",
                    "params:evaluation",
                    "params:seed",
                ],
                outputs="metrics",
                name="evaluate",
            ),
            node(
                nodes.summarise_result,
                inputs=[
                    "clip_scores",
                    "deployed",
                    "network",
                    "embedding_time",
                    "detector",
                    "run_description",
                    "origin",
                ],
                outputs="result",
                name="summarise_result",
            ),
            node(
                nodes.write_card,
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
                ],
                outputs="card",
                name="write_card",
            ),
            node(
                nodes.show_clips,
                inputs=[
                    "raw_audio",
                    "clips",
                    "log_mel",
                    "network",
                    "clip_scores",
                    "decisions",
                    "params:page",
                ],
                outputs="shown_clips",
                name="show_clips",
            ),
            node(
                nodes.write_page,
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
                ],
                outputs="page",
                name="write_page",
            ),
        ]
    )
