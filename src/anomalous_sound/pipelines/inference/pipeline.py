"""network, log_mel, windows → window errors → clip scores; localisation."""

from kedro.pipeline import Node, Pipeline, node

from anomalous_sound.pipelines.inference import embedding_nodes, nodes


def create_pipeline(*, fit: bool, frozen: bool = False) -> Pipeline:
    """Create the pipeline that scores clips.

    Args:
        fit: whether the score and what clips are compared with are fitted here, on normal clips;
            otherwise they come from a detector.
        frozen: whether the clips are embedded by a frozen encoder, which says nothing of windows.
    """
    return Pipeline(
        [
            *(_embedding() if frozen else _windows(fit)),
            *_scoring(fit),
            *(_fitting() if fit else []),
        ]
    )


def _embedding() -> list[Node]:
    return [
        node(
            embedding_nodes.embed_clips,
            inputs=[
                *("raw_audio", "clips", "network"),
                *("params:score", "params:detector", "params:jobs"),
            ],
            outputs=["pooled_errors", "embedding_time"],
            name="embed_clips",
        ),
    ]


def _windows(fit: bool) -> list[Node]:
    return [
        node(
            nodes.score_windows,
            inputs=[
                *("network", "log_mel", "windows", "clips"),
                *("params:inference", "params:jobs", "params:engine"),
                *(["folds"] if fit else []),
            ],
            outputs="band_errors",
            name="score_windows",
        ),
        node(
            nodes.list_window_errors,
            inputs=["band_errors", "windows"],
            outputs="window_errors",
            name="list_window_errors",
        ),
        node(
            nodes.localise,
            inputs=[
                "band_errors",
                "window_errors",
                "clips",
                "window_reference",
                "network",
                "params:localisation",
            ],
            outputs="localisation",
            name="localise",
        ),
        node(
            nodes.list_events,
            inputs=[
                "band_errors",
                "window_errors",
                "log_mel",
                "clips",
                "window_reference",
                "sound_reference",
                "network",
                "params:localisation",
            ],
            outputs="events",
            name="list_events",
        ),
        *(_fitting_windows() if fit else _as_fitted()),
    ]


def _fitting_windows() -> list[Node]:
    return [
        node(
            nodes.pool_errors,
            inputs=["band_errors", "log_mel", "network", "params:score", "params:detector"],
            outputs="pooled_errors",
            name="pool_errors",
        ),
        node(
            nodes.fit_window_reference,
            inputs=["band_errors", "clips", "network", "params:localisation"],
            outputs="window_reference",
            name="fit_window_reference",
        ),
    ]


def _as_fitted() -> list[Node]:
    return [
        node(
            nodes.pool_errors_as_fitted,
            inputs=["band_errors", "log_mel", "network", "fitted_score"],
            outputs="pooled_errors",
            name="pool_errors",
        ),
    ]


def _scoring(fit: bool) -> list[Node]:
    return [
        node(
            nodes.score_clips,
            inputs=[
                *("pooled_errors", "clips", "fitted_score"),
                *(["left_out_scores"] if fit else []),
            ],
            outputs="clip_scores",
            name="score_clips",
        ),
        node(
            nodes.score_channels,
            inputs=["pooled_errors", "clips", "fitted_score"],
            outputs="channel_scores",
            name="score_channels",
        ),
    ]


def _fitting() -> list[Node]:
    return [
        node(
            nodes.fit_score,
            inputs=[
                "pooled_errors",
                "clips",
                "folds",
                "params:score",
                "params:audio",
                "params:detector",
                "params:seed",
            ],
            outputs=["fitted_score", "left_out_scores"],
            name="fit_score",
        ),
        node(
            nodes.fit_sound_reference,
            inputs=["clips", "log_mel", "params:evidence", "params:audio"],
            outputs=["sound_reference", "foreign_clips"],
            name="fit_sound_reference",
        ),
    ]
