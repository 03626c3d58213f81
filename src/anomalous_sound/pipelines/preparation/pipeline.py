"""raw_audio → clips → log_mel → scaling, windows."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.preparation import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline that all methods share."""
    return Pipeline(
        [
            node(
                nodes.check_clips,
                inputs=[
                    "raw_audio",
                    "params:corpus",
                    "params:audio",
                    "params:log_mel",
                    "params:windows",
                    "params:seed",
                ],
                outputs=["clips", "rejected_clips", "corpus_summary"],
                name="check_clips",
            ),
            node(
                nodes.extract_log_mel,
                inputs=["raw_audio", "clips", "params:audio", "params:log_mel"],
                outputs="log_mel",
                name="extract_log_mel",
            ),
            node(
                nodes.fit_scaling,
                inputs=["log_mel", "clips", "params:scaling"],
                outputs="scaling",
                name="fit_scaling",
            ),
            node(
                nodes.index_windows,
                inputs=["log_mel", "params:audio", "params:log_mel", "params:windows"],
                outputs="windows",
                name="index_windows",
            ),
        ]
    )
