"""results of the methods, rows without training → comparison → figures, report."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.compare import nodes, page_nodes
from anomalous_sound.pipelines.stages import in_stages


def create_pipeline() -> Pipeline:
    """Create the pipeline that compares methods; it follows on the preparation of the corpus."""
    stages = {
        "scores": Pipeline(_rows()),
        "comparison": Pipeline(_tables()),
        "report": Pipeline(_report()),
    }
    return Pipeline(
        in_stages(stages),
        namespace="compare",
        inputs={"raw_audio", "clips", "corpus_summary", "log_mel", "scaling"},
        parameters={
            "params:audio",
            "params:audio_dir",
            "params:compare",
            "params:detector",
            "params:evaluation",
            "params:log_mel",
            "params:page",
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
            page_nodes.plot_rocs,
            inputs=["scores", "comparison", "corpus_summary"],
            outputs="roc_figure",
            name="plot_rocs",
        ),
        node(
            page_nodes.plot_auc_intervals,
            inputs=["comparison", "corpus_summary", "params:evaluation"],
            outputs="auc_figure",
            name="plot_auc_intervals",
        ),
        node(
            page_nodes.plot_agreement,
            inputs=["scores", "methods", "corpus_summary"],
            outputs="agreement_figure",
            name="plot_agreement",
        ),
        node(
            page_nodes.write_report,
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
        node(
            page_nodes.show_disputed_clips,
            inputs=[
                "raw_audio",
                "clips",
                "log_mel",
                "disagreements",
                "params:audio",
                "params:log_mel",
                "params:page",
            ],
            outputs="shown_clips",
            name="show_disputed_clips",
        ),
        node(
            page_nodes.write_page,
            inputs=[
                "comparison",
                "differences",
                "disagreements",
                "missing",
                "clips",
                "corpus_summary",
                "shown_clips",
                "roc_figure",
                "auc_figure",
                "agreement_figure",
                "params:evaluation",
            ],
            outputs="page",
            name="write_page",
        ),
        node(
            nodes.choose_best,
            inputs=[
                "comparison",
                "differences",
                "method_results",
                "missing",
                "corpus_summary",
                "params:compare",
                "report",
            ],
            outputs="best",
            name="choose_best",
        ),
    ]
