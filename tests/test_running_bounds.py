"""Running bounds against rational arithmetic: rounded in adversarial orders, fused or not, flushed to zero or not."""

import itertools
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._arithmetic.running import enclose
from deepconstruct.activations import (
    GELU,
    Concatenate,
    Exp,
    Identity,
    Power,
    ReLU,
    Sigmoid,
    Softmax,
    Square,
    Step,
    Tanh,
)
from deepconstruct.linear import (
    Butterfly,
    Composed,
    Dense,
    DirectSum,
    Kronecker,
    Permutation,
    SignPatterns,
    SignProduct,
    Stack,
)
from deepconstruct.network import Layer, Network, flat_layers
from machine import Machine, fraction, net

SIGMOID = Sigmoid(10.0)


def drawn(seed, widths, activation, dtype):
    """Weights of many magnitudes, some of them zero, some powers of two."""
    draw = np.random.default_rng(seed)
    layers = []
    for index, (a, b) in enumerate(itertools.pairwise(widths)):
        weights = draw.normal(size=(b, a)) * 2.0 ** draw.integers(-3, 3, (b, a)) * (draw.random((b, a)) < 0.8)
        weights = np.where(draw.random((b, a)) < 0.3, 2.0 ** draw.integers(-2, 3, (b, a)), weights)
        last = index == len(widths) - 2
        layers.append((weights, None if last else draw.normal(size=b), Identity() if last else activation))
    return net(*layers, dtype=dtype)


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=pytest.mark.slow), "float32", "float64"])
@pytest.mark.parametrize("activation", [ReLU(), Square(), Power(5)], ids=lambda a: a.name())
def test_no_order_leaves_the_bound(dtype, activation):
    share = 0.0
    for seed in range(6):
        network = drawn(seed, (3, 4, 3, 1), activation, dtype)
        x = np.random.default_rng(seed).choice([0.0, 1.0, 0.5, -0.75, 0.171875], (4, 3))
        found = enclose(network, x, x)
        exact = rationals.evaluate(network, x)
        for row in range(len(x)):
            if np.isinf(found.error[row, 0]):
                assert dtype == "float16"
                continue
            low, high = fraction(found.low[row, 0]), fraction(found.high[row, 0])
            assert low <= exact[row, 0] <= high
            assert high - low <= (Fraction(1, 2**44) * (1 + abs(exact[row, 0])) + Fraction(found.error[row, 0])) / 8
            for order in range(4):
                off = abs(Machine(dtype, order).run(network, x[row])[0] - exact[row, 0])
                assert off <= Fraction(found.error[row, 0])
                share = max(share, float(off) / max(found.error[row, 0], 1e-300))
    assert share > 0.02 if dtype != "float16" else share > 0.005


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_boxes_hold_what_runs_inside_them(dtype):
    network, draw = drawn(5, (2, 5, 3, 2), ReLU(), dtype), np.random.default_rng(0)
    low = np.array([[-0.5, 0.25], [0.0, 0.0]])
    high = np.array([[0.5, 0.5], [0.0, 2.0**-140]])
    found = enclose(network, low, high)
    for row in range(2):
        for seed in range(8):
            x = (low[row] + (high[row] - low[row]) * draw.random(2)).astype(dtype).astype(float)
            exact = rationals.evaluate(network, x[None])[0]
            ran = Machine(dtype, seed).run(network, x)
            for unit in range(2):
                assert fraction(found.low[row, unit]) <= exact[unit] <= fraction(found.high[row, unit])
                assert abs(ran[unit] - exact[unit]) <= Fraction(found.error[row, unit])


def structured(dtype):
    maps = (
        Composed(Dense(jnp.asarray([[3.0], [0.1]], dtype)), Dense(jnp.asarray([[0.3, -0.7, 0.2, 0.9]], dtype))),
        DirectSum((Kronecker(jnp.asarray([[0.1, 0.3]], dtype), outer=1, inner=1), Permutation([1, 0]))),
        Stack((Dense(jnp.asarray([[0.1, 0.3, 0.5, 1.0]], dtype)), Dense(jnp.asarray([[1.0, -1.0, 0.7, 0.0]], dtype)))),
        SignProduct(jnp.asarray(0.3, dtype), 2),
        Composed(
            SignPatterns(jnp.asarray([0.1, 3.0], dtype)), Dense(jnp.asarray([[0.3, 0, 0, 1], [0, 1, 1, 0]], dtype))
        ),
    )
    return [Network((Layer(linear),)) for linear in maps]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_structured_maps_round_as_they_are_run(dtype):
    x = np.array([[1.0, 0.125, -0.75, 3.0], [0.0, 1.5, 0.0, 2.0]])
    for network in structured(dtype):
        found, exact = enclose(network, x, x), rationals.evaluate(network, x)
        for row in range(2):
            for seed in range(6):
                ran = Machine(dtype, seed).run(network, x[row])
                for unit in range(network.out_size):
                    low, high = fraction(found.low[row, unit]), fraction(found.high[row, unit])
                    assert low <= exact[row, unit] <= high
                    assert abs(ran[unit] - exact[row, unit]) <= Fraction(found.error[row, unit])
        assert np.all(found.error[0] < 0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [2, 5])
