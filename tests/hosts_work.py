"""A process of another host, which is killed when it has begun its second epoch."""

import os
import signal
import sys

from anomalous_sound.training import loop
from anomalous_sound.training.rank import main

whole = loop._train_epoch
begun = []


def train_epoch(*arguments):
    begun.append(1)
    if len(begun) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments)


if __name__ == "__main__":
    loop._train_epoch = train_epoch
    sys.exit(main())
