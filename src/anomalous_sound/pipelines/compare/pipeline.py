"""results of the methods, rows without training → comparison → figures, report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.compare import nodes


def create_pipeline() -> Pipeline:
    """Create the pipeline that compares methods; it follows on the preparation of the corpus."""
    return Pipeline(
        _rows() + _tables() + _report(),
        namespace="compare",
        inputs={"raw_audio", "clips", "corpus_summary", "log_mel", "scaling"},
        parameters={
            "params:audio",
            "params:audio_dir",
            "params:compare",
            "params:detector",
            "params:evaluation",
            "params:log_mel",
            "params:seed",
            "params:windows",
        },
    )


def _rows() -> list:
    return [
        node(
            nodes.select_results,
            inputs=[
                "results",
                "clips",
                "corpus_summary",
                "params:compare",
                "params:audio",
                "params:log_mel",
                "scaling",
                "params:audio_dir",
                "params:detector",
                "params:seed",
            ],
            outputs=["method_results", "missing"],
            name="select_results",
        ),
        node(
            nodes.score_baselines,
            inputs=[
                "raw_audio",
                "clips",
                "log_mel",
                "scaling",
                "params:audio",
                "params:windows",
                "params:compare",
                "params:detector",
                "params:seed",
            ],
            outputs="baseline_scores",
            name="score_baselines",
        ),
        node(
            nodes.collect_scores,
            inputs=["method_results", "baseline_scores", "clips", "params:compare"],
            outputs=["scores", "methods"],
            name="collect_scores",
        ),
    ]


def _tables() -> list:
    return [
        node(
            nodes.compare_methods,
            inputs=["scores", "methods", "params:evaluation", "params:seed"],
            outputs=["comparison", "differences"],
            name="compare_methods",
        ),
        node(
            nodes.find_disagreements,
            inputs=["scores", "methods"],
            outputs="disagreements",
            name="find_disagreements",
        ),
        node(
            nodes.track_comparison,
            inputs="comparison",
            outputs="tracked_metrics",
            name="track_comparison",
        ),
    ]


def _report() -> list:
    return [
        node(
            nodes.plot_rocs,
            inputs=["scores", "comparison", "corpus_summary"],
            outputs="roc_figure",
            name="plot_rocs",
        ),
        node(
            nodes.plot_auc_intervals,
            inputs=["comparison", "corpus_summary", "params:evaluation"],
            outputs="auc_figure",
            name="plot_auc_intervals",
        ),
        node(
            nodes.plot_agreement,
            inputs=["scores", "methods", "corpus_summary"],
            outputs="agreement_figure",
            name="plot_agreement",
        ),
        node(
            nodes.write_report,
            inputs=[
                "comparison",
                "differences",
                "disagreements",
                "methods",
                "missing",
                "clips",
                "corpus_summary",
                "params:evaluation",
            ],
            outputs="report",
            name="write_report",
        ),
    ]
