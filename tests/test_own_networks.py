"""Networks from matrices and layers from raw arrays, against NumPy."""

# Wrong arguments are the point of the refusals.
# pyright: reportArgumentType=false

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import GELU, Custom, Identity, ReLU, Sigmoid, Softmax, Tanh
from deepconstruct.linear import Permutation, as_matrix

RNG = np.random.default_rng(0)
W1, W2, W3 = (RNG.normal(size=shape) for shape in ((4, 3), (5, 4), (2, 5)))
B1, B2, B3 = (RNG.normal(size=size) for size in (4, 5, 2))
X = RNG.normal(size=(6, 3))
matrices = dc.Network.from_matrices


def plain(x, weights, biases, activations):
    for weight, bias, activation in zip(weights, biases, activations, strict=True):
        z = x @ np.asarray(weight).T + (0 if bias is None else bias)
        x = activation(z)
    return x


def nothing(z):
    return z


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray, np.ndarray.tolist], ids=["numpy", "jax", "lists"])
def test_a_network_from_matrices_computes_what_numpy_does(kind):
    network = matrices([kind(W1), kind(W2), kind(W3)], [kind(B1), None, kind(B3)], "tanh")
    found = plain(X, (W1, W2, W3), (B1, None, B3), (np.tanh, np.tanh, nothing))
    assert network.dtype == "float64"
    assert np.allclose(network(X), found, rtol=0, atol=1e-13)


def test_one_activation_a_layer_is_taken_as_given():
    network = matrices([W1, W2, W3], None, ["relu", Tanh(), "sigmoid"])
    logistic = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    found = plain(X, (W1, W2, W3), (None,) * 3, (lambda z: np.maximum(z, 0), np.tanh, logistic))
    assert np.allclose(network(X), found, rtol=0, atol=1e-13)
    assert [layer.bias for layer in network.layers] == [None] * 3  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.default_cases(3)
@pytest.mark.parametrize(
    "values,dtype,expected",
    [
        ([W1, W2], None, "float64"),
        ([W1.astype("float32"), W2.astype("float32")], None, "float32"),
        ([W1.astype("float32"), W2.tolist()], None, "float32"),
        ([W1.astype("float16"), W2.astype(">f4")], None, "float32"),
        ([W1.astype("float16"), jnp.asarray(W2, "bfloat16")], None, "float32"),
        ([W1.astype(np.longdouble), W2], None, "float64"),
        ([W1.astype("float32").astype(int), W2.astype("float32")], None, "float32"),
        ([np.ones((4, 3), int), np.ones((5, 4), bool)], None, "float64"),
        ([W1, W2], "bfloat16", "bfloat16"),
        ([W1.astype("complex64"), W2.astype("float64")], None, "complex128"),
        ([[[1j, 0, 0]], np.ones((2, 1), "float32")], None, "complex64"),
        ([W1, W2], "complex64", "complex64"),
    ],
)
@pytest.mark.parametrize("promotion", ["standard", "strict"])
def test_all_weights_have_one_dtype(values, dtype, expected, promotion):
    with jax.numpy_dtype_promotion(promotion):
        network = matrices(values, None, "identity", dtype=dtype)
        assert {leaf.dtype.name for leaf in jax.tree.leaves(network)} == {expected}
        assert network(np.ones(3)).dtype == expected


def test_maps_of_the_library_may_stand_among_matrices():
    network = matrices([Permutation([2, 0, 1]), dc.linear.Dense(W1)], None, "identity", dtype="float32")
    assert network.dtype == "float32"
    assert np.allclose(network(X), X[:, [2, 0, 1]] @ W1.T, atol=1e-5)


def test_a_network_may_be_made_inside_jit_and_differentiated():
    def loss(weights):
        return jnp.sum(matrices(weights, [jnp.ones(4), None], "tanh")(X) ** 2)

    weights = [jnp.asarray(W1), jnp.asarray(W3[:, :4])]
    gradient = jax.jit(jax.grad(loss))(weights)
    step = 1e-6
    moved = [loss([weights[0].at[1, 2].add(sign * step), weights[1]]) for sign in (1, -1)]
    assert float(gradient[0][1, 2]) == pytest.approx(float(moved[0] - moved[1]) / (2 * step), rel=1e-6)


