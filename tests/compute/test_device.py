import pytest
import torch

from anomalous_sound.compute import device
from anomalous_sound.compute.device import chosen_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 fma", "32-true"),
        ("fpu avx512f avx512_bf16", "bf16-mixed"),
        ("fpu amx_bf16 amx_tile", "bf16-mixed"),
        ("", "32-true"),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(monkeypatch, flags, expected):
    monkeypatch.setattr(device, "_processor_flags", lambda: set(flags.split()))
    assert chosen_precision("auto", CPU) == expected
    for other in ("mps", "cuda"):
        assert chosen_precision("auto", torch.device(other)) == "32-true"
        assert chosen_precision("bf16-mixed", torch.device(other)) == "bf16-mixed"
    assert chosen_precision("32-true", CPU) == "32-true"
    if expected == "32-true":
        with pytest.raises(ValueError, match="does not multiply bfloat16"):
            chosen_precision("bf16-mixed", CPU)
