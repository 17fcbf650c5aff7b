"""Derivatives on boxes, and claims about moved inputs: against differences, adversarial rounding, and false claims."""

import dataclasses
import itertools
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._arithmetic.running import enclose
from deepconstruct._arithmetic.slopes import steepness
from deepconstruct._certify.points.pointwise import prove
from deepconstruct.activations import Concatenate, Identity, Power, ReLU, Sigmoid, Softmax, Square, Step, Tanh, groups
from deepconstruct.linear import Composed, Dense, DirectSum, SignProduct
from deepconstruct.network import Layer, Network, flat_layers
from machine import Machine, fraction, net

NAMES = {
    "parity": 5,
    "parity_signs": 4,
    "parity_tied": 4,
    "parity_ternary": 9,
    "parity_count": 5,
    "parity_dnf": 4,
    "parity_step": 5,
    "parity_bounded_depth": {"n": 6, "depth": 3},
    "boolean_function": 3,
    "boolean_minterm": 3,
    "boolean_sigmoid": 5,
    "boolean_classifier": 2,
}


def drawn(seed, widths, activation, dtype="float64"):
    draw, layers = np.random.default_rng(seed), []
    for index, (a, b) in enumerate(itertools.pairwise(widths)):
        weights = draw.normal(size=(b, a))
        if b > 3:  # units of one direction
            weights[1::2] = weights[::2][: len(weights[1::2])] * 2.0 ** draw.integers(0, 2, (len(weights[1::2]), 1))
        last = index == len(widths) - 2
        layers.append((weights, draw.normal(size=b), Identity() if last else activation))
    return net(*layers, dtype=dtype)


def run(network, x):
    """Dense layers in NumPy: nothing is compiled."""
    for layer in flat_layers(network):
        x = x @ np.asarray(dc.linear.as_matrix(layer.linear)).T + np.asarray(layer.bias)
        ends = np.cumsum([width for _, width in groups(layer.activation, layer.out_size)])[:-1]
        parts = zip(np.split(x, ends, axis=1), groups(layer.activation, layer.out_size), strict=True)
        x = np.concatenate([ACTIVE[type(part)](part, z) for z, (part, _) in parts], axis=1)
    return x


ACTIVE = {
    Identity: lambda a, z: z,
    ReLU: lambda a, z: np.maximum(z, 0),
    Sigmoid: lambda a, z: 1 / (1 + np.exp(-a.inverse_temperature * z)),
    Square: lambda a, z: z * z,
    Power: lambda a, z: z**a.n,
    Tanh: lambda a, z: np.tanh(z),
}
MIXED = Concatenate((ReLU(), Sigmoid(2.0), Square()), (4, 1, 1))


@pytest.mark.parametrize(
    "activation", [ReLU(), Sigmoid(3.0), Square(), Power(3), Tanh(), MIXED], ids=lambda a: a.name()
)
@pytest.mark.parametrize("radius", [0.01, pytest.param(0.5, marks=pytest.mark.slow)])
def test_no_difference_quotient_is_steeper(activation, radius):
    for seed in range(4):
        network, draw = drawn(seed, (3, 6, 6, 2), activation), np.random.default_rng(seed)
        x = draw.normal(size=(5, 3))
        found = steepness(network, x - radius, x + radius)
        for _ in range(50):
            one, two = (x + radius * draw.uniform(-1, 1, x.shape).round(draw.integers(0, 4)) for _ in range(2))
            two = np.where(draw.random(x.shape) < 0.5, two, one)
            apart = np.abs(one - two).max(axis=1, keepdims=True)
            a, b = run(network, one), run(network, two)
            assert np.all(np.abs(a - b) <= found.slopes * apart * (1 + 1e-9) + 1e-9)
            assert np.all((found.units.low - 1e-9 <= a) & (a <= found.units.high + 1e-9))


def test_units_that_cancel_each_other_cancel_in_slopes():
    for n in (2, 8, 9, 16):
        x = np.ones((1, n))
        for made in (dc.parity(n, dtype="float32"), dc.catalog.build("parity_count", n, dtype="float32")):
            assert steepness(made.network, x - 1, x + 1).slopes[0, 0] == n
    alone = net(([[1.0], [1.0]], [0.0, -1.0], ReLU()), ([[1.0, -2.0]],))
    assert steepness(alone, np.array([[-1.0], [0.5], [1.25]]), np.array([[-0.5], [0.75], [2.0]])).slopes[
        :, 0
    ].tolist() == [0, 1, 1]