ALONE = [
    ([W1, W2.T], [None, None], "relu", "layer 0 gives 4 numbers but layer 1 takes 5"),
    ([W1.T, W2.T], None, "relu", r"layer 0 gives 3 numbers but layer 1 takes 5; shapes are \(out, in\) here, while"),
    ([W1, W2, np.ones((2, 6))], None, "relu", "layer 1 gives 5 numbers but layer 2 takes 6$"),
    ([W1], [B2], ["relu"], r"biases\[0\] must have shape \(4,\); got \(5,\)$"),
    ([W1], [np.ones(3)], ["relu"], r"biases\[0\] must have shape \(4,\); got \(3,\); shapes are \(out, in\) here"),
    ([W1], [B1[None]], ["relu"], r"biases\[0\] must have shape \(4,\); got \(1, 4\)"),
    ([W1, W2], [B1], "relu", "biases must have one entry a layer, None where it has no bias; got 1 for 2 matrices"),
    ([W1, W2], None, ["relu"], "activation must be one for all hidden layers, .*; got 1 for 2 layers"),
    ([W1], None, "relu", "the last layer is linear, so with one matrix relu is never applied; pass it as"),
    (W1, None, ["relu"] * 4, r"weights\[0\] must be a matrix of shape \(out, in\); got shape \(3,\). One matrix alone"),
    ([W1, None], None, "relu", r"weights\[1\] must be a matrix of shape \(out, in\); got None"),
    ([np.ones((0, 3))], None, "identity", r"weights\[0\] must be a matrix .*; got shape \(0, 3\)"),
    ([], None, "relu", "weights must be a list with one entry a layer; got an empty one"),
    ([[[1, 2], [3]]], None, "identity", r"weights\[0\] must be an array; got nested lists of unequal lengths"),
    ([[[np.nan]]], None, "identity", "Network: weights must be finite; got nan"),
    ([[[1e6]]], None, "identity", "Network: weights must be finite; got inf"),
]  # fmt: skip


@pytest.mark.parametrize("weights,biases,activation,message", ALONE, ids=[case[-1] for case in ALONE])
def test_matrices_that_do_not_fit_are_refused(weights, biases, activation, message):
    with pytest.raises(ValueError, match=message):
        matrices(weights, biases, activation, dtype="float16" if "inf" in message else None)


KINDS = [
    (W1, None, "rleu", "activation must be one of dc.activations.* got 'rleu'. Did you mean 'relu'"),
    (W1, None, None, "activation must be one of dc.activations.* got None"),
    ([W1], None, [ReLU], "activation must be one of dc.activations.* got <class"),
    ([W1], None, [np.tanh], "wrap the elementwise function tanh as dc.activations.Custom"),
    ({"w": W1}, None, "relu", "weights must be a list with one entry a layer; got dict"),
    (3, None, "relu", "weights must be a list with one entry a layer; got int"),
    ([W1], 3, ["relu"], "biases must be a list with one entry a layer; got int"),
    (["fc"], None, ["relu"], r"weights\[0\] must be numbers; got 'fc', a text"),
    ([W1.astype(object)], None, ["relu"], r"weights\[0\] must be numbers; got ndarray of objects; convert it to"),
    ([W1.astype(str)], None, ["relu"], r"weights\[0\] must be numbers; got ndarray of texts"),
    ([W1], [B1.astype(object)], ["relu"], r"biases\[0\] must be numbers; got ndarray of objects"),
]  # fmt: skip


@pytest.mark.parametrize("weights,biases,activation,message", KINDS, ids=[case[-1] for case in KINDS])
def test_matrices_of_another_kind_are_refused(weights, biases, activation, message):
    weights = [weights] if isinstance(weights, np.ndarray) else weights
    with pytest.raises(TypeError, match=message):
        matrices(weights, biases, activation)


def test_complex_weights_are_not_cast_to_real_ones():
    with pytest.raises(TypeError, match=r"Network\.from_matrices: complex weights need a complex dtype; got float32"):
        matrices([1j * W1], None, "identity", dtype="float32")
    for dtype, message in (("int32", "dtype must be a real floating type; got int32"), ("flaot", "got 'flaot'")):
        with pytest.raises(ValueError, match=message):
            matrices([W1], None, "identity", dtype=dtype)


# Layers -------------------------------------------------------------------------------------------


def test_a_layer_takes_raw_arrays_and_names():
    layer = dc.Layer(W1, B1.tolist(), "tanh")
    assert isinstance(layer.linear, dc.linear.Dense)
    assert isinstance(layer.bias, jax.Array)
    assert layer.activation == Tanh()
    assert np.allclose(layer(X), np.tanh(X @ W1.T + B1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 0, 3)], ids=str)
