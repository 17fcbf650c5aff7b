"""Networks as ONNX models, run by onnxruntime."""

import base64
import io
import sys

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest

import deepconstruct as dc
from deepconstruct.construction.encoding import digest
from interchanged import by_hand, excess, one_of_each, points, real_entries, sizes_and_structures

NEWEST = 27


def run(model, x):
    """The outputs of onnxruntime, in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])


def test_every_real_entry_keeps_its_claim_in_onnxruntime():
    for name, construction in real_entries().items():
        x = points(name)
        for opset in (13, None):
            model = dc.interchange.to_onnx(construction, opset=opset)
            onnx.checker.check_model(model)
            assert excess(construction, x, run(model, x)) <= 0, (name, opset)


def test_a_wrong_weight_breaks_the_claim():
    for name in ("parity", "multiplication_gate", "fractal_cantor"):
        construction, x = real_entries()[name], points(name)
        wrong = jax.tree.map(lambda leaf: leaf * jnp.asarray(1.01, leaf.dtype), construction.network)
        assert excess(construction, x, run(dc.interchange.to_onnx(wrong), x)) > 0, name


def test_every_activation_means_the_same_in_every_opset():
    x = np.random.default_rng(2).normal(size=(50, 3)).astype("float32")
    for network in one_of_each():
        wanted = by_hand(network, x)
        for opset in (13, 18, 20, NEWEST):
            found = run(dc.interchange.to_onnx(network, opset=opset), x)
            assert np.allclose(found, wanted, rtol=1e-5, atol=1e-5), (network, opset)


def test_sizes_structures_and_repeated_blocks():
    for network in sizes_and_structures():
        x = np.random.default_rng(3).uniform(size=(7, network.in_size)).astype("float32")
        found = run(dc.interchange.to_onnx(network), x)
        assert np.allclose(found, by_hand(network, x), rtol=1e-5, atol=1e-5)


def test_step_is_zero_at_zero_and_passes_nan_on():
    step = dc.Network.from_matrices([[[1.0]]], None, ["step"], dtype="float32")
    x = np.array([[0.0], [-0.0], [1e-45], [-1e-45], [2.0], [np.nan]], "float32")
    found = run(dc.interchange.to_onnx(step, opset=13), x)
    assert np.array_equal(found.ravel(), [0, 0, 1, 0, 1, np.nan], equal_nan=True)


def test_batches_are_dynamic_or_static():
    xor = dc.parity(2, dtype="float32")
    shape = dc.interchange.to_onnx(xor).graph.input[0].type.tensor_type.shape.dim
    assert (shape[0].dim_param, shape[1].dim_value) == ("batch", 2)
    static = dc.interchange.to_onnx(xor, batch=3)
    assert [dim.dim_value for dim in static.graph.output[0].type.tensor_type.shape.dim] == [3, 1]
    assert run(static, np.eye(3, 2, dtype="float32")).ravel().tolist() == [1, 1, 0]
    assert run(dc.interchange.to_onnx(xor), np.zeros((0, 2), "float32")).shape == (0, 1)


def test_float64_and_float16():
    wide = dc.parity(5, dtype="float64")
    x = dc.domains.Bits(5).corners()
    assert np.array_equal(run(dc.interchange.to_onnx(wide), x), wide.claim.target.wide(x))
    half = dc.parity(5, dtype="float16")
    assert np.array_equal(run(dc.interchange.to_onnx(half), x.astype("float16")), wide.claim.target.wide(x))


def test_a_file_is_what_the_model_is(tmp_path):
    path = tmp_path / "xor.onnx"
    model = dc.interchange.to_onnx(dc.parity(3), path, structure=False)
    assert onnx.load(path) == model
    assert not model.metadata_props
    assert path.read_bytes() == dc.interchange.to_onnx(dc.parity(3), structure=False).SerializeToString(
        deterministic=True
    )


def test_the_network_itself_goes_along():
    xor = dc.parity(4)
    (entry,) = dc.interchange.to_onnx(xor).metadata_props
    assert entry.key == "deepconstruct"
    assert digest(dc.load(io.BytesIO(base64.b64decode(entry.value)))) == digest(xor.network)


def test_what_cannot_be_written_is_named():
    own = dc.activations.Custom(jnp.arctan, "arctan")
    hidden = dc.Network.from_matrices([[[1.0]], [[1.0]], [[1.0]]], None, ["relu", own, "identity"])
    with pytest.raises(ValueError, match=r"to_onnx: layer 1 has the activation arctan \(Custom\), which has no count"):
        dc.interchange.to_onnx(hidden, structure=False)
    with pytest.raises(ValueError, match=r"to_c: layer 1 has the activation arctan \(Custom\), which has no count"):
        dc.interchange.to_c(hidden)
    with pytest.raises(
        TypeError, match=r"to_onnx: complex weights have no counterpart there; make them real by dc.realify"
    ):
        dc.interchange.to_onnx(dc.fft(4))
    with pytest.raises(TypeError, match=r"to_onnx: this is a stack of networks; take them apart by dc.unstack\(stack"):
        dc.interchange.to_onnx(dc.stack([dc.parity(2), dc.parity(2)]))
    with pytest.raises(TypeError, match=r"to_onnx: weights must be of .*; got bfloat16. Cast them by dc.astype"):
        dc.interchange.to_onnx(dc.parity(2, dtype="bfloat16"))
    with pytest.raises(TypeError, match="to_onnx: the weights are being traced; call it outside jit, vmap and grad"):
        jax.jit(dc.interchange.to_onnx)(dc.parity(2).network)
    with pytest.raises(TypeError, match="to_onnx: expected a Network or Construction; got int"):
        dc.interchange.to_onnx(3)


def test_arguments_are_checked():
    xor = dc.parity(2)
    with pytest.raises(ValueError, match="to_onnx: opset must be at least 13; got 12"):
        dc.interchange.to_onnx(xor, opset=12)
    with pytest.raises(ValueError, match=r"to_onnx: opset must be at most 2[0-9]; got 99"):
        dc.interchange.to_onnx(xor, opset=99)
    with pytest.raises(ValueError, match="to_onnx: batch must be at least 1; got 0"):
        dc.interchange.to_onnx(xor, batch=0)
    with pytest.raises(TypeError, match="to_onnx: structure must be True or False; got 1"):
        dc.interchange.to_onnx(xor, structure=1)  # pyright: ignore[reportArgumentType]


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"to_onnx needs onnx: pip install 'deepconstruct\[interchange\]'"):
        dc.interchange.to_onnx(dc.parity(2))
