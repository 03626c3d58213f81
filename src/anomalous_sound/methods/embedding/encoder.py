"""An encoder that the user gives: what its file holds, and whether it can be used.

An ONNX file is data: no code in it is run. What could reach beyond it is refused: weights in other
files, and operators that are not of the ONNX standard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anomalous_sound.configuration.base import Settings
from anomalous_sound.errors import InputError, missing_package
from anomalous_sound.methods.embedding import EncoderSettings
from anomalous_sound.methods.trained import SHARED, NetworkDescription, Networks

_STANDARD = ("", "ai.onnx", "ai.onnx.ml")  # operator domains
_FLOAT = "tensor(float)"
_OF_TORCH = (".pt", ".pth", ".ts", ".bin", ".ckpt")
_TRIAL_S = 1.0


class EncoderFile(Settings):
    """What is known of the file of an encoder, once it has been looked at.

    Attributes:
        path: where it is.
        sha256: of its bytes.
        input: name of its only input: float32, 1 × samples.
        output: name of the output that is read: float32, 1 × values, or 1 × times × values.
        piece: samples that it reads at once; None: any number, a clip whole.
        hop: samples from one piece to the next; None: it reads a clip whole.
        values: of an embedding.
    """

    path: str
    sha256: str
    input: str
    output: str
    piece: int | None
    hop: int | None
    values: int

    def content(self) -> bytes:
        """Read the file.

        Raises:
            InputError: it is not there, or is another one than was looked at.
        """
        try:
            content = Path(self.path).read_bytes()
        except OSError as error:
            raise InputError(
                f"the encoder {self.path} cannot be read ({error.strerror}); the detector judges "
                f"with no other (sha256 {self.sha256}). Put it there, or beside the detector's "
                "settings.json."
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise InputError(
                f"the encoder {self.path} is not the one that the detector was made with: its "
                f"sha256 is {found}, and not {self.sha256}. Give it the same file, or make the "
                "detector anew: kedro run --pipeline embedding."
            )
        return content


@dataclass(frozen=True)
class FrozenEncoder(Networks):
    """An encoder in the place of trained networks: one, which has heard none of the clips.

    Its weights are not a part of it: where it is written, the path and the digest of the file are.

    Attributes:
        file: the encoder.
        description: how clips are read, and of which machine they are.
    """

    file: EncoderFile
    description: NetworkDescription

    def members(self) -> tuple[str, ...]:
        """Return the only member, which judges all machine IDs."""
        return (SHARED,)

    def contents(self) -> Iterable[tuple[str, bytes]]:
        """Return what tells one encoder from another; not where it lies."""
        known = self.file.model_dump(exclude={"path"})
        yield "encoder", repr(sorted(known.items())).encode()

    def count_parameters(self) -> int:
        """Return the number of trained values: nothing was trained here."""
        return 0


def open_session(content: bytes) -> Any:
    """Open an encoder with ONNX Runtime, on one thread of the processor.

    Raises:
        InputError: ONNX Runtime is not installed, or cannot apply it.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise InputError(f"an encoder needs ONNX Runtime; {missing_package(error)}.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what fails is told by the error
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many types
        raise InputError(f"ONNX Runtime cannot apply the encoder: {_first_line(error)}.") from error


def look_at_encoder(settings: EncoderSettings, *, sample_rate: int) -> EncoderFile:
    """Look at an encoder, and make sure that it can be used; nothing in it is trusted.

    Args:
        settings: where it is, and how it is applied.
        sample_rate: of the clips as they are read, Hz.

    Raises:
        InputError: no encoder is given, or it cannot be used; a sentence says why.
    """
    if settings.path is None:
        raise InputError(
            "the method embedding needs an encoder that you give, as an ONNX file: --params "
            "embedding.encoder.path=FILE,embedding.encoder.sample_rate=HZ (docs/embeddings.md); "
            "none comes with this package."
        )
    path = Path(settings.path).expanduser().resolve()
    if settings.sample_rate is None:
        raise InputError(
            f"the encoder {path} does not say of which sample rate the samples are that it reads; "
            "give it: embedding.encoder.sample_rate=16000."
        )
    if settings.sample_rate != sample_rate:
        raise InputError(
            f"the encoder reads samples at {settings.sample_rate} Hz, and clips are read at "
            f"{sample_rate} Hz; give audio.sample_rate={settings.sample_rate} too."
        )
    try:
        content = _read(path, settings.max_bytes)
        _check_is_closed(_parsed(content))
        session = open_session(content)
        name, length = _input_of(session)
        output = _output_of(session, settings.output)
        piece, hop = _pieces(settings, length, sample_rate)
        values = _values_of(session, name, output, piece or round(_TRIAL_S * sample_rate))
    except ValueError as error:  # an InputError too
        raise InputError(f"the encoder {path} cannot be used: {error}") from error
    return EncoderFile(
        path=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        input=name,
        output=output,
        piece=piece,
        hop=hop,
        values=values,
    )


def _read(path: Path, max_bytes: int) -> bytes:
    if path.suffix.lower() in _OF_TORCH:
        raise ValueError(
            "only ONNX is read, because other files may run code; export it with torch.onnx.export."
        )
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ValueError("it is no file.")
        if size > max_bytes:
            raise ValueError(
                f"it has {size} bytes; at most {max_bytes} are read (embedding.encoder.max_bytes)."
            )
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror}).") from None


