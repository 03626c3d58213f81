"""encoder, clips → run description, network; nothing is trained."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.encoder import nodes
from anomalous_sound.pipelines.training.pipeline import folds_node


def create_pipeline() -> Pipeline:
    """Create the pipeline that puts a frozen encoder in the place of trained networks."""
    return Pipeline(
        [
            folds_node(),
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
