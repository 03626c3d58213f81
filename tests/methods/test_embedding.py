"""Encoders that a user gives: what is accepted, what is refused, and what they say of a clip."""

import json
import warnings

import numpy as np
import pytest
import torch
from encoders import constant, loudness, quarters, save, with_external_data
from onnx import TensorProto, helper
from support import BAND_DEVIATION, RATE, describe_network

from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.methods.embedding import EmbeddingSettings, EncoderSettings
from anomalous_sound.methods.embedding.encoder import FrozenEncoder, look_at_encoder
from anomalous_sound.methods.network_files import read_networks, write_networks
from anomalous_sound.scoring.encoder import ClipEncoder, pieces

SETTINGS = {
    "architecture": "frozen_encoder",
    "path": None,
    "sample_rate": RATE,
    "output": None,
    "piece_s": None,
    "hop_s": None,
    "rest": "pad",
    "max_bytes": 10**6,
}
SCORE = BAND_DEVIATION | {"backend": {"type": "mean"}}


def settings(path, **changed):
    return EncoderSettings(**SETTINGS | {"path": str(path)} | changed)


def look(path, sample_rate=RATE, **changed):
    return look_at_encoder(settings(path, **changed), sample_rate=sample_rate)


def frozen(path, **changed):
    encoder = {key: value for key, value in SETTINGS.items() if key != "architecture"}
    description = describe_network("embedding", encoder | {"path": str(path)} | changed)
    return FrozenEncoder(look(path, **changed), description)


def test_of_a_clip_of_any_length(tmp_path):
    encoder = ClipEncoder(frozen(loudness(tmp_path / "e.onnx")))
    samples = np.array([0.5, -0.5, 1.0, 0.0], np.float32)
    np.testing.assert_allclose(encoder.embeddings(samples), [[0.5, 0.375]])


def test_of_a_piece_over_time_and_of_the_rest(tmp_path):
    samples = np.arange(-4, 8).astype(np.float32)  # a piece of eight, and a half
    path = quarters(tmp_path / "e.onnx", 8)
    encoder = ClipEncoder(frozen(path))
    first = [[-4, -3], [-2, -1], [0, 1], [2, 3]]
    assert encoder.embeddings(samples).tolist() == [*first, [4, 5], [6, 7], [0, 0], [0, 0]]
    dropped = ClipEncoder(frozen(path, rest="drop"))
    assert dropped.embeddings(samples).tolist() == first
    with pytest.raises(UnreadableClipError, match="4 samples, and the encoder reads pieces of 8"):
        dropped.embeddings(samples[:4])
    overlapping = ClipEncoder(frozen(path, hop_s=4 / RATE))
    assert overlapping.embeddings(samples)[4:].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_of_several_channels_side_by_side(tmp_path):
    encoder = ClipEncoder(frozen(loudness(tmp_path / "e.onnx")))
    errors = encoder.errors("a", np.array([[1, -1], [2, 0]], np.float32))
    assert errors.band_errors.tolist() == [[[1, 1, 1, 2]]]


@pytest.mark.parametrize(
    ("length", "hop", "pad", "expected"),
    [
        (None, None, True, [[0, 1, 2, 3, 4]]),
        (5, 5, True, [[0, 1, 2, 3, 4]]),
        (3, 2, True, [[0, 1, 2], [2, 3, 4]]),
        (3, 1, False, [[0, 1, 2], [1, 2, 3], [2, 3, 4]]),
        (4, 3, True, [[0, 1, 2, 3], [3, 4, 0, 0]]),
        (4, 3, False, [[0, 1, 2, 3]]),
        (7, 7, True, [[0, 1, 2, 3, 4, 0, 0]]),
    ],
)
def test_pieces(length, hop, pad, expected):
    assert [one.tolist() for one in pieces(np.arange(5), length, hop, pad=pad)] == expected