def test_a_layer_is_called_on_the_last_axis(shape):
    layer, x = dc.Layer(W1.astype("float32"), B1, "relu"), np.ones(shape, int)
    assert jax.jit(lambda x: layer(x))(x).shape == (*shape[:-1], 4)
    assert layer(x).dtype == "float32"


def test_a_block_is_called_as_its_layers_are():
    block = dc.Repeat.copies((dc.Layer(W1, B1, "tanh"), dc.Layer(W3[:1, :4].repeat(3, axis=0), None, "tanh")), 3)
    found = X
    for layer in block.unrolled():
        found = layer(found)
    assert np.allclose(block(X), found, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bias", [[1, 2, 3, 4], np.arange(1, 5), np.arange(1, 5.0), np.arange(1, 5, dtype=">f8")])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_a_raw_bias_takes_the_dtype_of_the_weights(bias, dtype):
    layer = dc.Layer(jnp.asarray(W1, dtype), bias)
    assert isinstance(layer.bias, jax.Array)
    assert layer.bias.dtype == dtype
    assert layer.bias.tolist() == [1, 2, 3, 4]


def test_a_complex_bias_stays_complex():
    assert dc.Layer(W1, 1j * B1).bias.dtype == "complex128"  # pyright: ignore
    assert dc.Layer(dc.linear.Identity(2), [1, 2]).bias.dtype == "float64"  # pyright: ignore


NAMES = {
    "relu": (jax.nn.relu, ReLU()),
    "gelu_tanh": (jax.nn.gelu, GELU(approximate=True)),
    "sigmoid": (jax.nn.sigmoid, Sigmoid()),
    "softmax": (jax.nn.softmax, Softmax()),
    "tanh": (jnp.tanh, Tanh()),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_and_functions_of_jax_are_activations(name):
    function, expected = NAMES[name]
    assert dc.Layer(W1, None, name).activation == dc.Layer(W1, None, function).activation == expected
    assert np.allclose(dc.Layer(W1, None, function)(X), function(X @ W1.T), rtol=0, atol=1e-12)


def test_every_name_is_its_own_function():
    from deepconstruct.activations.names import NAMED

    z, erf = np.linspace(-2, 2, 9), np.vectorize(__import__("math").erf)
    expected = {
        "identity": z, "relu": np.maximum(z, 0), "step": (z > 0).astype(float), "square": z**2,
        "sigmoid": 1 / (1 + np.exp(-z)), "tanh": np.tanh(z), "softplus": np.log1p(np.exp(z)), "exp": np.exp(z),
        "gelu": z * (1 + erf(z / np.sqrt(2))) / 2,
        "gelu_tanh": z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2,
        "silu": z / (1 + np.exp(-z)), "sin": np.sin(z), "softmax": np.exp(z) / np.exp(z).sum(),
    }  # fmt: skip
    assert expected.keys() == NAMED.keys()
    for name, values in expected.items():
        assert np.allclose(NAMED[name](jnp.asarray(z)), values, rtol=0, atol=1e-12), name


def test_a_function_of_your_own_is_wrapped():
    layer = dc.Layer(W1, None, Custom(jax.nn.celu, "celu"))
    assert np.allclose(layer(X), jax.nn.celu(X @ W1.T))


LAYERS = [
    (lambda: dc.Layer(W1)(np.ones(4)), ValueError, r"Layer: expected 3 features on axis -1; got an array of"),
    (lambda: dc.Layer(W1)(1j * X), TypeError, "Layer: complex input to a network of float64 weights"),
    (lambda: dc.Layer(W1)("101"), TypeError, "Layer: inputs must be numbers; got '101', a text"),
    (lambda: dc.Layer(W1, "bias"), TypeError, "Layer: bias must be numbers; got 'bias', a text"),
    (lambda: dc.Layer(W1, B2), ValueError, r"Layer: bias must have shape \(4,\); got \(5,\)"),
    (lambda: dc.Layer(W1.astype(object)), TypeError, "Layer: a matrix must be numbers; got ndarray of objects"),
]  # fmt: skip


@pytest.mark.parametrize("ask,error,message", LAYERS, ids=[case[-1] for case in LAYERS])
def test_layers_refuse_what_does_not_fit(ask, error, message):
    with pytest.raises(error, match=message):
        ask()


# Inputs of every kind -----------------------------------------------------------------------------

XOR, BITS = dc.parity(4, dtype="float32"), [0, 1, 1, 1]
GOOD = [">f4", ">f8", ">i2", np.longdouble, "float16", "bool", "uint8"]


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("call", [XOR, XOR.network], ids=["construction", "network"])
@pytest.mark.parametrize("dtype", GOOD, ids=str)
def test_numbers_of_any_width_and_byte_order_are_taken(call, dtype):
    assert call(np.array(BITS).astype(dtype)).tolist() == [1.0]


def test_extended_and_big_endian_complex_numbers_are_taken():
    fft, x = dc.fft(2, dtype="complex64"), np.array([1 + 1j, 2])
    assert fft(x.astype(np.clongdouble)).tolist() == fft(x.astype(">c16")).tolist() == fft(x).tolist()


def test_inputs_beyond_the_dtype_become_infinite():
    assert dc.Network((dc.Layer(jnp.ones((1, 1), "float16")),))(np.array([1e6])).tolist() == [np.inf]


BAD = [
    (np.array(BITS, object), TypeError, "inputs must be numbers; got ndarray of objects; convert it to floats first"),
    ("0111", TypeError, "inputs must be numbers; got '0111', a text"),
    (["0", "1", "1", "1"], TypeError, "inputs must be numbers; got list of texts"),
    (None, TypeError, "inputs must be numbers; got NoneType of objects"),
    (np.array(BITS, "M8[s]"), TypeError, "inputs must be numbers; got ndarray of datetime64"),
    (jax.random.key(0), TypeError, "inputs must be numbers; got PRNGKeyArray of key<fry>"),
    ([[0, 1], [1]], ValueError, "inputs must be an array; got nested lists of unequal lengths"),
]


@pytest.mark.parametrize(
    "call,owner", [(XOR, r"parity\(4\)"), (XOR.network, "Network"), (dc.linear.Identity(4), "Identity")]
)
@pytest.mark.parametrize("x,error,message", BAD, ids=[case[-1] for case in BAD])
def test_what_is_no_numbers_is_refused(call, owner, x, error, message):
    with pytest.raises(error, match=f"{owner}: {message}"):
        call(x)


@pytest.mark.parametrize("axis", [(0, 1), None, 0.0, "0", [0]], ids=str)
@pytest.mark.parametrize("call", [XOR, XOR.network], ids=["construction", "network"])
def test_an_axis_is_one_integer(call, axis):
    with pytest.raises(TypeError, match="axis must be one integer; got "):
        call(np.ones((4, 4)), axis=axis)


def test_traced_numbers_in_a_list_are_taken():
    assert jax.jit(lambda bit: XOR([bit, 0.0, 0.0, 0.0]))(1.0).tolist() == [1.0]


def test_weights_in_another_byte_order_are_taken():
    big = dc.linear.Dense(W1.astype(">f8"))
    assert np.array_equal(as_matrix(big), W1)
    sparse = dc.linear.Sparse([1, 0], [0, 1], np.array([1.0, 2.0], ">f4"), (2, 2))
    assert as_matrix(sparse).tolist() == [[0, 2], [1, 0]]


def test_trees_of_labels_are_called_as_optax_does():
    import optax

    network = matrices([W1, W3[:, :4]], [B1, None], "tanh")
    labels = jax.tree.map(lambda leaf: "train" if leaf.ndim > 1 else "freeze", network)
    masks = jax.tree.map(lambda leaf: leaf.ndim > 1, network)
    for optimizer in (
        optax.multi_transform({"train": optax.sgd(0.1), "freeze": optax.set_to_zero()}, labels),
        optax.masked(optax.sgd(0.1), masks),
    ):
        updates, _ = optimizer.update(network, optimizer.init(network), network)
        assert np.allclose(updates.layers[0].linear.weight, -0.1 * W1)  # pyright: ignore
    layer = network.layers[0]
    assert jax.tree.map(lambda leaf: True, layer)(layer) is not None
    with pytest.raises(TypeError, match="Network: inputs must be numbers; got Network of objects"):
        network(network)


def test_identity_and_dataclass_replacement_still_build_layers():
    layer = dataclasses.replace(dc.Layer(W1, B1, "relu"), activation="identity")
    assert layer.activation == Identity()


@pytest.mark.parametrize("build", [dc.parity, dc.bits_to_signs, dc.signs_to_bits, dc.parity_shallow, dc.bit_product])
def test_builders_run_inside_jit(build):
    expected = (build(3).out_size,)
    assert jax.eval_shape(lambda x: build(3).network(x), np.ones(3)).shape == expected
    assert jax.eval_shape(jax.vmap(lambda x: build(3).network(x)), np.ones((2, 3))).shape == (2, *expected)
