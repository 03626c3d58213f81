"""What MLflow runs to serve a registered detector: this file is copied into the model.

It answers a row a clip; what cannot be judged is a row with a reason.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Rejection
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.serving.judging import judge_upload

COLUMNS = [
    *("row", "start_s", "machine_id", "decision", "score", "threshold", "p_value"),
    *("segments", "bands", "notes", "reason"),
]


class DetectorModel(PythonModel):
    """A detector as MLflow calls it."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the detector."""
        self.detector = Detector.load(context.artifacts["detector"])

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Judge recordings.

        Args:
            context: not used.
            model_input: ``audio``, an audio file in base64, and ``machine_id``, if it is known.
            params: not used.

        Returns:
            A row a clip: ``row``, counted from 0, is that of the recording, and ``start_s`` where
            in it the clip begins; ``reason`` says why a clip could not be judged.
        """
        known = "machine_id" in model_input
        rows = [
            {**dict.fromkeys(COLUMNS), "row": row, **values}
            for row, given in enumerate(model_input.to_dict("records"))
            for values in self._judged(given["audio"], given["machine_id"] if known else None)
        ]
        return pd.DataFrame(rows, columns=COLUMNS, dtype=object)

    def _judged(self, audio: Any, machine_id: Any) -> list[dict[str, Any]]:
        try:
            content = base64.b64decode(audio, validate=True)
        except (TypeError, ValueError, binascii.Error):
            return [_rejected("audio is not base64", 0.0)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "recording")
            path.write_bytes(content)
            try:
                results = list(
                    judge_upload(
                        *(self.detector, path),
                        machine_id=machine_id if isinstance(machine_id, str) else None,
                    )
                )
            except (InputError, UnreadableClipError) as error:
                return [_rejected(str(error), 0.0)]
        return [
            _rejected(one.reason, one.start_s) if isinstance(one, Rejection) else one.to_json()
            for one in results
        ]


def _rejected(reason: str, start_s: float) -> dict[str, Any]:
    return {"reason": reason, "start_s": start_s}


set_model(DetectorModel())
