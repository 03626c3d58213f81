"""The pipelines that ``kedro run --pipeline NAME`` knows."""

from kedro.pipeline import Pipeline

from anomalous_sound.pipelines import detection, preparation


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by its public name.

    Each method runs the whole way, from raw audio to report; they share all but their namespace.
    """
    lstm = preparation.create_pipeline() + detection.create_pipeline("lstm")
    return {"lstm": lstm, "__default__": lstm}
