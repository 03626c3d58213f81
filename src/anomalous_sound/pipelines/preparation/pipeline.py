"""raw_audio → clips → log_mel → scaling; log_mel → windows."""

from kedro.pipeline import Pipeline, node

from anomalous_sound.pipelines.preparation import nodes
from anomalous_sound.pipelines.stages import in_stages


def create_pipeline() -> Pipeline:
    """Create the pipeline up to the frames, which all methods share."""
    frames = Pipeline(
        [
            node(
                nodes.check_clips,
                inputs=[
                    "raw_audio",
                    "earlier_clip_checks",
                    "params:corpus",
                    "params:audio",
                    "params:log_mel",
                    "params:detector",
                    "params:seed",
                    "params:jobs",
                    "params:engine",
                ],
                outputs=["clips", "rejected_clips", "corpus_summary", "clip_checks"],
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
        ]
    )
    return in_stages({"preparation": frames})


def create_windows_pipeline(method: str | None = None) -> Pipeline:
    """Create the pipeline that lists the windows.

    Args:
        method: a method that has windows of its own; None: the windows that methods share.
    """
    windows = Pipeline(
        [
            node(
                nodes.index_windows,
                inputs=["log_mel", "params:audio", "params:log_mel", "params:windows"],
                outputs="windows",
                name="index_windows",
            ),
        ]
    )
    if method is None:
        return in_stages({"preparation": windows})
    return Pipeline(
        in_stages({"preparation": windows}),
        namespace=method,
        inputs={"log_mel"},
        parameters={"params:audio", "params:log_mel"},
    )