def test_powers_round_in_every_precision(dtype, n):
    x = np.asarray(np.random.default_rng(0).normal(size=(200, 1)), dtype).astype(float)
    found = enclose(net(([[1.0]], None, Power(n)), dtype=dtype), x, x)
    unit = float(jnp.finfo(dtype).eps) / 2
    assert np.all(found.error >= (n - 1) * unit * np.abs(x) ** n)
    assert np.all(found.error <= 1.1 * (n - 1) * unit * np.abs(x) ** n + 1e-36)


def test_one_term_by_a_power_of_two_rounds_nothing_but_what_is_flushed():
    network = net(([[2.0, 0.5, -4.0], [0.1, 0.0, 0.0]],))
    found = enclose(network, np.array([[0.0, 3.0, 0.0]]), np.array([[0.0, 3.0, 0.0]]))
    assert found.error[0, 0] <= 2.0**-120
    assert found.error[0, 1] == 0


@pytest.mark.parametrize(
    "network",
    [
        net(([[3e38, 3e38]],)),  # a sum overflows
        net(([[3e38, -3e38, 3e38]],)),  # in one order
        net(([[3e38, 3e38]], None, ReLU()), ([[0.0]],)),  # infinity by a zero weight is no number
        net(([[3e38, 3e38], [1.0, 1.0]], None, ReLU()), ([[0.0, 1.0]],)),
        net(([[3e38, 3e38]], None, Step())),  # what is no number stays none
        net(([[3e38, 3e38], [1.0, 1.0]], None, Softmax())),
        net(([[100.0, 0.0]], None, Exp())),  # the result overflows
        net(([[100.0, 0.0]], None, Exp()), ([[1e-38]],)),
        net(([[1e20, 0.0]], None, Square())),
        net(([[1e20, 0.0]], None, Square()), ([[1e-30]],)),
        net(([[1.0, 1.0]], None, Sigmoid(1e300))),  # beta is infinite in this dtype
        Network(
            (Layer(Dense(jnp.full((4, 2), 3e38, "float32"))), Layer(SignProduct(jnp.asarray(1e-38, "float32"), 2)))
        ),
        Network((Layer(Dense(jnp.full((4, 2), 1e38, "float32"))), Layer(SignProduct(jnp.asarray(0.0, "float32"), 2)))),
    ],
)
def test_nothing_is_known_behind_what_may_overflow(network):
    x = np.ones((1, network.in_size))
    assert np.all(np.isinf(enclose(network, x, x).error))


def test_weights_and_inputs_that_are_no_numbers_prove_nothing():
    network = net(([[1.0, 1.0]], [0.0], Step()))
    broken = Network.__new__(Network)
    object.__setattr__(broken, "layers", (Layer(Dense(jnp.array([[np.nan, 1.0]])), None, Step()),))
    assert np.all(np.isinf(enclose(broken, np.ones((1, 2)), np.ones((1, 2))).error))
    infinite = np.array([[np.inf, 1.0]])
    assert np.all(np.isinf(enclose(network, infinite, infinite).error))
    for low, high in ((1.0, 0.0), (np.nan, 1.0)):
        with pytest.raises(ValueError, match="every box needs low <= high"):
            enclose(network, np.full((1, 2), low), np.full((1, 2), high))
    assert enclose(network, np.zeros((0, 2)), np.zeros((0, 2))).error.shape == (0, 1)


def test_subnormal_numbers_may_be_flushed():
    tiny = float(np.finfo("float32").tiny)
    x = np.array([[tiny / 2, 1.0]])
    assert enclose(net(([[1e6, 0.0]],)), x, x).error[0, 0] >= 1e6 * tiny / 2
    assert enclose(net(([[0.0, tiny / 2]],)), x, x).error[0, 0] >= tiny / 2
    assert enclose(net(([[0.0, 0.0]], [tiny / 2], Step())), x, x).error[0, 0] == 1.0
    assert enclose(net(([[0.0, 2.0**-64]], None, ReLU()), ([[2.0**-64]],)), x, x).error[0, 0] >= 2.0**-128