def test_directions_that_are_merely_near_are_two():
    network = net(([[1.0, 1.0], [1.0, 1 + 2.0**-23]], [0.0, -1.0], ReLU()), ([[1.0, -2.0]],))
    assert steepness(network, np.zeros((1, 2)), np.full((1, 2), 2.0)).slopes[0, 0] > 2


def test_the_order_in_which_units_start_is_that_of_their_kinks():
    # 3 relu(s) - 3 relu(2 s - 1) + relu(s - 3): slopes 0, 3, -3 and -2.
    network = net(([[1.0], [2.0], [1.0]], [0.0, -1.0, -3.0], ReLU()), ([[3.0, -3.0, 1.0]],))
    ends = np.array([[-1, -0.1], [0.1, 0.4], [0.6, 2.9], [3.1, 9], [0.4, 3.5], [2.5, 4]])
    assert steepness(network, ends[:, :1], ends[:, 1:]).slopes[:, 0].tolist() == [0, 3, 3, 2, 3, 3]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_rounded_shows_no_more_than_its_bound(dtype):
    best = 0.0
    for seed in range(5):
        network, draw = drawn(seed, (2, 4, 4, 1), ReLU(), dtype), np.random.default_rng(seed)
        x = draw.normal(size=(3, 2)).astype(dtype).astype(float)
        found = steepness(network, x - 0.125, x + 0.125)
        plain = enclose(network, x - 0.125, x + 0.125)
        assert np.all(found.rounding <= plain.error)
        best = max(best, float((plain.error / found.rounding).max()))
        for order in range(4):
            moved = (x + draw.uniform(-0.125, 0.125, x.shape)).astype(dtype).astype(float)
            moved = np.clip(moved, x - 0.125, x + 0.125).astype(dtype).astype(float)
            exact = rationals.evaluate(network, moved)
            for row in np.flatnonzero(np.abs(moved - x).max(axis=1) <= 0.125):
                off = abs(Machine(dtype, order).run(network, moved[row])[0] - exact[row, 0])
                assert off <= Fraction(found.rounding[row, 0])
                assert fraction(found.units.low[row, 0]) <= exact[row, 0] <= fraction(found.units.high[row, 0])
    assert best > 1.3


def test_a_softmax_halves_its_logits():
    network = net(([[4.0, 0.0], [0.0, 0.0], [0.0, -2.0]], None, Softmax()), dtype="float64")
    x = np.array([[0.0, 0.0], [3.0, 3.0]])
    found = steepness(network, x - 0.01, x + 0.01)
    assert found.slopes[0].max() <= 2.0
    for step in np.eye(2) * 1e-3:
        moved = np.abs(np.asarray(network(x + step)) - np.asarray(network(x - step))) / 2e-3
        assert np.all(moved <= found.slopes)
    assert found.slopes[1, 1] < 0.1


@pytest.mark.parametrize(
    "network",
    [
        net(([[1.0]], [-0.5], Step())),  # it switches
        net(([[3e38]],), ([[1.0]],)),
        net(([[3e38]], None, ReLU()), ([[0.0]],)),
    ],
)
def test_where_there_is_no_slope_there_is_none(network):
    assert np.isinf(steepness(network, np.zeros((1, 1)), np.full((1, 1), 2.0)).slopes[0, 0])


def test_maps_that_are_run_otherwise_are_refused():
    both = DirectSum((Composed(Dense(jnp.ones((1, 1))), Dense(jnp.ones((1, 1)))), SignProduct(jnp.array(1.0), 1)))
    signs = DirectSum((Dense(jnp.ones((1, 1))), SignProduct(jnp.array(1.0), 1)))
    for linear in (both, signs):
        with pytest.raises(TypeError, match="several factors"):
            steepness(Network((Layer(linear),)), np.zeros((1, 3)), np.ones((1, 3)))
    with pytest.raises(TypeError, match="usual size"):
        steepness(net(([[1e-100]],), dtype="float64"), np.zeros((1, 1)), np.ones((1, 1)))