def test_what_is_found_in_a_file(tmp_path):
    found = look(quarters(tmp_path / "e.onnx", 8), hop_s=2 / RATE)
    assert (found.input, found.output, found.piece, found.hop, found.values) == ("x", "y", 8, 2, 2)
    assert look(loudness(tmp_path / "any.onnx")).piece is None
    assert look(loudness(tmp_path / "any.onnx"), piece_s=0.5).piece == RATE // 2


def identity(kind, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(kind, dtype, shape)


X, Y = identity("x", ["batch", "samples"]), identity("y", ["batch", "samples"])
COPY = [helper.make_node("Identity", ["x"], ["y"])]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"inputs": [identity("x", ["b", 1, "t"])]}, r"'x' has 3 axes .*two are needed"),
        ({"inputs": [identity("x", [4, "t"])]}, "batches of 4 alone"),
        (
            {
                "inputs": [identity("x", ["b", "t"], TensorProto.INT64)],
                "outputs": [identity("y", ["b", "t"], TensorProto.INT64)],
            },
            r"'x' is tensor\(int64\); tensor\(float\) is needed",
        ),
        (
            {
                "inputs": [X, identity("length", ["batch"])],
                "nodes": [*COPY, helper.make_node("Identity", ["length"], ["z"])],
            },
            r"2 inputs \(x, length\)",
        ),
        (
            {
                "nodes": [*COPY, helper.make_node("Identity", ["x"], ["z"])],
                "outputs": [Y, identity("z", ["batch", "samples"])],
            },
            "the outputs y, z; name one: embedding.encoder.output",
        ),
        (
            {
                "nodes": [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)],
                "outputs": [identity("y", ["batch", "samples"], TensorProto.INT64)],
            },
            r"'y' is tensor\(int64\)",
        ),
        (
            {
                "nodes": [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)],
                "outputs": [identity("y", ["batch"])],
            },
            "'y' is 1 for one piece; 1 × values",
        ),
        (
            {"nodes": [helper.make_node("Log", ["x"], ["y"])]},
            "'y' holds values that are NaN or infinite",
        ),
        (
            {
                "nodes": [helper.make_node("Spy", ["x"], ["y"], domain="com.example")],
                "opsets": [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)],
            },
            "operator com.example::Spy is not of the ONNX standard",
        ),
        (
            {
                "nodes": [helper.make_node("Reshape", ["x", "shape"], ["y"])],
                "initializer": [constant("shape", [1, 7])],
            },
            "fails on 16000 samples",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, model, message):
    how = {"inputs": [X], "outputs": [Y], "nodes": COPY} | model
    path = save(tmp_path / "e.onnx", how.pop("nodes"), **how)
    with pytest.raises(InputError, match=rf"e.onnx cannot be used: .*{message}") as refused:
        look(path)
    assert "\n" not in str(refused.value)


