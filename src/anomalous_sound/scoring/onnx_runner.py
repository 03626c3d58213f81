"""Networks applied by ONNX Runtime, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.errors import InputError, missing_package
from anomalous_sound.methods.exported import (
    ERRORS,
    FIRST_FRAMES,
    FRAMES,
    MACHINE,
    ExportedNetworks,
)


class OnnxRunner:
    """Exported networks; each is read when the first clip needs it. See :class:`.runner.Runner`.

    It computes on the processor, in float32 and on one thread for each clip: how many threads share
    a sum decides its last bit.
    """

    on_cpu = True

    def __init__(self, networks: ExportedNetworks, settings: ScoringSettings) -> None:
        """Remember the networks.

        Args:
            networks: the exported networks.
            settings: the batch size; device and precision are those of the export.

        Raises:
            InputError: ONNX Runtime is not installed.
        """
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise InputError(f"an export needs ONNX Runtime; {missing_package(error)}.") from error
        self._runtime = onnxruntime
        self._networks = networks
        self._batch_size = settings.batch_size
        self._sessions: dict[str, Any] = {}
        self._opening = Lock()

    def errors(
        self,
        members: Sequence[str],
        frames: NDArray[np.float32],
        first_frames: NDArray[np.int64],
        *,
        machine: int,
    ) -> NDArray[np.float32]:
        """Return the errors of one clip; see :meth:`.runner.Runner.errors`."""
        windows = len(first_frames)
        size = self._batch_size if self._networks.windows_alone else max(windows, 1)
        batches = [first_frames[start : start + size] for start in range(0, max(windows, 1), size)]
        given: dict[str, np.ndarray] = {
            FRAMES: np.ascontiguousarray(frames),
            MACHINE: np.array(machine, np.int64),
        }
        found = []
        for session in map(self._session, members):
            wanted = {one.name for one in session.get_inputs()}
            parts = [
                session.run([ERRORS], _only(wanted, {**given, FIRST_FRAMES: batch}))[0]
                for batch in batches
            ]
            found.append(np.concatenate(parts))
        return np.stack(found)

    def _session(self, member: str) -> Any:
        with self._opening:
            if member not in self._sessions:
                options = self._runtime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3  # errors alone
                self._sessions[member] = self._runtime.InferenceSession(
                    self._networks.graphs[member], options, providers=["CPUExecutionProvider"]
                )
            return self._sessions[member]


def _only(wanted: set[str], given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in given.items() if name in wanted}
