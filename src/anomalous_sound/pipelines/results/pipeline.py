"""Results of several runs → figures over seeds → tables to publish."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.results import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline that joins results; it needs no recordings."""
    return Pipeline(
        [
            node(
                nodes.join_results,
                inputs=["found", "params:campaign", "params:evaluation"],
                outputs=["clips", "facts"],
                name="join_results",
            ),
            node(
                nodes.record_provenance,
                inputs=[
                    "found",
                    "clips",
                    "facts",
                    "params:campaign",
                    "params:evaluation",
                    "params:detector",
                    "params:seed",
                ],
                outputs="provenance",
                name="record_provenance",
            ),
            node(
                nodes.compute_figures,
                inputs=["clips", "params:evaluation", "params:seed"],
                outputs=["figures", "differences"],
                name="compute_figures",
            ),
            node(
                nodes.put_published_beside,
                inputs=["figures", "params:evaluation"],
                outputs="table",
                name="put_published_beside",
            ),
            node(
                nodes.write_report,
                inputs=["table", "differences", "facts", "params:evaluation"],
                outputs=["report", "latex"],
                name="write_report",
            ),
            node(
                nodes.track_figures,
                inputs="figures",
                outputs="tracked_metrics",
                name="track_figures",
            ),
        ],
        namespace="results",
        parameters={
            *("params:campaign", "params:detector", "params:evaluation", "params:seed"),
        },
    )
