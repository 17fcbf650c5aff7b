"""ONNX models from elsewhere as networks, against onnxruntime; and what is refused."""

import base64
import io
import warnings

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

import deepconstruct as dc
from deepconstruct.construction.encoding import digest
from deepconstruct.network import flat_layers
from interchanged import by_hand, dense_digest, one_of_each, real_entries, sizes_and_structures
from test_interchange_onnx import run

HEAD = '<ir_version: 8, opset_import: ["" : %s]>\nmain (%s x) => (%s y)'
CONSTANTS = {
    "w": [[0.5, -1.25, 3.0], [1.0, 2.5, -0.75]],  # (out, in)
    "wt": [[0.5, 1.0], [-1.25, 2.5], [3.0, -0.75]],
    "v": [[1.0, -2.0]],
    "b": [0.1, -0.2],
    "row": [[0.1, -0.2]],
    "three": [0.3, 0.6, -0.9],
    "s": 0.7,
    "one": [1.0],
    "half": 0.5,
    "root": float(np.sqrt(0.5)),
    "sqrt2": float(np.sqrt(2)),
    "tanhroot": float(np.sqrt(2 / np.pi)),
    "small": 0.044715,
    "cube": 3.0,
    "zero": 0.0,
    "wide": np.ones((2, 3, 3)),
    "bad": [[np.nan, 1.0, 1.0], [1.0, 1.0, 1.0]],
}
SIZES = {"flat": [-1, 3], "image": [0, 1, 3], "parts": [1, 1], "uneven": [2, 1], "rest": [0, -1], "wrong": [3, -1]}


def model_of(nodes, shape="float[n, 3]", opset=20, out="float[n, m]", dtype="float32"):
    """A model of a graph as text, with those constants that it names."""
    model = onnx.parser.parse_model(HEAD % (opset, shape, out) + " {" + nodes + "}")
    named = {name for node in model.graph.node for name in node.input}
    tensors = {name: np.asarray(value, dtype) for name, value in CONSTANTS.items() if name in named}
    tensors |= {name: np.asarray(value, np.int64) for name, value in SIZES.items() if name in named}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in tensors.items())
    return model


