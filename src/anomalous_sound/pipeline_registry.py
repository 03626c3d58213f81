"""The pipelines that ``kedro run --pipeline NAME`` knows."""

from kedro.pipeline import Pipeline

from anomalous_sound.methods.base import Method
from anomalous_sound.methods.discovery import methods
from anomalous_sound.pipelines import (
    compare,
    detection,
    explore,
    preparation,
    results,
    score,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by its public name.

    Each method runs the whole way, from raw audio to report; methods share all nodes and differ in
    namespace, network and parameters. One with a frozen encoder has no training and no windows.
    """
    frames = preparation.create_pipeline()
    pipelines = {
        name: frames + _windows_of(method) + detection.create_pipeline(method)
        for name, method in methods().items()
    }
    return pipelines | {
        "compare": frames + compare.create_pipeline(),
        "explore": frames.to_outputs("log_mel") + explore.create_pipeline(),
        "results": results.create_pipeline(),
        "score": score.create_pipeline(),
        "__default__": pipelines["lstm"],
    }


def _windows_of(method: Method) -> Pipeline:
    if method.frozen:
        return Pipeline([])
    return preparation.create_windows_pipeline(method.name if method.own_windows else None)
