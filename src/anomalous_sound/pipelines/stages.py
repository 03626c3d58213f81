"""Several pipelines as the stages of one: groups that kedro-viz folds."""

from collections.abc import Mapping

from kedro.pipeline import Pipeline


def in_stages(stages: Mapping[str, Pipeline]) -> Pipeline:
    """Join pipelines, each in a namespace of its own; the names of datasets stay.

    Args:
        stages: the pipelines by the name of their stage.
    """
    joined = Pipeline([])
    for name, stage in stages.items():
        joined += Pipeline(stage, namespace=name, prefix_datasets_with_namespace=False)
    return joined
