"""Matched weights: against all permutations and signs, and the smallest norm of rescaled weights."""

import itertools
import math

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

import deepconstruct as dc
from deepconstruct import activations as act
from deepconstruct._analysis.symmetries import canonical
from deepconstruct.network import flat_layers
from weight_copies import changed, network, norm_of, rebuilt, shuffled, signs, stacked, weights

KEY = jax.random.key(0)


def brute_force(net, other, flips):
    """The smallest distance over all orders, and signs of the kinds in `flips` (incoming, outgoing)."""
    widths = [layer.out_size for layer in flat_layers(net)[:-1]]
    choices = []
    for width in widths:
        factors = [np.array(flip, float).T for flip in itertools.product(flips, repeat=width)]
        choices.append([(np.array(o), *f) for o in itertools.permutations(range(width)) for f in factors])
    moving, fixed, found = stacked(weights(net)), stacked(weights(other)), math.inf
    for choice in itertools.product(*choices):
        maps = [matrix.copy() for matrix in moving]
        for k, (order, into, out) in enumerate(choice):
            maps[k] = into[:, None] * maps[k][order]
            maps[k + 1][:, :-1] = maps[k + 1][:, :-1][:, order] * out
        found = min(found, norm_of(maps, fixed))
    return found


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "activation,flips",
    [
        (act.Tanh(), ((1, 1), (-1, -1))),
        (act.GELU(), ((1, 1),)),
    ],
)
def test_one_hidden_layer_is_matched_as_well_as_possible(width, activation, flips):
    random = np.random.default_rng(width)
    net, other = (network(random, (2, width, 2), activation) for _ in range(2))
    found = dc.weight_distance(net, other)
    assert found.absolute == pytest.approx(brute_force(net, other, flips), rel=1e-12)


def balanced(net, degree):
    """One hidden layer whose units have the scale of the smallest norm, in closed form."""
    (w, b), (v, c) = weights(net)
    ratio = degree * np.sum(v**2, axis=0) / (np.sum(w**2, axis=1) + b**2)
    scale = ratio ** (1 / (2 * degree + 2))
    return rebuilt(net, [(scale[:, None] * w, scale * b), (v * scale**-degree, c)])


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize(
    "activation,degree,flips",
    [
        (act.ReLU(), 1, ((1, 1),)),
        (act.Identity(), 1, ((1, 1), (-1, -1))),
        (act.Square(), 2, ((1, 1), (-1, 1))),
        (act.Power(3), 3, ((1, 1), (-1, -1))),
    ],
)
def test_scaled_units_are_matched_as_well_as_possible_once_balanced(width, activation, degree, flips):
    random = np.random.default_rng(width + 20)
    net, other = (network(random, (3, width, 2), activation) for _ in range(2))
    found = dc.weight_distance(net, other)
    expected = brute_force(balanced(net, degree), balanced(other, degree), flips)
    assert found.absolute == pytest.approx(expected, rel=1e-9)
    norm = norm_of(stacked(weights(balanced(other, degree))), [0, 0])
    assert found.relative == pytest.approx(expected / norm, rel=1e-9)


def test_sigmoids_are_matched_as_one_half_and_an_odd_function():
    random = np.random.default_rng(30)
    nets = [network(random, (2, 4, 2), act.Sigmoid()) for _ in range(2)]
    centered = []
    for net in nets:
        (w, b), (v, c) = weights(net)
        centered.append(rebuilt(net, [(w, b), (v, c + v.sum(axis=1) / 2)]))
    assert dc.weight_distance(*nets).absolute == pytest.approx(
        brute_force(centered[0], centered[1], ((1, 1), (-1, -1))), rel=1e-12
    )


def test_one_phase_is_as_good_as_any_of_a_fine_grid():
    random = np.random.default_rng(31)
    net, other = (network(random, (1, 1, 1), act.Identity(), is_complex=True) for _ in range(2))
    maps, fixed = canonical(net), canonical(other)
    distances = []
    for turn in np.exp(2j * np.pi * np.arange(20_000) / 20_000):
        after = maps[1] * np.array([turn.conj(), 1])
        distances.append(norm_of([turn * maps[0], after], fixed))
    found = dc.weight_distance(net, other).absolute
    assert min(distances) - 1e-6 <= found <= min(distances)


