"""Distances of networks of other widths, and those that weights in random places have."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import activations as act
from weight_copies import network, norm_of, phases, rebuilt, same_function, shuffled, signs, stacked, weights

KEY = jax.random.key(0)
MIXED = act.Concatenate((act.ReLU(), act.Tanh()), (2, 1))
WIDER = act.Concatenate((act.ReLU(), act.Tanh()), (3, 4))


def padded(pairs, widths):
    """Affine maps with zeros behind the units of the hidden layers, up to these widths."""
    maps = []
    for k, (w, b) in enumerate(pairs):
        rows = widths[k] - len(b) if k < len(widths) else 0
        cols = widths[k - 1] - w.shape[1] if k else 0
        maps.append((np.pad(w, ((0, rows), (0, cols))), np.pad(b, (0, rows))))
    return maps


# Other widths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(1, 3), (3, 1), (2, 3), (4, 2)])
@pytest.mark.parametrize("activation,flips", [(act.Tanh(), (1, -1)), (act.GELU(), (1,))])
def test_the_narrower_network_gets_units_of_zero_weights(widths, activation, flips):
    random = np.random.default_rng(sum(widths))
    net, other = (network(random, (2, width, 2), activation) for width in widths)
    (w, b), (v, c) = padded(weights(net), [max(widths)])
    fixed = stacked(padded(weights(other), [max(widths)]))
    smallest = math.inf
    for order in itertools.permutations(range(max(widths))):
        for flip in itertools.product(flips, repeat=max(widths)):
            sign, places = np.array(flip), list(order)
            maps = stacked([(sign[:, None] * w[places], sign * b[places]), (v[:, places] * sign, c)])
            smallest = min(smallest, norm_of(maps, fixed))
    found = dc.weight_distance(net, other, draws=0)
    assert found.absolute == pytest.approx(smallest, rel=1e-12)
    assert found.relative == pytest.approx(smallest / norm_of(fixed, [0, 0]), rel=1e-12)
    assert len(found.layers) == 2


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "activation", [act.Tanh(), act.Sigmoid(2.0), act.ReLU(), act.Step(), act.Square(), act.Sin(), act.Exp()]
)
def test_units_of_zero_weights_are_no_distance(activation):
    net = network(np.random.default_rng(20), (3, 2, 3, 2), activation)
    wide = shuffled(rebuilt(net, padded(weights(net), [4, 7])), 21)
    assert same_function(wide, net)
    assert dc.weight_distance(wide, net, draws=0).relative < 1e-12
    assert dc.weight_distance(net, wide, draws=0).relative < 1e-12


def test_a_wider_copy_is_as_far_as_its_units_that_are_left_over_weigh():
    random = np.random.default_rng(22)
    net = network(random, (2, 3, 1), act.Tanh())
    (w, b), (v, c) = padded(weights(net), [5])
    w[3:], b[3:], v[:, 3:] = 1e-3 * random.normal(size=(2, 2)), 1e-3, 2e-3
    found = dc.weight_distance(shuffled(rebuilt(net, [(w, b), (v, c)]), 23, signs), net, draws=0)
    over = np.concatenate([w[3:].ravel(), b[3:], v[:, 3:].ravel()])
    assert found.absolute == pytest.approx(np.linalg.norm(over), rel=1e-9)


def test_only_units_of_both_networks_are_moved():
    net = network(np.random.default_rng(24), (3, 2, 2), act.Tanh())
    wide = rebuilt(net, padded(weights(net), [6]))
    (w, b), (v, c) = weights(wide)
    for order, moved in (
        ([0, 1, 2, 3, 4, 5], 0),
        ([0, 1, 5, 4, 3, 2], 0),
        ([1, 0, 2, 3, 4, 5], 2),
        ([5, 4, 3, 2, 1, 0], 2),
    ):
        other = rebuilt(net, [(w[order], b[order]), (v[:, order], c)])
        assert dc.weight_distance(other, net, draws=0).moved == moved
        assert dc.weight_distance(net, other, draws=0).moved == moved


def test_a_mixed_layer_is_padded_group_by_group():
    random = np.random.default_rng(25)
    net = network(random, (2, 3, 1), MIXED)
    (w, b), (v, c) = weights(net)
    places = [1, 2, 5]  # two of three ReLU units, one of four tanh units
    wide_w, wide_b, wide_v = np.zeros((7, 2)), np.zeros(7), np.zeros((1, 7))
    wide_w[places], wide_b[places], wide_v[:, places] = w, b, v
    pairs = [(wide_w, wide_b), (wide_v, c)]
    wide = rebuilt(network(random, (2, 7, 1), WIDER), pairs)
    assert same_function(wide, net)
    assert dc.weight_distance(wide, net, draws=0).relative < 1e-12
    assert dc.weight_distance(net, wide, draws=0).relative < 1e-12


def test_complex_networks_are_padded_too():
    net = network(np.random.default_rng(26), (2, 3, 2), act.Identity(), is_complex=True)
    wide = shuffled(rebuilt(net, padded(weights(net), [5])), 27, phases)
    assert dc.weight_distance(wide, net).relative < 1e-9 < dc.weight_distance(wide, net).baseline


@pytest.mark.slow
def test_a_construction_is_compared_with_a_wider_network():
    home = dc.parity(4)
    start = dc.densify(home.network)
    wide = rebuilt(start, padded(weights(start), [6, 9]))
    found = dc.weight_distance(dc.perturb(wide, 0.01, key=KEY), home)
    assert 0 < found.relative < 0.1 < 0.5 < found.baseline


# The baseline -------------------------------------------------------------------------------------


def test_the_baseline_is_the_mean_over_all_places():
    # tanh units with one input: 2 orders of each map of two weights, matched by hand.
    random = np.random.default_rng(30)
    net, other = (network(random, (2, 1, 1), act.Tanh()) for _ in range(2))
    (w, b), (v, c) = weights(net)
    fixed = stacked(weights(other))
    distances = []
    for order in ([0, 1], [1, 0]):
        tries = [stacked([(sign * w[:, order], sign * b), (sign * v, c)]) for sign in (1, -1)]
        distances.append(min(norm_of(maps, fixed) for maps in tries) / norm_of(fixed, [0, 0]))
    found = [dc.weight_distance(net, other, draws=1, seed=seed).baseline for seed in range(20)]
    assert {round(value, 9) for value in found} == {round(value, 9) for value in distances}
    many = dc.weight_distance(net, other, draws=400).baseline
    assert many == pytest.approx(np.mean(distances), abs=0.1 * np.ptp(distances))


def test_weights_that_cannot_be_shuffled_are_their_own_baseline():
    net, other = (network(np.random.default_rng(seed), (1, 1, 1), act.Tanh()) for seed in (31, 32))
    found = dc.weight_distance(net, other)
    assert found.baseline == pytest.approx(found.relative, rel=1e-12)


@pytest.mark.slow
def test_a_network_that_knows_nothing_of_another_is_at_its_baseline():
    random = np.random.default_rng(33)
    net, other = (network(random, (6, 20, 20, 3), act.Tanh()) for _ in range(2))
    found = dc.weight_distance(net, other)
    assert found.baseline == pytest.approx(found.relative, rel=0.05)
    near = dc.weight_distance(dc.perturb(other, 0.05, key=KEY), other)
    assert near.relative < 0.2 * near.baseline


def test_the_baseline_does_not_see_scales_that_change_no_function():
    random = np.random.default_rng(34)
    net, other = (network(random, (3, 4, 2), act.ReLU()) for _ in range(2))
    (w, b), (v, c) = weights(net)
    scale = np.exp(random.normal(size=4))
    scaled = rebuilt(net, [(scale[:, None] * w, scale * b), (v / scale, c)])
    assert dc.weight_distance(scaled, other).baseline == pytest.approx(dc.weight_distance(net, other).baseline)


def test_the_seed_decides_the_baseline_alone():
    net, other = (network(np.random.default_rng(seed), (3, 5, 2), act.Tanh()) for seed in (35, 36))
    one, same, apart = (dc.weight_distance(net, other, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one.baseline != apart.baseline
    assert one.relative == apart.relative
    assert math.isnan(dc.weight_distance(net, other, draws=0).baseline)


def test_the_record_shows_the_baseline_beside_the_distance():
    home = dc.parity(4)
    found = dc.weight_distance(dc.perturb(home, 0.1, key=KEY), home)
    assert f"relative={found.relative:.4g}, baseline={found.baseline:.4g}, " in repr(found)
    broken = dc.weight_distance(jax.tree.map(lambda leaf: leaf * jnp.nan, home.network), home)
    assert "relative=nan, baseline=nan" in repr(broken)
