"""The pipelines that ``kedro run --pipeline NAME`` knows."""

from kedro.pipeline import Pipeline

from anomalous_sound.methods.discovery import methods
from anomalous_sound.pipelines import (
    compare,
    detection,
    explore,
    frozen,
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
    windows = preparation.create_windows_pipeline()
    pipelines = {
        name: frames
        + (preparation.create_windows_pipeline(name) if method.own_windows else windows)
        + detection.create_pipeline(method)
        for name, method in methods().items()
        if not method.frozen
    }
    pipelines |= {
        name: frames + frozen.create_pipeline(method)
        for name, method in methods().items()
        if method.frozen
    }
    return pipelines | {
        "compare": frames + compare.create_pipeline(),
        "explore": frames.to_outputs("log_mel") + explore.create_pipeline(),
        "results": results.create_pipeline(),
        "score": score.create_pipeline(),
        "__default__": pipelines["lstm"],
    }