def inside_a_branch(path):
    """A model with an operator from elsewhere in a branch that is never taken."""
    spy = helper.make_node("Spy", ["x"], ["s"], domain="com.example")
    there = helper.make_graph([spy], "there", [], [identity("s", None)])
    here = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["h"])], "here", [], [identity("h", None)]
    )
    node = helper.make_node("If", ["never"], ["y"], then_branch=there, else_branch=here)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    never = constant("never", False)
    return save(path, [node], outputs=[Y], opsets=opsets, initializer=[never])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (with_external_data, "its weights 'gain' lie in another file"),
        (inside_a_branch, "com.example::Spy"),
        (lambda path: path.write_bytes(b"no model at all"), "it is no ONNX model"),
        (lambda path: path.write_bytes(b""), "it is no ONNX model"),
        (lambda path: path.mkdir(), "it is no file"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_reaches_beyond_its_file_or_is_no_model_is_refused(tmp_path, make, message):
    make(tmp_path / "e.onnx")
    with pytest.raises(InputError, match=message):
        look(tmp_path / "e.onnx")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"path": None}, "needs an encoder that you give.*embedding.encoder.path=FILE"),
        ({"sample_rate": None}, "give it: embedding.encoder.sample_rate"),
        ({"sample_rate": 32000}, "at 32000 Hz, and clips are read at 16000 Hz; give audio.sample"),
        ({"max_bytes": 10}, "at most 10 are read"),
        ({"output": "z"}, "no output 'z'.*it has y"),
        ({"hop_s": 0.5}, "reads a clip whole"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        look_at_encoder(
            EncoderSettings(**SETTINGS | {"path": str(loudness(tmp_path / "e.onnx"))} | changed),
            sample_rate=RATE,
        )


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"piece_s": 1.0}, "pieces of 8 samples"), ({"hop_s": 1.0}, "between two pieces")],
)
def test_a_fixed_length_is_the_model_s(tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        look(quarters(tmp_path / "e.onnx", 8), **changed)


def test_torchscript_is_not_loaded(tmp_path):
    with pytest.raises(InputError, match=r"only ONNX is read.*torch\.onnx\.export"):
        look(tmp_path / "encoder.pt")


@pytest.mark.parametrize(
    "changed",
    [
        {"type": "pooled_error", "pooling": {"type": "mean"}},
        SCORE | {"reads": "spectrum"},
        SCORE | {"scale": "logarithmic"},
        {"type": "joined", "fits": 9, "parts": [SCORE, SCORE | {"reads": "spectrum"}]},
    ],
)
def test_a_score_that_does_not_read_embeddings_is_refused(changed):
    EmbeddingSettings.model_validate({"encoder": SETTINGS, "score": SCORE})
    with pytest.raises(ValueError, match=r"embedding\.score.*accepted"):
        EmbeddingSettings.model_validate({"encoder": SETTINGS, "score": changed})


def test_an_encoder_is_kept_by_its_digest(tmp_path):
    path = loudness(tmp_path / "e.onnx")
    encoder = frozen(path)
    folder = tmp_path / "detector"
    folder.mkdir()
    files, values = write_networks(encoder, folder)
    assert (files, list(folder.iterdir())) == ([], [])
    values = json.loads(json.dumps(values))
    again = read_networks(values, folder, encoder.description)
    assert list(again.contents()) == list(encoder.contents())

    quarters(path, 8)
    with pytest.raises(InputError, match="not the one that the detector was made with"):
        read_networks(values, folder, encoder.description)
    path.unlink()
    with pytest.raises(InputError, match="it there, or beside the detector's"):
        read_networks(values, folder, encoder.description)
    beside = loudness(folder / "e.onnx")
    moved = read_networks(values, folder, encoder.description)
    assert moved.file.path == str(beside)
    assert list(moved.contents()) == list(encoder.contents())


def test_a_clip_that_gives_no_numbers_is_told(tmp_path):
    path = save(tmp_path / "e.onnx", [helper.make_node("Reciprocal", ["x"], ["y"])], outputs=[Y])
    encoder = ClipEncoder(frozen(path))
    assert encoder.embeddings(np.array([0.5, 0.25], np.float32)).tolist() == [[2, 4]]
    with pytest.raises(UnreadableClipError, match="on 2 samples of it: .*NaN or infinite"):
        encoder.embeddings(np.array([0.5, 0], np.float32))


def test_an_encoder_as_pytorch_exports_it(tmp_path):
    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.frames = torch.nn.Conv1d(1, 3, kernel_size=400, stride=160)

        def forward(self, samples):
            return torch.relu(self.frames(samples[:, None])).transpose(1, 2)

    torch.manual_seed(0)
    model = Encoder().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            torch.zeros(1, 16000),
            str(tmp_path / "e.onnx"),
            input_names=["samples"],
            output_names=["embedding"],
            dynamic_axes={"samples": {0: "batch", 1: "samples"}},
            dynamo=False,
        )
    samples = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    found = ClipEncoder(frozen(tmp_path / "e.onnx")).embeddings(samples)
    with torch.no_grad():
        expected = model(torch.from_numpy(samples)[None])[0].numpy()
    assert found.shape == (11, 3)  # (2000 - 400) // 160 + 1 times
    np.testing.assert_allclose(found, expected, atol=1e-5)