def test_the_sign_of_a_sum_decides_a_step_only_beyond_its_error():
    network = net(([[0.1, 0.2, -0.3]], None, Step()))
    undecided, decided = np.ones((1, 3)), np.array([[1.0, 0.0, 0.0]])
    assert enclose(network, undecided, undecided).error[0, 0] == 1.0
    found = enclose(network, decided, decided)
    assert (found.low[0, 0], found.high[0, 0], found.error[0, 0]) == (1.0, 1.0, 0.0)


SMOOTH = [SIGMOID, Sigmoid(0.3), Tanh(), Exp(), GELU(), Concatenate((SIGMOID, Tanh()), (2, 1))]


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda a: a.name())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_smooth_networks_as_they_run_here(activation, dtype):
    network = drawn(3, (2, 3, 1) if isinstance(activation, Exp) else (2, 3, 3, 1), activation, dtype)
    x = np.asarray(np.random.default_rng(1).normal(size=(500, 2)), dtype).astype(float)
    found = enclose(network, x, x)
    wide = x.astype(np.longdouble)
    for layer in flat_layers(network):
        bias = 0 if layer.bias is None else np.asarray(layer.bias, np.longdouble)
        wide = exact_activation(
            layer.activation, wide @ np.asarray(dc.linear.as_matrix(layer.linear), np.longdouble).T + bias
        )
    ran = np.asarray(network(jnp.asarray(x, dtype))).astype(np.longdouble)
    room = 2.0**-55 * (1 + np.abs(wide))
    assert np.all((found.low - room <= wide) & (wide <= found.high + room))
    assert np.all(found.high - found.low <= 2.0**-20 if isinstance(activation, GELU) else 2.0**-30)
    assert np.all(np.abs(ran - wide) <= found.error + room)
    assert (np.abs(ran - wide) / found.error).max() > 0.002


def exact_activation(activation, z):
    if isinstance(activation, Concatenate):
        parts = np.split(z, np.cumsum(activation.widths)[:-1], axis=1)
        return np.concatenate([exact_activation(*pair) for pair in zip(activation.activations, parts, strict=True)], 1)
    if isinstance(activation, Sigmoid):
        return 1 / (1 + np.exp(-np.longdouble(activation.inverse_temperature) * z))
    if isinstance(activation, GELU):
        return z / (1 + np.exp(-2 * np.sqrt(2 / np.longdouble(np.pi)) * (z + np.longdouble(0.044715) * z**3)))
    return {Tanh: np.tanh, Exp: np.exp, Identity: lambda z: z}[type(activation)](z)


def test_saturated_units_pass_on_little():
    network = net(([[1.0]], None, Sigmoid(35.0)))
    x = np.array([[0.0], [1.0]])
    error = enclose(network, x, x).error
    assert error[0, 0] > 2.0**-24
    assert error[1, 0] < 2.0**-22
    steep = net(([[0.1, 0.2]], [-1.0], Identity()), ([[1.0]], None, Sigmoid(35.0)), dtype="float16")
    assert enclose(steep, np.ones((1, 2)), np.ones((1, 2))).error[0, 0] < 2.0**-11


@pytest.mark.parametrize("gap", [0.0, 1.0, 30.0, 600.0, 1e4])
def test_probabilities_are_enclosed_tightly(gap):
    network = net(([[1.0], [0.0], [0.0]], None, Softmax()), dtype="float64")
    x = np.array([[gap], [-gap]])
    found = enclose(network, x, x)
    odds = np.exp(np.array([[0, -gap, -gap], [-gap, 0, 0]], np.longdouble))
    share = odds / odds.sum(axis=1, keepdims=True)
    room = 2.0**-60
    assert np.all((found.low <= share * (1 + room)) & (share * (1 - room) <= found.high))
    assert np.all(found.high - found.low <= 2.0**-40)
    assert np.all(found.error < 2.0**-46)


def test_maps_without_a_rule_are_refused():
    with pytest.raises(TypeError, match="butterflies"):
        enclose(Network((Layer(Butterfly(jnp.ones((4, 2, 2, 1)))),)), np.zeros((1, 8)), np.zeros((1, 8)))
    with pytest.raises(TypeError, match="real weights"):
        enclose(dc.fft(4).network, np.zeros((1, 4)), np.zeros((1, 4)))
    wide = Network((Layer(SignPatterns(jnp.ones(13))),))
    with pytest.raises(TypeError, match="patterns of up to 12 signs"):
        enclose(wide, np.zeros((1, 13)), np.zeros((1, 13)))
