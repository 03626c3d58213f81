"""Detectors in MLflow's registry: logged as models that stand alone, found again, promoted."""

from __future__ import annotations

import base64
import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anomalous_sound
from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector

CHAMPION = "champion"  # the alias of the version in use
ARTIFACT = "detector"  # the folder of the detector in the model, and the model's name in its run
MODEL_CODE = Path(__file__).with_name("model_code.py")

# what a detector needs to judge, beside MLflow; a test holds that it is all
REQUIREMENTS = (
    "joblib",
    "lazy-loader",
    "lightning-fabric",
    "numpy",
    "pandas",
    "pydantic",
    "safetensors",
    "scikit-learn",
    "scipy",
    "soundfile",
    "soxr",
    "torch",
)


def registered_name(name: str) -> str:
    """Return a name as MLflow's registry and its URIs take it.

    >>> registered_name("hall 3/press: left")
    'hall_3_press_left'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-") or "detector"


def log_detector(detector: Detector, folder: Path, called: str) -> None:
    """Log a detector as a model of the active run, and register a version of it.

    The model holds the detector's folder and this package's code, so that it can be loaded where
    the package is not installed. Its name in the registry is what it is called; each method has an
    alias, which is moved to its new version.

    Args:
        detector: what was trained.
        folder: where it has been saved.
        called: what the user calls it.
    """
    import mlflow
    from mlflow.models import Model

    client, run_id = mlflow.MlflowClient(), mlflow.active_run().info.run_id
    logged = Model.log(
        artifact_path=None,
        name=ARTIFACT,
        flavor=_Pyfunc,
        run_id=run_id,
        python_model=str(MODEL_CODE),
        artifacts={ARTIFACT: str(folder)},
        code_paths=[str(Path(anomalous_sound.__file__).parent)],
        pip_requirements=requirements(),  # given, since MLflow would find them out in a process
        signature=_signature(),
        input_example=_example(detector),
        validate_serving_input=False,  # it would load the model that has just been saved
        await_registration_for=None,
    )
    corpus, method = detector.description.corpus, detector.identity.method
    name = registered_name(called)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    registered = client.create_model_version(
        *(name, f"models:/{logged.model_id}", run_id),
        tags={
            "method": method,
            "digest": detector.identity.digest,
            "corpus": corpus.name,
            "corpus_fingerprint": corpus.fingerprint,
            "simulated": str(corpus.simulated).lower(),
        },
        await_creation_for=0,
        model_id=logged.model_id,
    )
    client.set_registered_model_alias(name, method, registered.version)


def promote(digest: str) -> tuple[str, str]:
    """Make a registered detector the champion of its name.

    Args:
        digest: of the detector; the newest version that has it is taken.

    Returns:
        The name and the version.

    Raises:
        InputError: there is no such version, or the registry cannot be used.
    """
    import mlflow

    try:
        client = mlflow.MlflowClient()
        found = client.search_model_versions(f"tag.digest = '{digest}'")
        if found:
            newest = max(found, key=lambda one: one.creation_timestamp)
            client.set_registered_model_alias(newest.name, CHAMPION, newest.version)
            return newest.name, str(newest.version)
    except Exception as error:  # of MLflow, of its store, or of what connects them
        raise InputError(
            f"{CHAMPION} cannot be moved: MLflow's registry cannot be used ({first_line(error)})."
        ) from error
    raise InputError(
        f"{CHAMPION} cannot be moved: no version in MLflow's registry is the detector {digest} "
        "that was compared; train it again with MLflow at hand."
    )


def download_detector(uri: str) -> Path:
    """Return the folder of a registered detector; none of the model's code is run.

    Args:
        uri: such as ``models:/slider@champion`` or ``models:/slider/3``; the store is that of
            MLFLOW_TRACKING_URI, or else ``mlflow.db`` in the working directory.

    Raises:
        InputError: there is no such model, or it holds no detector.
    """
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise InputError(
            f"--model {uri} needs {error.name}, which is not installed; give the detector's "
            "folder: --detector FOLDER."
        ) from None
    try:
        model = Path(mlflow.artifacts.download_artifacts(uri))
    except Exception as error:
        raise InputError(
            f"--model {uri} cannot be read ({first_line(error)}); is MLFLOW_TRACKING_URI, now "
            f"{mlflow.get_tracking_uri()}, the store that it is in?"
        ) from error
    folder = model / "artifacts" / ARTIFACT
    if not folder.is_dir():
        raise InputError(f"--model {uri} holds no detector of this project.")
    return folder


def requirements() -> list[str]:
    """Return what a detector needs to judge, pinned to what is installed."""
    # without what a build calls itself, such as +cpu: package indexes know 2.13.0 alone
    return [f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS]


class _Pyfunc:
    """MLflow's ``pyfunc``, which does not know the switch ``validate_serving_input``."""

    __name__ = "mlflow.pyfunc"

    @staticmethod
    def save_model(*, validate_serving_input: bool, **settings: Any) -> None:
        import mlflow

        mlflow.pyfunc.save_model(**settings)


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType, Array, DataType, Object, Property

    def places(*names: str) -> Array:
        return Array(Object([Property(name, DataType.double) for name in names]))

    inputs = [ColSpec("string", "audio"), ColSpec("string", "machine_id", required=False)]
    outputs = [
        ColSpec("long", "row"),
        ColSpec("double", "start_s"),
        ColSpec("string", "machine_id", required=False),
        ColSpec("string", "decision", required=False),
        ColSpec("double", "score", required=False),
        ColSpec("double", "threshold", required=False),
        ColSpec("double", "p_value", required=False),
        ColSpec(places("start_s", "end_s", "share"), "segments", required=False),
        ColSpec(places("low_hz", "high_hz", "share"), "bands", required=False),
        ColSpec(AnyType(), "notes", required=False),
        ColSpec("string", "reason", required=False),
    ]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _example(detector: Detector) -> Any:
    import pandas as pd

    from anomalous_sound.serving.judging import as_wav, example_clip

    audio = base64.b64encode(as_wav(*example_clip(detector))).decode()
    machine_id = detector.description.machine_ids[0]
    return pd.DataFrame({"audio": [audio], "machine_id": [machine_id]})


def first_line(error: Exception) -> str:
    """Return what an error says, without what a library adds to it."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
