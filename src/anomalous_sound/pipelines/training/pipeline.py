"""log_mel, windows → network, training history."""

from kedro.pipeline import Node, Pipeline, node

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
            folds_node(),
            node(
                nodes.train_network,
                inputs=[
                    "log_mel",
                    "windows",
                    "clips",
                    "folds",
                    "settings",
                    "checkpoint",
                    "params:training",
                    "params:detector",
                    "params:seed",
                    "params:jobs",
                    "params:engine",
                ],
                outputs=["network", "training_history"],
                name="train_network",
            ),
        ]
    )


def folds_node() -> Node:
    """Return the node that draws the folds, or the clips held out."""
    return node(
        nodes.draw_folds,
        inputs=["clips", "params:detector", "params:score", "params:thresholds", "params:seed"],
        outputs="folds",
        name="draw_folds",
    )