@pytest.fixture(scope="module")
def two_hidden_layers():
    random = np.random.default_rng(40)
    pairs = [[network(random, (2, 3, 3, 2), act.Tanh()) for _ in range(2)] for _ in range(6)]
    flips = ((1, 1), (-1, -1))
    return [(dc.weight_distance(*pair), brute_force(pair[0], pair[1], flips)) for pair in pairs]


def test_two_hidden_layers_are_never_closer_than_possible(two_hidden_layers):
    for found, smallest in two_hidden_layers:
        assert smallest * (1 - 1e-12) <= found.absolute
        assert found.relative <= found.unmatched


def test_two_hidden_layers_come_close_to_the_closest(two_hidden_layers):
    excess = [found.absolute / smallest - 1 for found, smallest in two_hidden_layers]
    assert max(excess) < 0.25
    assert sum(value < 1e-12 for value in excess) >= len(excess) // 2


@pytest.mark.parametrize("activation,factors", [(act.Tanh(), signs), (act.GELU(), None)])
def test_small_noise_is_measured_exactly_behind_any_order(activation, factors):
    random = np.random.default_rng(41)
    net = network(random, (4, 20, 20, 3), activation)
    noise = [(1e-3 * random.normal(size=w.shape), 1e-3 * random.normal(size=b.shape)) for w, b in weights(net)]
    near = rebuilt(net, [(w + u, b + c) for (w, b), (u, c) in zip(weights(net), noise, strict=True)])
    found = dc.weight_distance(shuffled(near, 42, factors), net)
    assert found.absolute == pytest.approx(norm_of(stacked(noise), [0, 0, 0]), rel=1e-9)


def test_more_noise_is_farther_from_home():
    home = dc.parity(4, activation="sigmoid", fused=False, readout="raw")
    distances = [dc.weight_distance(dc.perturb(home, s, key=KEY), home).relative for s in (0.0, 0.01, 0.1, 0.5)]
    assert distances[0] == 0
    assert np.all(np.diff(distances) > 0)
    assert distances[1] > 1e-3


def test_another_network_is_not_at_home():
    home = dc.densify(dc.parity(4).network)
    assert dc.weight_distance(dc.reinitialize(home, key=KEY), home).relative > 0.5


# Balance ------------------------------------------------------------------------------------------


def test_balanced_weights_have_the_smallest_norm_of_all_scaled_ones():
    net = network(np.random.default_rng(50), (3, 4, 5, 2), act.ReLU())
    pairs = weights(net)

    def squares(logs):
        a, b = np.exp(logs[:4]), np.exp(logs[4:])
        (w, p), (v, q), (u, r) = pairs
        parts = (a[:, None] * w, a * p, b[:, None] * v / a, b * q, u / b, r)
        return sum(np.sum(part**2) for part in parts)

    best = minimize(squares, np.zeros(9), options={"gtol": 1e-10}).fun
    assert sum(np.sum(matrix**2) for matrix in canonical(net)) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("activation", [act.ReLU(), act.Identity(), act.Square()])
def test_a_dying_unit_comes_near_the_network_without_it(activation):
    net = network(np.random.default_rng(51), (3, 4, 2), activation)
    kept = np.array([1.0, 1, 0, 1])
    without = changed(net, [np.arange(4)], [kept], [kept])
    faint = [changed(net, [np.arange(4)], [np.where(kept, 1, size)], [np.ones(4)]) for size in (1e-4, 1e-12)]
    distances = [dc.weight_distance(fading, without).relative for fading in faint]
    assert distances[0] < 0.1
    assert distances[1] < 1e-3


def test_units_that_cannot_matter_count_nothing():
    net = network(np.random.default_rng(52), (3, 4, 4, 2), act.ReLU())
    (w, b), (v, c), (u, d) = [(matrix.copy(), bias.copy()) for matrix, bias in weights(net)]
    w[1], b[1], v[:, 3] = 0, 0, 0
    one, other = ([(w, b), (v.copy(), c), (u, d)] for _ in range(2))
    other[0] = (np.where(np.arange(4)[:, None] == 3, 7 * w + 1, w), b)
    other[1][0][:, 1] *= -30
    assert dc.weight_distance(rebuilt(net, one), rebuilt(net, other)).relative < 1e-12
