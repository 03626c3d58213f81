"""Encoders for tests: ONNX models whose embeddings can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper, numpy_helper

OPSET = helper.make_opsetid("", 17)


def save(
    path: Path,
    nodes: list[Any],
    *,
    inputs: list[Any] | None = None,
    outputs: list[Any] | None = None,
    samples: int | str = "samples",
    shape: tuple[Any, ...] = ("batch", 2),
    initializer: list[Any] | None = None,
    opsets: list[Any] | None = None,
) -> Path:
    """Write a model that reads ``x`` and gives ``y``."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", samples])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))
    graph = helper.make_graph(nodes, "encoder", inputs or [x], outputs or [y], initializer or [])
    model = helper.make_model(graph, opset_imports=opsets or [OPSET], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def constant(name: str, values: Any) -> Any:
    import numpy as np

    return numpy_helper.from_array(np.array(values), name)


def loudness(path: Path, samples: int | str = "samples", **changed: Any) -> Path:
    """Of all that it reads: the mean absolute sample, and the mean square."""
    nodes = [
        helper.make_node("Abs", ["x"], ["absolute"]),
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("ReduceMean", ["absolute"], ["a"], axes=[1], keepdims=1),
        helper.make_node("ReduceMean", ["square"], ["b"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["a", "b"], ["y"], axis=1),
    ]
    return save(path, nodes, samples=samples, **changed)


def quarters(path: Path, samples: int) -> Path:
    """Of a piece of fixed length: the lowest and the highest sample of each quarter, over time."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["cut"]),
        helper.make_node("ReduceMin", ["cut"], ["low"], axes=[2], keepdims=1),
        helper.make_node("ReduceMax", ["cut"], ["high"], axes=[2], keepdims=1),
        helper.make_node("Concat", ["low", "high"], ["y"], axis=2),
    ]
    shape = constant("shape", [1, 4, samples // 4])
    return save(path, nodes, samples=samples, shape=("batch", 4, 2), initializer=[shape])


def with_external_data(path: Path) -> Path:
    """A model whose weights lie in another file."""
    gain = constant("gain", [1.0, 2.0]).__class__()
    gain.CopyFrom(constant("gain", [[0.5]]))
    gain.data_type = TensorProto.FLOAT
    gain.ClearField("raw_data")
    gain.data_location = TensorProto.EXTERNAL
    gain.external_data.add(key="location", value="../secret.bin")
    node = helper.make_node("Mul", ["x", "gain"], ["y"])
    return save(path, [node], shape=("batch", "samples"), initializer=[gain])