# Graphs as other tools write them, and the names of the activations of their layers.
GRAPHS = {
    "gemm": ("y = Gemm<transB=1>(x, w, b)", ["identity"]),
    "gemm with a row": ("y = Gemm(x, wt, row)", ["identity"]),
    "gemm without a bias": ("y = Gemm(x, wt)", ["identity"]),
    "gemm with a scalar": ("y = Gemm(x, wt, s)", ["identity"]),
    "matmul and add": ("a = MatMul(x, wt) c = Add(a, b) y = Relu(c)", ["relu"]),
    "bias first": ("a = MatMul(x, wt) c = Add(b, a) y = Tanh(c)", ["tanh"]),
    "two biases": ("a = Gemm(x, wt, b) y = Add(a, row)", ["identity", "identity"]),
    "two layers": ("a = Gemm(x, wt, b) c = Relu(a) y = Gemm<transB=1>(c, v)", ["relu", "identity"]),
    "linear neurons": ("a = Gemm(x, wt, b) y = Gemm<transB=1>(a, v)", ["identity", "identity"]),
    "normalized": ("a = Sub(x, three) c = Mul(a, three) y = MatMul(c, wt)", ["identity"] * 3),
    "halved": ("a = Div(x, half) y = MatMul(a, wt)", ["identity"] * 2),
    "a constant node": ("k = Constant<value_float = 0.5>() a = MatMul(x, wt) y = Add(a, k)", ["identity"]),
    "activations of activations": ("a = Relu(x) c = Tanh(a) y = MatMul(c, wt)", ["relu", "tanh", "identity"]),
    "sigmoid": ("a = MatMul(x, wt) y = Sigmoid(a)", ["sigmoid(1)"]),
    "steep sigmoid": ("a = MatMul(x, wt) c = Mul(s, a) y = Sigmoid(c)", ["sigmoid(0.7)"]),
    "steep tanh": ("a = MatMul(x, wt) c = Mul(s, a) y = Tanh(c)", ["identity", "tanh"]),
    "affine after": ("a = Tanh(x) c = Mul(a, s) d = Add(c, half) y = MatMul(d, wt)", ["tanh"] + ["identity"] * 3),
    "softplus": ("a = MatMul(x, wt) y = Softplus(a)", ["softplus"]),
    "gelu": ("a = MatMul(x, wt) y = Gelu(a)", ["gelu(erf)"]),
    "gelu by tanh": ('a = MatMul(x, wt) y = Gelu<approximate="tanh">(a)', ["gelu(tanh)"]),
    "gelu of PyTorch": (
        "a = MatMul(x, wt) c = Div(a, sqrt2) d = Erf(c) e = Add(d, one) f = Mul(a, e) y = Mul(f, half)",
        ["gelu(erf)"],
    ),
    "gelu by tanh written out": (
        "a = MatMul(x, wt) c = Mul(a, a) d = Mul(a, c) e = Mul(small, d) f = Add(a, e) g = Mul(f, tanhroot)"
        "h = Tanh(g) i = Add(one, h) j = Mul(a, i) y = Mul(half, j)",
        ["gelu(tanh)"],
    ),
    "silu": ("a = MatMul(x, wt) c = Sigmoid(a) y = Mul(c, a)", ["silu"]),
    "square of relu": ("a = MatMul(x, wt) c = Relu(a) y = Mul(c, c)", ["relu", "square"]),
    "step": ("a = MatMul(x, wt) c = Relu(a) y = Sign(c)", ["step"]),
    "cube": ("a = MatMul(x, wt) y = Pow(a, cube)", ["power(3)"]),
    "softmax": ("a = MatMul(x, wt) y = Softmax<axis=1>(a)", ["softmax"]),
    "identities": ("a = Identity(x) k = Identity(wt) c = MatMul(a, k) y = Identity(c)", ["identity"]),
    "parts": (
        "a = MatMul(x, wt) c, d = Split<axis=1>(a, parts) e = Relu(c) y = Concat<axis=-1>(e, d)",
        ["relu + identity"],
    ),
    "parts of activated units": (
        "a = Tanh(x) c, d = Split<axis=-1>(a, uneven) e = Exp(d) f = Concat<axis=1>(c, e) y = MatMul(f, wt)",
        ["tanh", "identity + exp", "identity"],
    ),
}
IMAGES = {
    "flatten": ("a = Flatten(x) y = Gemm(a, wt, b)", "float[n, 1, 1, 3]"),
    "normalized image": ("a = Sub(x, three) c = Flatten<axis=1>(a) y = Gemm(c, wt, b)", "float[1, 1, 1, 3]"),
    "column": ("a = Flatten(x) y = Gemm(a, wt, b)", "float[n, 3, 1]"),
    "reshape": ("a = Reshape(x, flat) y = Gemm(a, wt, b)", "float[n, 3, 1]"),
    "reshape the rest": ("a = Reshape(x, rest) y = Gemm(a, wt, b)", "float[n, 3, 1]"),
    "back and forth": ("a = Reshape(x, image) c = Relu(a) d = Flatten(c) y = MatMul(d, wt)", "float[n, 3]"),
    "last axis": ("a = MatMul(x, wt) c = Add(a, b) y = Flatten(c)", "float[n, 1, 3]"),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.default_cases(30)
def test_graphs_of_other_tools_are_read(name):
    nodes, activations = GRAPHS[name]
    model = model_of(nodes)
    network = dc.interchange.from_onnx(model)
    assert [layer.activation.name() for layer in flat_layers(network)] == activations
    x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    assert np.allclose(by_hand(network, x), run(model, x), rtol=1e-5, atol=1e-5)
    assert network.dtype == np.float32


def test_images_are_flattened():
    for nodes, shape in IMAGES.values():
        model = model_of(nodes, shape)
        network = dc.interchange.from_onnx(model)
        x = np.random.default_rng(0).normal(size=(1, 3)).astype("float32")
        sizes = [int(size) if size.strip().isdigit() else 1 for size in shape[6:-1].split(",")]
        assert np.allclose(by_hand(network, x), run(model, x.reshape(sizes)), rtol=1e-5, atol=1e-6), nodes


def test_one_input_without_a_batch():
    model = model_of("a = MatMul(x, wt) c = Add(a, b) y = Softmax(c)", "float[3]", out="float[m]")
    x = np.array([1.0, -2.0, 0.5], "float32")
    assert np.allclose(by_hand(dc.interchange.from_onnx(model), x), run(model, x), rtol=1e-6)


def test_float64_and_float16_stay():
    for name, dtype in (("double", "float64"), ("float16", "float16")):
        shape, out = f"{name}[n, 3]", f"{name}[n, m]"
        model = model_of("y = Gemm(x, wt, b)", shape, out=out, dtype=dtype)
        assert dc.interchange.from_onnx(model).dtype == dtype


def test_every_real_entry_comes_back_with_its_digest():
    for name, construction in real_entries().items():
        model = dc.interchange.to_onnx(construction)
        assert digest(dc.interchange.from_onnx(model)) == digest(construction.network), name
        for opset in (13, None):
            bare = dc.interchange.from_onnx(dc.interchange.to_onnx(construction, opset=opset, structure=False))
            assert digest(bare) == dense_digest(construction.network), name


def test_the_digest_tells_a_changed_weight():
    model = dc.interchange.to_onnx(dc.parity(3, dtype="float32"), structure=False)
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[0, 0] = np.nextafter(weight[0, 0], np.float32(9))
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, model.graph.initializer[0].name))
    assert digest(dc.interchange.from_onnx(model)) != dense_digest(dc.parity(3, dtype="float32").network)


