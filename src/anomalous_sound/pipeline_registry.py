"""The pipelines that ``kedro run --pipeline NAME`` knows."""

from kedro.pipeline import Pipeline

from anomalous_sound.pipelines import compare, detection, explore, preparation, score


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by its public name.

    Each method runs the whole way, from raw audio to report; methods share all nodes and differ in
    namespace, network and parameters.
    """
    frames = preparation.create_pipeline()
    windows = preparation.create_windows_pipeline()
    own_windows = preparation.create_windows_pipeline("autoencoder")
    lstm = frames + windows + detection.create_pipeline("lstm")
    return {
        "lstm": lstm,
        "lstm_dense": frames + windows + detection.create_pipeline("lstm_dense"),
        "gru": frames + windows + detection.create_pipeline("gru"),
        "autoencoder": frames
        + own_windows
        + detection.create_pipeline("autoencoder", own_windows=True),
        "compare": frames + windows + compare.create_pipeline(),
        "explore": frames.to_nodes("extract_log_mel") + explore.create_pipeline(),
        "score": score.create_pipeline(),
        "__default__": lstm,
    }
