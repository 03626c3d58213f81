"""One method from frames to report: training or encoder → inference → decision → report."""

from kedro.pipeline import Pipeline

from anomalous_sound.methods.base import Method
from anomalous_sound.pipelines import decision, encoder, inference, report, training
from anomalous_sound.pipelines.stages import in_stages

_SHARED_INPUTS = {
    *("clips", "corpus_summary", "log_mel", "origin", "raw_audio", "rejected_clips", "scaling"),
}
_SHARED_PARAMETERS = {
    "params:audio",
    "params:corpus",
    "params:detector",
    "params:engine",
    "params:evidence",
    "params:evaluation",
    "params:inference",
    "params:jobs",
    "params:localisation",
    "params:log_mel",
    "params:page",
    "params:scaling",
    "params:seed",
    "params:thresholds",
}


def create_pipeline(method: Method) -> Pipeline:
    """Create the pipeline of one method.

    All methods go the same way. Where an encoder is given instead of trained, what is about
    training and about windows is left out.

    Args:
        method: its name is the namespace of its datasets and parameters.
    """
    frozen = method.frozen
    learned = {"encoder": encoder} if frozen else {"training": training}
    detection = in_stages(
        {
            **{stage: room.create_pipeline() for stage, room in learned.items()},
            "inference": inference.create_pipeline(fit=True, frozen=frozen),
            "decision": decision.create_pipeline(frozen=frozen),
            "report": report.create_pipeline(frozen=frozen),
        }
    )
    windows = set() if method.own_windows else {"windows"}
    parameters = _SHARED_PARAMETERS | {f"params:{name}" for name in windows}
    read = detection.inputs()
    return Pipeline(
        detection,
        namespace=method.name,
        inputs=(_SHARED_INPUTS | windows) & read,
        parameters=parameters & read,
    )
