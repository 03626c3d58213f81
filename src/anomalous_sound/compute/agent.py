"""torchrun, as a run starts it on its own host: it ends with the run.

It is a program of its own, since a process that is told what torchrun tells its children would
import Kedro, which is the run's main program.
"""

from anomalous_sound.compute.parent import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    from torch.distributed.run import main

    main()
