"""Distances of networks: against NumPy, and for copies that compute the same."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import activations as act
from weight_copies import (
    both,
    changed,
    incoming_signs,
    network,
    norm_of,
    phases,
    rebuilt,
    same_function,
    scales,
    shuffled,
    signs,
    stacked,
    weights,
)

KEY = jax.random.key(0)


# As functions -------------------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("batch", [(), (1,), (7,), (2, 3)])
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_function_distance_is_a_root_mean_square(batch, is_complex):
    random = np.random.default_rng(0)
    one, other = (network(random, (3, 5, 2), act.Identity(), is_complex) for _ in range(2))
    x = random.normal(size=(*batch, 3))
    a, b = (np.asarray(net(x)) for net in (one, other))
    expected = math.sqrt(np.mean(np.abs(a - b) ** 2))
    assert float(dc.function_distance(one, other, x)) == pytest.approx(expected, rel=1e-12)


def test_equal_functions_of_other_networks_have_distance_zero():
    bits = dc.domains.Bits(5).enumerate(jnp.arange(32))
    assert float(dc.function_distance(dc.parity(5), dc.parity_shallow(5).network, bits)) == 0


def test_the_function_distance_runs_in_jit_and_vmap():
    random = np.random.default_rng(98)
    home, *nets = [network(random, (2, 3, 1), act.Tanh()) for _ in range(4)]
    x = random.normal(size=(16, 2))
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    found = jax.jit(jax.vmap(lambda net: dc.function_distance(net, home, x)))(stack)
    np.testing.assert_allclose(found, [dc.function_distance(net, home, x) for net in nets], rtol=1e-12)
    assert found.min() > 0.01


def test_a_diverged_network_is_at_no_function_distance():
    xor = dc.parity(2)
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, xor.network)
    assert math.isnan(dc.function_distance(broken, xor, [[0.0, 1.0]]))


# Copies that compute the same ---------------------------------------------------------------------


MIXED = act.Concatenate((act.ReLU(), act.Tanh(), act.ReLU()), (3, 2, 2))
COPIES = [
    (act.Tanh(), signs),
    (act.Sin(), signs),
    (act.ReLU(), scales(1)),
    (act.Step(), scales(0)),
    (act.Identity(), both(signs, scales(1))),
    (act.Square(), both(incoming_signs, scales(2))),
    (act.Power(3), both(signs, scales(3))),
    (act.Power(2), both(incoming_signs, scales(2))),
    (act.Power(1), both(signs, scales(1))),
    (act.Sigmoid(10.0), None),
    (act.GELU(), None),
    (act.SiLU(), None),
    (act.Exp(), None),
    (act.Softplus(), None),
    (act.Softmax(), None),
    (act.Custom(jnp.arctan, "arctan"), None),
]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("sizes", [(3, 1, 2), pytest.param((2, 7, 7, 1), marks=pytest.mark.slow), (4, 16, 5, 9, 3)])
@pytest.mark.parametrize("activation,factors", COPIES, ids=[activation.name() for activation, _ in COPIES])
def test_a_copy_in_another_order_has_distance_zero(activation, factors, sizes):
    net = network(np.random.default_rng(1), sizes, activation)
    copy = shuffled(net, 2, factors)
    assert same_function(copy, net)
    found = dc.weight_distance(copy, net)
    assert found.relative < 1e-9
    assert found.matched == len(sizes) - 2
    if len(sizes) > 3:
        assert found.moved > 0
        assert found.unmatched > 0.1


def test_a_flipped_sigmoid_with_its_shift_has_distance_zero():
    # sigmoid(-z) = 1 - sigmoid(z), so what the unit gave moves into the next bias.
    net = network(np.random.default_rng(3), (3, 6, 4, 2), act.Sigmoid(2.0))
    (w, b), (v, c), last = weights(net)
    sign = np.array([1, -1, -1, 1, -1, 1])
    flipped = [(sign[:, None] * w, sign * b), (sign * v, c + v[:, sign < 0].sum(axis=1)), last]
    copy = shuffled(rebuilt(net, flipped), 4)
    assert same_function(copy, net)
    assert dc.weight_distance(copy, net).relative < 1e-12


def test_a_mixed_layer_moves_units_among_their_like():
    net = network(np.random.default_rng(5), (3, 7, 2), MIXED)
    order = np.array([5, 0, 6, 4, 3, 2, 1])
    factors = np.array([2.0, 0.5, 3.0, -1.0, 1.0, 1.0, 0.1])
    copy = changed(net, [order], [factors], [np.array([0.5, 2, 1 / 3, -1, 1, 1, 10])])
    assert same_function(copy, net)
    found = dc.weight_distance(copy, net)
    assert found.relative < 1e-12
    assert found.moved == 7


def test_units_of_two_softmaxes_do_not_mix():
    net = network(np.random.default_rng(6), (3, 4, 2), act.Concatenate((act.Softmax(), act.Softmax()), (2, 2)))
    apart, across = (
        changed(net, [np.array(order)], [np.ones(4)], [np.ones(4)]) for order in ([1, 0, 3, 2], [2, 1, 0, 3])
    )
    assert same_function(apart, net)
    assert dc.weight_distance(apart, net).relative < 1e-12
    assert not same_function(across, net)
    assert dc.weight_distance(across, net).relative > 0.1


def test_phases_of_complex_linear_units_are_matched():
    net = network(np.random.default_rng(7), (3, 6, 5, 2), act.Identity(), is_complex=True)
    copy = shuffled(net, 8, both(phases, scales(1)))
    assert same_function(copy, net)
    found = dc.weight_distance(copy, net)
    assert found.relative < 1e-9
    assert found.unmatched > 0.1


@pytest.mark.default_cases(3)
@pytest.mark.parametrize(
    "build,factors",
    [
        (lambda: dc.parity(8), scales(1)),
        (lambda: dc.parity(7, arity=3), scales(1)),
        (lambda: dc.parity(8, activation="sigmoid", fused=False, readout="raw"), None),
        (lambda: dc.fft(8), phases),
        (lambda: dc.realify(dc.fft(4)), both(signs, scales(1))),
        (lambda: dc.parity_shallow(6), scales(1)),
        (lambda: dc.fractal(dc.systems.cantor(), 3), scales(1)),
        (dc.multiplication_gate, None),
    ],
)  # fmt: skip
def test_a_reordered_construction_has_distance_zero(build, factors):
    home = build()
    copy = shuffled(home.network, 9, factors)
    assert dc.weight_distance(copy, home).relative < 1e-6


@pytest.mark.parametrize("activation", [act.ReLU(), act.GELU(), act.Softplus(), act.Exp(), act.Step()])
def test_signs_that_change_the_function_are_not_matched(activation):
    net = network(np.random.default_rng(10), (3, 5, 2), activation)
    copy = shuffled(net, 11, lambda random, width: (-np.ones(width), -np.ones(width)))
    assert not same_function(copy, net)
    assert dc.weight_distance(copy, net).relative > 0.1


@pytest.mark.parametrize("activation", [act.Tanh(), act.GELU(), act.Sin(), act.Sigmoid()])
def test_scales_that_change_the_function_are_not_matched(activation):
    net = network(np.random.default_rng(12), (3, 5, 2), activation)
    copy = shuffled(net, 13, scales(1))
    assert not same_function(copy, net)
    assert dc.weight_distance(copy, net).relative > 0.1


# The record ---------------------------------------------------------------------------------------


def test_layers_add_up():
    random = np.random.default_rng(60)
    net, other = (network(random, (2, 3, 3, 2), act.Tanh()) for _ in range(2))
    found = dc.weight_distance(net, other)
    norms = [np.linalg.norm(matrix) for matrix in stacked(weights(other))]
    squares = sum((share * norm) ** 2 for share, norm in zip(found.layers, norms, strict=True))
    assert found.absolute == pytest.approx(math.sqrt(squares), rel=1e-12)
    assert found.relative == pytest.approx(found.absolute / np.linalg.norm(norms), rel=1e-12)


def test_a_linear_map_alone_has_nothing_to_match():
    net, other = (network(np.random.default_rng(seed), (3, 2), act.Tanh()) for seed in (61, 62))
    found = dc.weight_distance(net, other)
    assert found.matched == found.moved == 0
    assert found.absolute == pytest.approx(norm_of(stacked(weights(net)), stacked(weights(other))), rel=1e-12)


def test_outputs_of_a_last_layer_stay_in_place():
    net = network(np.random.default_rng(63), (3, 2), act.Tanh())
    ((w, b),) = weights(net)
    assert dc.weight_distance(rebuilt(net, [(w[::-1], b[::-1])]), net).relative > 0.1


def test_a_network_of_zeros_has_no_size_to_compare_with():
    net = network(np.random.default_rng(64), (2, 3, 1), act.Tanh())
    zero = jax.tree.map(jnp.zeros_like, net)
    assert dc.weight_distance(zero, zero).relative == 0
    assert dc.weight_distance(net, zero).relative == math.inf
    assert dc.weight_distance(zero, net).relative == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_network_is_at_no_distance(bad):
    home = dc.parity(4)
    found = dc.weight_distance(jax.tree.map(lambda leaf: leaf.at[0].set(bad), home.network), home)
    assert all(math.isnan(value) for value in (found.absolute, found.relative, found.unmatched, *found.layers))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_other_precisions_are_compared_in_double(dtype):
    home = dc.parity(4)
    assert dc.weight_distance(dc.astype(home.network, dtype), home).relative < 1e-12


def test_structured_and_dense_forms_are_at_no_distance():
    for home in (dc.parity(8, tied=True), dc.fractal(dc.systems.cantor(), 2)):
        assert dc.weight_distance(dc.densify(home.network), home).relative == 0


# Refusals -----------------------------------------------------------------------------------------


def of_sizes(*sizes, activation=None, is_complex=False):
    return network(np.random.default_rng(0), sizes, activation or act.ReLU(), is_complex)


REFUSALS = [
    (ValueError, r"function_distance: networks must have equal sizes \(in, out\); got \(2, 1\) and \(3, 1\)",
     lambda: dc.function_distance(of_sizes(2, 1), of_sizes(3, 1), [[0, 1]])),
    (ValueError, r"function_distance: x must hold at least one input; got shape \(0, 2\)",
     lambda: dc.function_distance(of_sizes(2, 1), of_sizes(2, 1), np.zeros((0, 2)))),
    (TypeError, "function_distance: expected a Network or Construction; got int",
     lambda: dc.function_distance(3, of_sizes(2, 1), [[0, 1]])),
    (TypeError, "weight_distance: expected a Network or Construction; got int",
     lambda: dc.weight_distance(of_sizes(2, 1), 3)),
    (ValueError, "weight_distance: networks must have equally many layers; got 1 and 2",
     lambda: dc.weight_distance(of_sizes(2, 1), of_sizes(2, 2, 1))),
    (ValueError, r"weight_distance: networks must have equal sizes \(in, out\); got \(1, 1\) and \(2, 1\)",
     lambda: dc.weight_distance(of_sizes(1, 3, 1), of_sizes(2, 3, 1))),
    (ValueError, r"weight_distance: activations must be equal; got 3 of sigmoid\(1\) and 3 of sigmoid\(2\) in layer 1",
     lambda: dc.weight_distance(of_sizes(2, 3, 1, activation=act.Sigmoid(1.0)),
                                of_sizes(2, 3, 1, activation=act.Sigmoid(2.0)))),
    (ValueError, "weight_distance: activations must be equal; got 3 of relu, 2 of tanh, 2 of relu and 7 of relu in",
     lambda: dc.weight_distance(of_sizes(2, 7, 1, activation=MIXED), of_sizes(2, 7, 1))),
    (ValueError, "weight_distance: softmax layers must be equally wide; got 3 of softmax and 2 of softmax in layer 1",
     lambda: dc.weight_distance(of_sizes(2, 3, 1, activation=act.Softmax()),
                                of_sizes(2, 2, 1, activation=act.Softmax()))),
    (ValueError, "weight_distance: draws must be at least 0; got -1",
     lambda: dc.weight_distance(of_sizes(2, 1), of_sizes(2, 1), draws=-1)),
    (TypeError, "weight_distance: both networks must be real or both complex; got float64 and complex128",
     lambda: dc.weight_distance(of_sizes(2, 1), of_sizes(2, 1, is_complex=True))),
    (TypeError, "weight_distance: the weights are being traced; ask outside jit, vmap and grad",
     lambda: jax.jit(lambda net: dc.weight_distance(net, net).absolute)(of_sizes(2, 1))),
]  # fmt: skip


@pytest.mark.parametrize("error,message,ask", REFUSALS, ids=[message for _, message, _ in REFUSALS])
def test_what_cannot_be_compared_is_refused(error, message, ask):
    with pytest.raises(error, match=message):
        ask()
