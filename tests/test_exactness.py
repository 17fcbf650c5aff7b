"""Where nothing rounds: grids and ranges of single units, and what must never count as exact."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._arithmetic.exactness import exact_digits, is_exact_after_step, is_exact_on
from deepconstruct.activations import Concatenate, Identity, Power, ReLU, Square, Step
from deepconstruct.domains import Bits, Points, Product, Signs
from deepconstruct.linear import Butterfly, Composed, Dense, DirectSum, SignPatterns, SignProduct, Sparse, Stack
from deepconstruct.network import Layer, Network, Repeat


def net(*layers, dtype="float32"):
    """Dense layers `(weights, bias, activation)`, the last two if there are any."""
    made = []
    for weights, *rest in layers:
        bias, activation = rest or (None, Identity())
        bias = None if bias is None else jnp.asarray(bias, dtype)
        made.append(Layer(Dense(jnp.asarray(weights, dtype)), bias, activation))
    return Network(tuple(made))


def line(*weights, bias=None, dtype="float32"):
    """One unit of a few inputs."""
    return net(([weights], None if bias is None else [bias], Identity()), dtype=dtype)


def scaled(network, exponents):
    """ReLU layers whose units are scaled by powers of two, the next weights by their inverses."""
    layers, before = [], np.ones(network.in_size)
    for layer in network.layers:
        last = layer is network.layers[-1]
        after = np.ones(layer.out_size) if last else 2.0 ** np.resize(exponents, layer.out_size)
        weights = np.asarray(dc.linear.as_matrix(layer.linear)) * after[:, None] / before
        bias = None if layer.bias is None else jnp.asarray(np.asarray(layer.bias) * after, network.dtype)
        layers.append(Layer(Dense(jnp.asarray(weights, network.dtype)), bias, layer.activation))
        before = after
    return Network(tuple(layers))


@pytest.mark.parametrize("exponents", [[40], [-40], [40, -40], [0, 3, -7, 40, -40]])
def test_parity_stays_exact_where_its_units_are_scaled(exponents):
    plain = dc.parity(8, dtype="float32").network
    other = scaled(plain, exponents)
    assert exact_digits(other, Bits(8)) == exact_digits(plain, Bits(8)) == 4
    x = np.asarray(Bits(8).enumerate(jnp.arange(256)))
    assert np.array_equal(np.asarray(other(x)), x.sum(axis=1, keepdims=True) % 2)


@pytest.mark.parametrize("exponent,exact", [(118, True), (-118, True), (127, False)])
def test_scales_beyond_the_range_are_not_exact(exponent, exact):
    assert is_exact_on(scaled(dc.parity(8, dtype="float32").network, [exponent]), Bits(8)) is exact


@pytest.mark.parametrize(
    "network,exact",
    [
        (line(0.25, -0.25, 1 + 2.0**-23), True),
        (line(1, -1, 1 + 2.0**-23), False),  # one ulp that the order (1 - 1) + w keeps, and another rounds
        (line(1, -1, 1 - 2.0**-24), False),
        (line(2.0**24, 1), False),  # the sum 2^24 + 1 is no float
        (line(2.0**23, 1), True),
        (line(2.0**127, 2.0**127), False),  # overflows
        (line(2.0**127, -(2.0**127)), True),  # no order overflows
        (line(2.0**127, -(2.0**127), 2.0**127), False),  # one does
        (line(2.0**-126, 2.0**-126), True),
        (line(2.0**-127), False),  # subnormal, may be flushed
        (line(2.0**-126, -(2.0**-126) * (1 + 2.0**-23)), False),  # the difference is subnormal
        (line(1.0, bias=0.0), True),
        (line(2.0**40, bias=0.0), True),  # a zero bias constrains nothing
        (line(2.0**40, bias=1.0), False),
        (line(0.1), True),  # a single product by 0 or 1
        (line(0.1, 0.2), False),
        (net(([[2.0**100]],), ([[2.0**100]],)), False),
        (net(([[2.0**-100]],), ([[2.0**-100]],)), False),
        (net(([[2.0**100]],), ([[2.0**-100]],)), True),
        (net(([[1.0]], None, Square()), ([[1.0]],)), True),
        (net(([[2.0**70]], None, Square())), False),
        (net(([[2.0**-70]], None, Square())), False),
        (net(([[4097.0]], None, Square())), False),
        (net(([[3.0]], None, Power(15))), True),
        (net(([[3.0]], None, Power(16))), False),
        (net(([[0.1]], None, Step())), True),
        (net(([[1.0]], None, dc.activations.Sigmoid())), False),
    ],
)
def test_what_is_exact_on_bits(network, exact):
    assert is_exact_on(network, Bits(network.in_size)) is exact


@pytest.mark.parametrize("dtype,digits", [("float16", 11), ("bfloat16", 8), ("float32", 24), ("float64", 53)])
def test_the_digits_of_every_dtype_count(dtype, digits):
    fits = line(2.0 ** (digits - 1) - 1, 1, dtype=dtype)
    assert exact_digits(fits, Bits(2)) == digits
    assert not is_exact_on(line(2.0 ** (digits - 1), 2.0 ** (digits - 1), 1, dtype=dtype), Bits(3))


def test_the_largest_number_counts():
    assert is_exact_on(line(2.0**15, dtype="float16"), Bits(1))
    assert not is_exact_on(line(2.0**15, 2.0**15, dtype="float16"), Bits(2))
    assert is_exact_on(line(2.0**15, 2.0**15, dtype="bfloat16"), Bits(2))


def test_complex_weights_count_by_their_parts():
    assert is_exact_on(line(1 + 1j, 3j, dtype="complex64"), Bits(2))
    assert not is_exact_on(line(2.0**23 * (1 + 1j), 1, dtype="complex64"), Bits(2))
    assert not is_exact_on(net(([[1j]], None, ReLU()), dtype="complex64"), Bits(1))
    assert is_exact_on(dc.fft(4, dtype="complex64").network, Bits(4))
    assert not is_exact_on(dc.fft(8, dtype="complex64").network, Bits(8))


def test_stages_that_run_as_one_count_by_the_products_of_their_weights():
    def stages(first, second):
        twiddles = [np.ones((2, 2, 2, 1), "f4") * first, np.ones((1, 2, 2, 2), "f4") * second]
        return Network(tuple(Layer(Butterfly(jnp.asarray(t))) for t in twiddles))

    points = Points(2.0**-100 * np.eye(4))
    assert is_exact_on(stages(1, 1), points)
    assert is_exact_on(stages(2.0**50, 2.0**50), points)
    assert not is_exact_on(stages(2.0**100, 2.0**60), points)  # 2^160 overflows, though the sums don't


def test_points_must_be_floats_themselves():
    one = line(1.0)
    assert is_exact_on(one, Points([[16777216.0]]))
    assert not is_exact_on(one, Points([[16777217.0]]))
    assert not is_exact_on(one, Points([[0.1]]))
    assert is_exact_on(one, Points([[float(np.float32(0.1))], [2.0**100]]))
    assert not is_exact_on(one, Points([[2.0**-130]]))
    assert not is_exact_on(one, Points([[1e300]]))
    assert is_exact_on(line(1.0, 1.0), Product((Signs(1), Points([[0.5], [7.0]]))))
    assert not is_exact_on(line(1.0, 1.0), dc.domains.Box(2, 0, 1))


def test_maps_are_followed_as_they_are_run():
    # As one matrix the weights would be 0 and 1; the factors round.
    large = Dense(jnp.array([[1.0, 2.0**24]], "float32"))
    cancels = Composed(large, Dense(jnp.array([[1.0], [0.0]], "float32")))
    rounds = Composed(large, Dense(jnp.array([[1.0], [1.0]], "float32")))
    for linear, exact in ((cancels, True), (rounds, False), (DirectSum((cancels, rounds)), False)):
        assert is_exact_on(Network((Layer(linear),)), Bits(linear.in_size)) is exact
    assert is_exact_on(Network((Layer(Stack((cancels, cancels))),)), Bits(1))
    gate = [Layer(SignPatterns(jnp.ones(3, "float32")), None, Power(3)), Layer(SignProduct(jnp.ones((), "float32"), 3))]
    assert is_exact_on(Network(tuple(gate)), Bits(3))
    assert not is_exact_on(Network((Layer(SignPatterns(jnp.ones(13, "float32"))),)), Bits(13))
    small = Network((Layer(Dense(2.0**126 * jnp.ones((4, 1), "float32"))), Layer(SignProduct(jnp.array(0.5), 2))))
    assert not is_exact_on(jax.tree.map(lambda w: w.astype("float32"), small), Bits(1))  # the sum comes first: 2^128


def test_repeated_blocks_are_followed():
    block = (Layer(Dense(jnp.array([[2.0]], "float32"))),)
    assert is_exact_on(Network((Repeat.copies(block, 100),)), Bits(1))
    assert not is_exact_on(Network((Repeat.copies(block, 128),)), Bits(1))


class LeakyReLU(ReLU):
    def __call__(self, z, *, axis=-1):
        return jnp.where(z > 0, z, 0.1 * z)


class Scaled(Dense):
    def __init__(self, weight):
        super().__init__(weight)

    def apply(self, x):
        return 0.1 * super().apply(x)


class Other(Network):
    pass


class Mixed(Concatenate):
    pass


def test_subclasses_may_compute_anything():
    plain = net(([[1.0]], None, ReLU()))
    linear, layer, ones = Dense(jnp.ones((1, 1), "float32")), plain.layers[0], jnp.ones((1, 1), "float32")
    assert is_exact_on(plain, Bits(1))
    assert not is_exact_on(net(([[1.0]], None, LeakyReLU())), Bits(1))
    assert not is_exact_on(Network((Layer(Scaled(ones)),)), Bits(1))
    assert not is_exact_on(Network((Layer(Composed(Scaled(ones), linear)),)), Bits(1))
    assert not is_exact_on(Network((Layer(linear, None, Mixed((ReLU(),), (1,))),)), Bits(1))
    assert is_exact_on(Network((Layer(linear, None, Concatenate((ReLU(),), (1,))),)), Bits(1))
    assert not is_exact_on(Other((layer,)), Bits(1))
    assert not is_exact_on(Network((layer, Layer(Dense(jnp.ones((1, 1), "float16"))))), Bits(1))

    class Wider(Bits):
        pass

    assert not is_exact_on(plain, Wider(1))


def test_a_position_that_comes_twice_is_not_known():
    sparse = Sparse([0, 0], [0, 1], jnp.ones(2, "float32"), (1, 2))
    assert is_exact_on(Network((Layer(sparse),)), Bits(2))
    object.__setattr__(sparse, "cols", sparse.rows)
    assert not is_exact_on(Network((Layer(sparse),)), Bits(2))


def test_behind_steps_any_input_will_do():
    exact = net(([[0.1]], None, Step()), ([[3.0]], [1.0], Identity()))
    rounds = net(([[0.1]], None, Step()), ([[0.1]], [1.0], Identity()))
    assert is_exact_after_step(exact)
    assert not is_exact_after_step(rounds)
    assert not is_exact_after_step(net(([[1.0]], None, ReLU())))


@pytest.mark.parametrize("seed", range(12))
def test_what_is_exact_equals_the_rationals_in_any_order(seed):
    # Small random networks near the limit of bfloat16: some are exact, and then every order agrees.
    generator = np.random.default_rng(seed)
    n = 4
    weights = [generator.integers(-6, 7, (n, n)), generator.integers(-6, 7, (2, n))]
    network = net((weights[0], generator.integers(-3, 4, n), ReLU()), (weights[1], None, Identity()), dtype="bfloat16")
    x = np.asarray(Bits(n).enumerate(jnp.arange(2**n)), np.float64)
    wanted = rationals.evaluate(network, x)
    runs = [in_order(network, x, generator.permutation(n)) for _ in range(8)]
    agrees = all(np.array_equal(rationals.fractions(run), wanted) for run in runs)
    assert agrees or not is_exact_on(network, Bits(n))
    if is_exact_on(network, Bits(n)):
        assert all(Fraction(v) == w for v, w in zip(np.asarray(network(x), float).ravel(), wanted.ravel(), strict=True))


def in_order(network, x, order):
    """The network with sums taken one by one in an order, every result rounded to its dtype."""
    values = x.astype(network.dtype)
    for layer in network.layers:
        matrix = np.asarray(dc.linear.as_matrix(layer.linear))
        total = np.zeros((len(x), layer.out_size), network.dtype)
        for col in order:
            total = (total + values[:, col, None] * matrix[:, col]).astype(network.dtype)
        if layer.bias is not None:
            total = (total + np.asarray(layer.bias)).astype(network.dtype)
        values = np.maximum(total, 0) if type(layer.activation) is ReLU else total
    return values.astype(np.float64)
