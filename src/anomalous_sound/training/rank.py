"""One of several processes, on one or more hosts, that train together; torchrun starts it.

    torchrun --nnodes 2 … -m anomalous_sound.training.rank JOB

The line to type is in the log of the run that has written the job; see docs/cluster.md. On the
first host the run reads what is printed: lines of JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback

from anomalous_sound.compute.device import make_fabric
from anomalous_sound.compute.parent import end_with_parent
from anomalous_sound.compute.ranks import backend_of, joined, use_interface_to
from anomalous_sound.errors import InputError
from anomalous_sound.storage.remote import place_of
from anomalous_sound.training.job import TrainingJob, result_of, write_result
from anomalous_sound.training.loop import train_members


class _ToTheRun(logging.Handler):
    """Tells the run, which logs it."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(told=record.getMessage())


def _say(**what: str) -> None:
    print(json.dumps(what), flush=True)


def train(job_place: str) -> None:
    """Have this process's share in a training; the first process writes what comes of it.

    Raises:
        InputError: the job or its frames cannot be read, another process is lost, or the loss
            becomes infinite.
    """
    place = place_of(job_place)
    job = TrainingJob.read(place)
    job.check_frames()
    is_first = os.environ["RANK"] == "0"
    device = make_fabric(job.training.accelerator, job.training.precision).device
    windows = job.windows_of_members()
    use_interface_to(os.environ["MASTER_ADDR"])
    with joined("env://", backend_of(device), job.wait_s):
        if is_first:
            _say(joined="")
            logger = logging.getLogger("anomalous_sound")
            logger.setLevel(logging.INFO)
            logger.addHandler(_ToTheRun())
        networks, history = train_members(
            windows,
            clips=job.clips,
            description=job.description,
            training=job.training,
            seed=job.seed,
            checkpoint=job.checkpoint,
            jobs=1,
        )
        if is_first:
            write_result(result_of(place), networks, history)


def main() -> int:
    """Train, and say in a sentence what the user can do something about."""
    end_with_parent()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    is_with_run = os.environ["GROUP_RANK"] == "0"
    try:
        train(sys.argv[1])
    except InputError as mistake:
        if is_with_run:
            _say(mistake=str(mistake))
        elif os.environ["LOCAL_RANK"] == "0":
            print(f"Error: {mistake}", file=sys.stderr)
        return 1
    except Exception:
        if is_with_run:
            _say(failure=traceback.format_exc())
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
