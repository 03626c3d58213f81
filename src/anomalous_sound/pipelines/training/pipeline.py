"""log_mel, windows → network, training history."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline that trains the networks of a method on normal clips."""
    return Pipeline(
        [
            node(
                nodes.describe_network,
                inputs=[
                    "params:network",
                    "params:audio",
                    "params:log_mel",
                    "params:windows",
                    "scaling",
                    "clips",
                    "corpus_summary",
                ],
                outputs="settings",
                name="describe_network",
            ),
            node(
                nodes.train_network,
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
            node(
                nodes.cross_validate,
                inputs=[
                    "log_mel",
                    "windows",
                    "clips",
                    "settings",
                    "checkpoint",
                    "params:training",
                    "params:inference",
                    "params:score",
                    "params:thresholds",
                    "params:seed",
                    "params:jobs",
                ],
                outputs="held_out_scores",
                name="cross_validate",
            ),
        ]
    )