def covers(construction):
    certificate = prove(construction, "exhaustive")
    assert certificate.verdict == "proved"
    return "robustness" in certificate.covers


def changed(construction, **parts):
    robustness = dataclasses.replace(construction.claim.robustness, **parts)
    return dc.claim(construction.network, dataclasses.replace(construction.claim, robustness=robustness))


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_moved_inputs_of_the_catalog_are_covered(name, dtype):
    if name == "boolean_classifier":
        pytest.importorskip("flint")
    made = dc.catalog.build(name, NAMES[name], dtype=dtype)
    assert covers(made)
    robustness = made.claim.robustness
    # Runs of moved inputs that find more than this are no proof's.
    x, draw = made.claim.domain.corners(), np.random.default_rng(0)
    wanted, worst = made.claim.target.wide(x), np.zeros(len(x))
    for share in (1.0, 0.9, 0.5, 0.01):
        for corners in (True, False):
            delta = robustness.radius * share
            sides = draw.choice([-1.0, 1.0], x.shape) if corners else draw.uniform(-1, 1, x.shape)
            moved = (x + delta * sides * (1 - 1e-6)).astype(dtype)
            off = np.abs(np.asarray(made(moved)).astype(np.longdouble) - wanted).max(axis=1)
            assert np.all(off <= made.claim.error.largest + robustness.largest_gain * delta + robustness.rounding)
            worst = np.maximum(worst, off / delta)
    if robustness.largest_gain > 0 and worst.max() > 0.1 * robustness.largest_gain:
        assert not covers(changed(made, gain=0.9 * float(worst.max()), rounding=0.0))


@pytest.mark.parametrize(
    "name,size,parts",
    [
        ("parity", 4, {"gain": 3.9}),
        ("parity", 4, {"rounding": 1e-9}),
        ("parity", 4, {"radius": 1.0, "gain": 3.9}),
        ("parity_step", 4, {"radius": 0.26}),
        ("parity_dnf", 3, {"radius": 0.5, "gain": 4.0}),
        ("boolean_sigmoid", 5, {"radius": 0.25}),
        ("parity", 4, {"radius": float("inf")}),
    ],
)
def test_false_claims_about_moved_inputs_are_not_covered(name, size, parts):
    made = dc.catalog.build(name, size, dtype="float32")
    assert covers(made)
    assert not covers(changed(made, **parts))


def test_every_shell_counts():
    # Flat near 0, steep beyond 1/2: a gain that is right at the radius alone is wrong on the way.
    network = net(([[1.0], [-1.0]], [-0.5, -0.5], ReLU()), ([[2.0, 2.0]],))
    claim = dc.Claim(dc.targets.Polynomial(1, ((),)), dc.domains.Points(np.zeros((1, 1))), dc.domains.Space(1))
    cases = ((0.45, 0.0, True), (0.75, 1.0, True), (1.0, 1.2, True), (1.0, 0.99, False), (0.75, 0.6, False))
    for radius, gain, right in cases:
        robust = dc.Robustness(radius, gain, 1e-6)
        assert covers(dc.claim(network, dataclasses.replace(claim, robustness=robust))) is right


def test_where_derivatives_have_no_rule_the_error_is_proved_all_the_same():
    linear = DirectSum((Dense(jnp.ones((1, 1))), SignProduct(jnp.array(1.0), 1)))
    target = dc.targets.Polynomial(3, ((((1, 0, 0), 1.0),), (((0, 1, 0), 1.0), ((0, 0, 1), -1.0))))
    claim = dc.Claim(
        target, dc.domains.Bits(3), dc.domains.Space(2), robustness=dc.Robustness(1, 2, 1e-6), dtype="float64"
    )
    assert not covers(dc.claim(Network((Layer(linear),)), claim))
    nothing = dc.Claim(
        dc.targets.Polynomial(1, ((),)), dc.domains.Bits(1), dc.domains.Space(1), robustness=dc.Robustness(1)
    )
    assert covers(dc.claim(net(([[0.0]],)), nothing))
