import gc
import subprocess
import sys

import pytest

from anomalous_sound.compute.memory import nothing_to_collect


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told")
def test_freed_memory_is_not_asked_of_the_system_again():
    code = """
import resource, torch
from anomalous_sound.compute.memory import keep_freed_memory
keep_freed_memory()
for turn in range(20):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(2_000_000) for _ in range(4)]
    del parts
pages = 4 * 8_000_000 / resource.getpagesize()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / pages)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert float(printed.stdout) < 3  # times the pages of a turn, in 18 turns


def test_garbage_is_collected_again_as_before():
    with pytest.raises(ImportError), nothing_to_collect():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled()
    gc.disable()
    try:
        with nothing_to_collect():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
