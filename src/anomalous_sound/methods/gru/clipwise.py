"""The GRU autoencoder applied to a clip at once, without gradients: the same numbers, sooner.

Windows share most of their frames, so the first layer multiplies each frame of the clip once and
not once for every window that it is in; the other layers multiply all frames of their input in one
product; and a first step has no state to multiply. Products go through oneDNN: for float32, torch
would call MKL, which on some processors (AMD's) reaches half of its rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


class ClipOfWindows(NamedTuple):
    """Windows of a clip.

    Attributes:
        frames: frames × mel bands.
        first_frames: int64, the first frame of each window.
        length: frames of a window.
        masked: the frame of a window that is hidden (all 0); None: none is.
    """

    frames: Tensor
    first_frames: Tensor
    length: int
    masked: int | None = None


def is_quicker(frames: Tensor) -> bool:
    """Return whether this way is to be taken: on a CPU, in float32, without gradients."""
    return (
        frames.device.type == "cpu"
        and frames.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
    )


def encode(gru: nn.GRU, windows: ClipOfWindows) -> list[Tensor]:
    """Return the states of the last layer at each frame of the windows.

    Args:
        gru: batch first, with biases, in one direction.
        windows: to be read, from a state of 0.

    Returns:
        ``windows.length`` tensors, windows × units.
    """
    weight, bias, *_ = _layer(gru, 0)
    of_clip = product(windows.frames, weight, bias)
    of_steps = [of_clip[windows.first_frames + step] for step in range(windows.length)]
    if windows.masked is not None:
        of_steps[windows.masked] = bias.expand_as(of_steps[windows.masked])
    return _stacked(gru, of_steps)


def decode(gru: nn.GRU, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the states of the last layer at each step.

    Args:
        gru: batch first, with biases, in one direction.
        inputs: one per step, windows × units; the same one at every step is multiplied once.
    """
    return _stacked(gru, _of_inputs(gru, 0, inputs))


def product(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``inputs @ weight.T + bias``."""
    if _ONEDNN is None:
        return nn.functional.linear(inputs, weight, bias)
    found: Tensor = _ONEDNN(inputs, weight, bias, "none", [], "")
    return found


def _stacked(gru: nn.GRU, of_steps: list[Tensor]) -> list[Tensor]:
    """Run all layers, the first of which has multiplied its inputs already."""
    states = _run(gru, 0, of_steps)
    for number in range(1, gru.num_layers):
        states = _run(gru, number, _of_inputs(gru, number, states))
    return states


def _of_inputs(gru: nn.GRU, number: int, inputs: Sequence[Tensor]) -> list[Tensor]:
    weight, bias, *_ = _layer(gru, number)
    if all(one is inputs[0] for one in inputs):
        return [product(inputs[0], weight, bias)] * len(inputs)
    return list(torch.split(product(torch.cat(list(inputs)), weight, bias), len(inputs[0])))


def _run(gru: nn.GRU, number: int, of_steps: Sequence[Tensor]) -> list[Tensor]:
    """Run one layer over its steps (Cho et al., 2014, in cuDNN's form).

    Args:
        gru: that it belongs to.
        number: of the layer.
        of_steps: what each step's input contributes to reset gate, update gate and new state, bias
            included: windows × 3 units.
    """
    _, _, weight, bias = _layer(gru, number)
    units = gru.hidden_size
    state = None
    states = []
    for of_input in of_steps:
        of_state = bias.expand_as(of_input) if state is None else product(state, weight, bias)
        gates = torch.sigmoid(of_input[:, : 2 * units] + of_state[:, : 2 * units])
        reset, update = gates[:, :units], gates[:, units:]
        new = torch.tanh(torch.addcmul(of_input[:, 2 * units :], reset, of_state[:, 2 * units :]))
        state = new - update * new if state is None else torch.lerp(new, state, update)
        states.append(state)
    return states


def _layer(gru: nn.GRU, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return weight and bias of a layer's input, weight and bias of its state."""
    of_input, of_state, bias_of_input, bias_of_state = (
        getattr(gru, f"{kind}_l{number}")
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return of_input, bias_of_input, of_state, bias_of_state
