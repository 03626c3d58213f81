"""One method from frames to report: training → inference → decision → report."""

from kedro.pipeline import Pipeline

from anomalous_sound.methods.base import Method
from anomalous_sound.pipelines import decision, inference, report, training
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

    Args:
        method: its name is the namespace of its datasets and parameters.
    """
    stages = {
        "training": training.create_pipeline(),
        "inference": inference.create_pipeline(fit=True),
        "decision": decision.create_pipeline(),
        "report": report.create_pipeline(),
    }
    shared = set() if method.own_windows else {"windows"}
    return Pipeline(
        in_stages(stages),
        namespace=method.name,
        inputs=_SHARED_INPUTS | shared,
        parameters=_SHARED_PARAMETERS | {f"params:{name}" for name in shared},
    )