def _parsed(content: bytes) -> Any:
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise InputError(f"to look at it takes onnx; {missing_package(error)}.") from error
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # of the protocol buffers in use
        raise ValueError(f"it is no ONNX model ({_first_line(error)}).") from None
    if not model.graph.node:
        raise ValueError("it is no ONNX model: it holds no operators.")
    return model


def _check_is_closed(model: Any) -> None:
    """Make sure that a model needs no other file, and no operator from elsewhere."""
    own = {function.domain for function in model.functions}
    bodies = [model.graph, *model.functions]
    for body in bodies:
        for node in _nodes(body):
            if node.domain not in (*_STANDARD, *own):
                raise ValueError(
                    f"its operator {node.domain}::{node.op_type} is not of the ONNX standard; "
                    "export it with standard operators alone."
                )
        for tensor in _tensors(body):
            if tensor.data_location != tensor.DEFAULT or tensor.external_data:
                raise ValueError(
                    f"its weights '{tensor.name}' lie in another file; write it as one file, as "
                    "torch.onnx.export does with external_data=False."
                )


def _graphs(body: Any) -> Iterator[Any]:
    """Yield a graph, or a function, and all graphs inside of it."""
    yield body
    for node in body.node:
        for attribute in node.attribute:
            for inner in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _graphs(inner)


def _nodes(body: Any) -> Iterator[Any]:
    for graph in _graphs(body):
        yield from graph.node


def _tensors(body: Any) -> Iterator[Any]:
    for graph in _graphs(body):
        yield from getattr(graph, "initializer", [])
        for sparse in getattr(graph, "sparse_initializer", []):
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from [*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors]
                if attribute.HasField("sparse_tensor"):
                    yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)


def _input_of(session: Any) -> tuple[str, int | None]:
    """Return the name of the only input, and how many samples it reads; None: any number."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(one.name for one in inputs)
        raise ValueError(f"it has {len(inputs)} inputs ({names}); one is needed, batch × samples.")
    (one,) = inputs
    if one.type != _FLOAT:
        raise ValueError(f"its input '{one.name}' is {one.type}; {_FLOAT} is needed, float32.")
    if len(one.shape) != 2:
        raise ValueError(
            f"its input '{one.name}' has {len(one.shape)} axes {one.shape}; two are needed, "
            "batch × samples."
        )
    batch, samples = one.shape
    if isinstance(batch, int) and batch != 1:
        raise ValueError(
            f"it reads batches of {batch} alone; export it for any number, or for one at a time."
        )
    return one.name, samples if isinstance(samples, int) else None


def _output_of(session: Any, wanted: str | None) -> str:
    outputs = {one.name: one for one in session.get_outputs()}
    names = ", ".join(outputs)
    if wanted is None and len(outputs) > 1:
        raise ValueError(f"it has the outputs {names}; name one: embedding.encoder.output=NAME.")
    name = wanted or next(iter(outputs))
    if name not in outputs:
        raise ValueError(f"it has no output '{name}' (embedding.encoder.output); it has {names}.")
    if outputs[name].type != _FLOAT:
        raise ValueError(f"its output '{name}' is {outputs[name].type}; {_FLOAT} is needed.")
    return name


def _pieces(
    settings: EncoderSettings, length: int | None, sample_rate: int
) -> tuple[int | None, int | None]:
    """Return how many samples a piece and its hop have; None: a clip is read whole."""
    piece = length
    if settings.piece_s is not None:
        piece = max(round(settings.piece_s * sample_rate), 1)
        if length not in (None, piece):
            raise ValueError(
                f"it reads pieces of {length} samples, {length / sample_rate:g} s, and "
                f"embedding.encoder.piece_s is {settings.piece_s:g}; leave that out."
            )
    if piece is None:
        if settings.hop_s is not None:
            raise ValueError(
                "it reads a clip whole, and embedding.encoder.hop_s is from piece to piece; give "
                "embedding.encoder.piece_s too."
            )
        return None, None
    if settings.hop_s is None:
        return piece, piece
    hop = max(round(settings.hop_s * sample_rate), 1)
    if hop > piece:
        raise ValueError(
            f"it reads pieces of {piece / sample_rate:g} s, and embedding.encoder.hop_s is "
            f"{settings.hop_s:g}: sound would lie between two pieces; give less."
        )
    return piece, hop


def _values_of(session: Any, name: str, output: str, samples: int) -> int:
    """Apply the encoder to faint noise; return how many values an embedding has."""
    noise = 0.01 * np.random.default_rng(0).standard_normal((1, samples))
    try:
        (found,) = session.run([output], {name: noise.astype(np.float32)})
    except Exception as error:  # of many types
        raise ValueError(f"it fails on {samples} samples: {_first_line(error)}.") from None
    return int(embedding_of(found, output).shape[1])


def embedding_of(found: np.ndarray, output: str) -> np.ndarray:
    """Return what an encoder said of one piece as times × values.

    Args:
        found: what it returned for a batch of one.
        output: its name.

    Raises:
        ValueError: it is neither 1 × values nor 1 × times × values, empty, or not finite.
    """
    if found.ndim not in (2, 3) or len(found) != 1 or not found.size:
        shape = " × ".join(map(str, found.shape)) or "a single number"
        raise ValueError(
            f"its output '{output}' is {shape} for one piece; 1 × values or 1 × times × values "
            "is needed."
        )
    if not np.isfinite(found).all():
        raise ValueError(f"its output '{output}' holds values that are NaN or infinite.")
    return found.reshape(-1, found.shape[-1])


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