def test_every_activation_and_structure_comes_back():
    for network in (*one_of_each(), *sizes_and_structures()):
        for opset in (13, None):
            model = dc.interchange.to_onnx(network, opset=opset)
            assert digest(dc.interchange.from_onnx(model)) == digest(network)
            assert digest(dc.interchange.from_onnx(model, structure=False)) == dense_digest(network)


def test_what_comes_back_certifies_again():
    for name in ("parity", "parity_step", "fractal_cantor", "boolean_function", "multiplication_square"):
        construction = real_entries()[name]
        back = dc.interchange.from_onnx(dc.interchange.to_onnx(construction))
        assert dc.certify(dc.claim(back, construction.claim)).verdict == "proved", name
    xor = real_entries()["parity"]
    bare = dc.interchange.from_onnx(dc.interchange.to_onnx(xor, structure=False))
    assert dc.certify(bare, xor.claim).verdict == "proved"


@pytest.mark.slow
def test_every_entry_certifies_again():
    for name, construction in real_entries().items():
        back = dc.interchange.from_onnx(dc.interchange.to_onnx(construction))
        assert dc.certify(dc.claim(back, construction.claim)).verdict == dc.certify(construction).verdict, name


def test_a_changed_graph_is_believed_rather_than_what_is_stored_beside_it():
    model = dc.interchange.to_onnx(dc.parity(2, dtype="float32"))
    other = dc.interchange.to_onnx(dc.parity(2, dtype="float32", activation="step"))
    prop = model.metadata_props[0]
    for text, reason in ((other.metadata_props[0].value, "it is that of another graph"), ("!", "Only base64|Invalid")):
        prop.value = text
        with pytest.warns(RuntimeWarning, match=f"from_onnx: the structure stored in the file isn't used: ({reason})"):
            network = dc.interchange.from_onnx(model)
        assert [layer.activation.name() for layer in flat_layers(network)] == ["relu", "identity"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dc.interchange.from_onnx(model, structure=False)


REFUSED = {
    r"node 'y' \(Celu\): this operator can't be carried; known are Relu": "y = Celu(x)",
    r"node 'y' \(Gemm\): alpha must be 1, since its product with weights would be": "y = Gemm<alpha=0.5>(x, wt)",
    r"node 'y' \(Gemm\): transA must be 0": "y = Gemm<transA=1>(x, wt)",
    r"node 'y' \(Gemm\): a matrix of shape \(2, 3\) doesn't fit features \(3,\)": "y = Gemm(x, w)",
    r"node 'y' \(Gemm\): its input 1 must be a constant": "y = Gemm(x, x)",
    r"node 'y' \(Gemm\): a constant of shape \(3,\) doesn't fit features \(2,\)": "y = Gemm(x, wt, three)",
    r"node 'y' \(Gemm\): its attribute 'odd' isn't known": "y = Gemm<odd=1>(x, wt)",
    r"node 'y' \(Gemm\): it must multiply \(batch, features\) by a matrix": "y = Gemm(x, b)",
    r"node 'y' \(MatMul\): the constant matrix must stand second": "y = MatMul(w, x)",
    r"node 'y' \(MatMul\): it must multiply by a matrix; got shape \(2, 3, 3\)": "y = MatMul(x, wide)",
    r"node 'a' \(Relu\): its input 0 must depend on the network's input": "a = Relu(w) c = MatMul(a, x) y = Relu(c)",
    r"node 'y' \(Add\): it joins two branches": "a = MatMul(x, wt) c = Relu(a) d = MatMul(x, wt) y = Add(c, d)",
    r"node 'y' \(Add\): what it is made of is no activation of dc.activations": "a = Relu(x) y = Add(a, x)",
    r"node 'y' \(Sub\): only constants can be subtracted": "y = Sub(three, x)",
    r"node 'y' \(Div\): it must divide by one number that isn't 0": "a = MatMul(x, wt) y = Div(a, b)",
    r"node 'y' \(Div\): what it is made of is no activation": "y = Div(x, s)",
    r"node 'y' \(Div\): it must divide by one number that": "y = Div(x, zero)",
    r"node 'y' \(Pow\): the power must be one integer of at least 1": "y = Pow(x, s)",
    r"node 'y' \(Gelu\): approximate must be 'none' or 'tanh'; got b'x'": 'y = Gelu<approximate="x">(x)',
    r"node 'y' \(Softmax\): its axis must be the last, and hold all features; got axis 0": "y = Softmax<axis=0>(x)",
    r"node 'y' \(Flatten\): its axis must be 1, that behind the batch": "y = Flatten<axis=0>(x)",
    r"node 'y' \(Reshape\): it must keep the axis of the batch .*; got shape \[3, -1\]": "y = Reshape(x, wrong)",
    r"node 'a, c' \(Split\): its parts must be of all 3 features; got": "a, c = Split<axis=1>(x, parts) y = Relu(a)",
    r"node 'a, c' \(Split\): parts of a layer's units can only be activated and concatenated": (
        "a, c = Split<axis=1>(x, uneven) y = Mul(a, row)"
    ),
    r"node 'y' \(Concat\): it joins branches": "a = Relu(x) y = Concat<axis=1>(a, x)",
    r"node 'y' \(Concat\): it must concatenate all parts of a Split in their order": (
        "a, c = Split<axis=1>(x, uneven) y = Concat<axis=1>(c, a)"
    ),
    r"node 'y' \(Concat\): node 'd' \(Erf\) gives no activation of dc.activations": (
        "a, c = Split<axis=1>(x, uneven) d = Erf(a) y = Concat<axis=1>(d, c)"
    ),
    r"node 'y' \(Add\): no node before it gives 'nothing'": "y = Add(x, nothing)",
    r"node 'y' \(Mul\): it must have two inputs": "y = Mul(x)",
    "the output must be that of a layer of the input; got a graph without layers": "y = Identity(x)",
    r"node 'k' \(Constant\): constants of 'value_string' can't be carried": (
        'k = Constant<value_string = "a">() y = Add(x, k)'
    ),
    r"node 'k' \(Constant\): it must have one value; got \[\]": "k = Constant() y = Add(x, k)",
    r"node 'y' \(Gemm\): its input 1 must be finite; got nan": "y = Gemm<transB=1>(x, bad)",
    r"node 'y' \(MatMul\): its input 1 must be of float32, as the network's input; got int64": "y = MatMul(x, parts)",
    r"node 'y' \(Reshape\): its input 1 must hold integers; got float32": "y = Reshape(x, three)",
    r"node 'y' \(Relu\): parts of a layer's units can only be activated and concatenated": (
        "a, c = Split<axis=1>(x, uneven) y = Relu(c)"
    ),
    r"node 'y' \(Relu\): there are two values 'y'": "y = MatMul(x, wt) y = Relu(x)",
}


@pytest.mark.parametrize("message", REFUSED)
@pytest.mark.default_cases(50)
def test_what_cannot_be_carried_is_named_with_its_node(message):
    with pytest.raises(ValueError, match="from_onnx: .*" + message):
        dc.interchange.from_onnx(model_of(REFUSED[message]))


def test_a_long_row_of_operators_is_refused_in_no_time():
    doubling = "a0 = MatMul(x, wt)" + "".join(f" a{k + 1} = Mul(a{k}, a{k})" for k in range(200)) + " y = Relu(a200)"
    with pytest.raises(ValueError, match="so many elementwise operators in a row are no activation"):
        dc.interchange.from_onnx(model_of(doubling))


def test_graphs_that_are_no_chains_of_one_input_are_refused():
    model = model_of("y = Gemm(x, wt)")
    model.graph.input.append(onnx.helper.make_tensor_value_info("other", 1, [1]))
    with pytest.raises(ValueError, match="from_onnx: the graph must have one input; got 2: 'x', 'other'"):
        dc.interchange.from_onnx(model)
    for shape in ("float[n, k]", "float[n, 0]", "float", "float[n, 9999999, 0]"):
        with pytest.raises(ValueError, match="from_onnx: input 'x' must have a static number of features; got shape"):
            dc.interchange.from_onnx(model_of("y = Relu(x)", shape))
    with pytest.raises(ValueError, match="from_onnx: input 'x' must be of float16, float32 or float64; got int64"):
        dc.interchange.from_onnx(model_of("y = Relu(x)", "int64[n, 3]"))
    with pytest.raises(ValueError, match=r"node 'y' .*: its input 1 must be of float64, as the network's input; got"):
        dc.interchange.from_onnx(model_of("y = Gemm(x, wt)", "double[n, 3]"))
    for opset in (6, 99):
        with pytest.raises(ValueError, match=r"from_onnx: the opset must be from .*; got \[[0-9]+\]"):
            dc.interchange.from_onnx(model_of("y = Relu(x)", opset=opset))


def test_untrusted_parts_are_refused():
    model = model_of("y = Gemm(x, wt)")
    outside = onnx.ModelProto.FromString(model.SerializeToString())
    outside.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(
        ValueError, match="from_onnx: tensor 'wt' lies in another file, which isn't read; store it inside"
    ):
        dc.interchange.from_onnx(outside)
    large = onnx.ModelProto.FromString(model.SerializeToString())
    large.graph.initializer[0].dims[:] = [2**40, 2**20]
    with pytest.raises(ValueError, match="from_onnx: tensor 'wt' doesn't hold what it promises"):
        dc.interchange.from_onnx(large)
    text = onnx.ModelProto.FromString(model.SerializeToString())
    text.graph.initializer[0].data_type = onnx.TensorProto.STRING
    with pytest.raises(ValueError, match="from_onnx: tensor 'wt' must hold floats or sizes; got STRING"):
        dc.interchange.from_onnx(text)
    parts = onnx.ModelProto.FromString(model.SerializeToString())
    parts.graph.initializer[0].segment.begin = 0
    with pytest.raises(ValueError, match="from_onnx: tensor 'wt' is stored in segments, which aren't read"):
        dc.interchange.from_onnx(parts)
    sparse = onnx.ModelProto.FromString(model.SerializeToString())
    sparse.graph.sparse_initializer.add()
    with pytest.raises(ValueError, match="from_onnx: sparse initializers can't be carried; write dense ones"):
        dc.interchange.from_onnx(sparse)
    function = onnx.ModelProto.FromString(model.SerializeToString())
    function.functions.add(name="own")
    with pytest.raises(ValueError, match="from_onnx: functions can't be carried; got 'own'"):
        dc.interchange.from_onnx(function)
    inside = onnx.ModelProto.FromString(model.SerializeToString())
    inside.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
    with pytest.raises(ValueError, match=r"from_onnx: node 'y' \(Gemm\): graphs inside of nodes can't be carried"):
        dc.interchange.from_onnx(inside)


def test_files_are_checked(tmp_path):
    path = tmp_path / "model.onnx"
    dc.interchange.to_onnx(dc.parity(3), path)
    assert digest(dc.interchange.from_onnx(path)) == digest(dc.parity(3).network)
    with pytest.raises(ValueError, match=r"from_onnx: .*model.onnx has more than max_bytes=100 bytes; pass a larger"):
        dc.interchange.from_onnx(path, max_bytes=100)
    with pytest.raises(FileNotFoundError):
        dc.interchange.from_onnx(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="from_onnx: the content is malformed"):
        dc.interchange.from_onnx(b"\xff\xff\xff")
    with pytest.raises(
        ValueError, match=r"from_onnx: the content is no ONNX model \(it has no graph, or doesn't say of which opset\)"
    ):
        dc.interchange.from_onnx(b"")
    with pytest.raises(TypeError, match=r"from_onnx: expected a path or bytes; got int"):
        dc.interchange.from_onnx(3)


def test_a_few_bytes_cannot_ask_for_much_memory():
    with pytest.raises(ValueError, match=r"from_onnx: input 'x' must have at most 67108864 features; got shape"):
        dc.interchange.from_onnx(model_of("y = Relu(x)", "float[n, 100000000]"))
    with pytest.raises(ValueError, match=r"from_onnx: input 'x' must have at most 67108864 features; got shape"):
        dc.interchange.from_onnx(model_of("y = Relu(x)", "float[n, 4294967296, 4294967296]"))
    nodes = "".join(f" a{k + 1} = Relu(a{k})" for k in range(20))
    with pytest.raises(ValueError, match=r"node .* \(Relu\): layers up to it would have more than 67108864 units"):
        dc.interchange.from_onnx(model_of(f"a0 = Relu(x) {nodes} y = Relu(a20)", "float[n, 4000000]"))


def test_what_is_stored_beside_a_graph_cannot_ask_for_much_memory_or_time():
    vast = dc.linear.Identity(2**20)
    square = dc.Layer(dc.linear.Identity(1), None, "square")
    model = dc.interchange.to_onnx(dc.Network((square,)))
    for layers in ((dc.Layer(vast, None, "square"),), (dc.Repeat((square,), 10**12),)):
        file = io.BytesIO()
        dc.save(file, dc.Network(layers))
        model.metadata_props[0].value = base64.b64encode(file.getvalue()).decode()
        with pytest.warns(RuntimeWarning, match="the structure stored in the file isn't used: it is that of another"):
            dc.interchange.from_onnx(model)


def damaged(content, rng):
    """Content with some bytes changed, cut off or doubled."""
    changed = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 6)):
        changed[place] = rng.integers(0, 256)
    end = rng.integers(1, len(content) + 1)
    return bytes(rng.choice([0, 1, 2]) * b"x" + changed[:end] if rng.random() < 0.3 else changed)


def refusals(read, content, times, seed):
    """How often a reader refuses damaged content; a `ValueError` is all that it may raise."""
    rng, count = np.random.default_rng(seed), 0
    for _ in range(times):
        wrong = rng.bytes(int(rng.integers(0, 200))) if rng.random() < 0.1 else damaged(content, rng)
        try:
            read(wrong)
        except ValueError as error:
            assert "the content" in str(error)  # noqa: PT017
            count += 1
    return count


def contents():
    networks = (dc.parity(3), one_of_each()[-1], one_of_each()[8])
    for network in networks:
        for structure in (False, True):
            yield dc.interchange.to_onnx(network, opset=13, structure=structure).SerializeToString()


@pytest.mark.filterwarnings("ignore:from_onnx. the content. the structure stored")
def test_damaged_files_are_refused_or_read_and_nothing_else():
    for content in contents():
        assert refusals(dc.interchange.from_onnx, content, 60, 0) > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:from_onnx. the content. the structure stored")
def test_more_damaged_files_are_refused_or_read_and_nothing_else():
    for content in contents():
        assert refusals(dc.interchange.from_onnx, content, 600, 1) > 100
