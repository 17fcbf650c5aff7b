"""Exact counts of linear regions: against other ways to count, and where the number is known."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import systems
from deepconstruct.activations import AbstractActivation, Concatenate, Identity, ReLU, Sigmoid
from deepconstruct.linear import Dense, DirectSum, as_matrix
from deepconstruct.network import flat_layers


def layer(weight: object, bias: object = None, activation: AbstractActivation | None = None) -> dc.Layer:
    weight = jnp.asarray(weight, "float32")
    bias = None if bias is None else jnp.asarray(bias, "float32")
    return dc.Layer(Dense(weight), bias, ReLU() if activation is None else activation)


def readout(weight: object) -> dc.Layer:
    return layer(weight, None, Identity())


def random_network(seed: int, sizes: tuple[int, ...]) -> dc.Network:
    """Weights are small integers, so that breakpoints are simple fractions, and often coincide."""
    generator = np.random.default_rng(seed)
    pairs = itertools.pairwise(sizes)
    layers = [layer(generator.integers(-3, 4, (b, a)), generator.integers(-3, 4, b)) for a, b in pairs]
    return dc.Network((*layers, readout(generator.integers(-2, 3, (1, sizes[-1])))))


def at(network: dc.Network, x: list[Fraction]) -> list[Fraction]:
    """The output over the rationals, layer by layer with plain matrices."""
    for part in flat_layers(network):
        rows = np.asarray(as_matrix(part.linear), float).tolist()
        bias = np.zeros(len(rows)) if part.bias is None else np.asarray(part.bias, float)
        x = [
            sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b))
            for row, b in zip(rows, bias.tolist(), strict=True)
        ]
        x = [max(v, Fraction(0)) for v in x] if isinstance(part.activation, ReLU) else x
    return x


def on_the_line(network: dc.Network, start: object, stop: object, t: Fraction) -> list[Fraction]:
    begin, end = (np.atleast_1d(np.asarray(value, object)).tolist() for value in (start, stop))
    return at(network, [a + t * (Fraction(b) - a) for a, b in zip(map(Fraction, begin), end, strict=True)])


def check_pieces(network: dc.Network, start: object, stop: object) -> dc.LinearRegions:
    """Between breakpoints the output is affine, and at each its slope changes."""
    found = dc.linear_regions(network, start, stop)
    times = [Fraction(0), *found.breakpoints, Fraction(1)]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert found.count == len(found.breakpoints) + 1 <= found.activation_regions
    slopes = []
    for a, b in itertools.pairwise(times):
        inner = [a + (b - a) * share for share in map(Fraction, (0, 1 / 7, 1 / 3, 1 / 2, 5 / 8, 1))]
        values = [on_the_line(network, start, stop, t) for t in inner]
        rises = {
            tuple((y - z) / (t - s) for y, z in zip(high, low, strict=True))
            for (s, low), (t, high) in itertools.pairwise(zip(inner, values, strict=True))
        }
        assert len(rises) == 1
        slopes.append(rises.pop())
    assert all(before != after for before, after in itertools.pairwise(slopes))
    return found


# Random networks.


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sizes", [(1, 3), (1, 4, 3), (1, 3, 3, 3), (3, 5, 4)])
def test_outputs_are_affine_between_breakpoints_and_bend_there(seed, sizes):
    check_pieces(random_network(seed, sizes), [-4, *[1] * (sizes[0] - 1)], [5, *[-2] * (sizes[0] - 1)])


@pytest.mark.parametrize("seed", range(6))
def test_counts_agree_with_slopes_on_a_fine_grid(seed):
    generator = np.random.default_rng(seed)
    sizes = (1, 6, 5, 4)
    layers = [layer(generator.normal(size=(b, a)), generator.normal(size=b)) for a, b in itertools.pairwise(sizes)]
    network = dc.Network((*layers, readout(generator.normal(size=(1, 4)))))
    x = np.linspace(-5, 5, 200_001)
    y = x[None].astype(float)
    for part in flat_layers(network):
        y = np.asarray(as_matrix(part.linear), float) @ y
        y = np.maximum(y + np.asarray(part.bias, float)[:, None], 0) if part.bias is not None else y
    bends = np.abs(np.diff(y[0], 2)) > 1e-12
    # A bend between two points of the grid shows at both.
    seen = np.sum(bends & ~np.concatenate([[False], bends[:-1]]))
    found = dc.linear_regions(network, -5, 5)
    assert found.count == seen + 1
    places = -5 + 10 * np.array([float(t) for t in found.breakpoints])
    starts = x[1:-1][bends & ~np.concatenate([[False], bends[:-1]])]
    np.testing.assert_allclose(places, starts, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_pieces_are_the_same_from_the_other_end(seed):
    network = random_network(seed, (2, 5, 5))
    forth, back = (dc.linear_regions(network, *ends) for ends in (([-3, 2], [4, 1]), ([4, 1], [-3, 2])))
    assert forth.breakpoints == tuple(1 - t for t in reversed(back.breakpoints))
    assert (forth.count, forth.activation_regions) == (back.count, back.activation_regions)


def test_parts_of_a_segment_add_up():
    network = random_network(5, (1, 5, 5))
    whole = [-4 + 9 * t for t in dc.linear_regions(network, -4, 5).breakpoints]
    middle = Fraction(1, 3)
    left = [-4 + (middle + 4) * t for t in dc.linear_regions(network, -4, middle).breakpoints]
    right = [middle + (5 - middle) * t for t in dc.linear_regions(network, middle, 5).breakpoints]
    assert sorted({*left, *right}) == [place for place in whole if place != middle]


# Known numbers.

TENT = (layer([[1], [1], [1]], [0, -0.5, -1]), [[2, -4, 2]])


def tents(count: int) -> dc.Network:
    """The map `1 - |2x - 1|` of [0, 1] composed with itself."""
    first, weights = TENT
    inner = np.ones((3, 1)) @ np.array(weights)
    return dc.Network((first, *[layer(inner, [0, -0.5, -1])] * (count - 1), readout(weights)))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
def test_tents_bend_at_all_dyadic_places(count):
    found = dc.linear_regions(tents(count), 0, 1)
    assert found.count == 2**count
    assert found.breakpoints == tuple(Fraction(k, 2**count) for k in range(1, 2**count))


def test_nothing_is_rounded_where_floats_are_too_coarse():
    # Around 1 the regions of ten tents are 2^-10 wide; in a segment of length 2^-60 one bend is found.
    step = Fraction(1, 2**60)
    found = dc.linear_regions(tents(10), 1 - Fraction(1, 2**10) - step, 1 - Fraction(1, 2**10) + 2 * step)
    assert found.breakpoints == (Fraction(1, 3),)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("level", [1, 2, 3, 6])
def test_the_network_of_the_cantor_set_has_two_times_three_to_the_level_regions_less_one(level):
    assert dc.linear_regions(dc.fractal(systems.cantor(), level), -1, 1).count == 2 * 3**level - 1


def test_the_network_of_the_cantor_set_is_affine_between_its_bends():
    construction = dc.fractal(systems.cantor(1 / 4), 2, dtype="float32")
    found = check_pieces(construction.network, -1, 1)
    assert dc.linear_regions(construction, -1, 1) == found
    # Each of 2^n cells is flat at 1, each gap at 0.
    assert found.count >= 2 * 2**2 - 1


def test_parity_alternates_on_the_diagonal():
    # From all zeros to all ones the sum of bits takes every value; relu parity is affine between them.
    for n in (2, 4, 8):
        found = dc.linear_regions(dc.parity(n), [0] * n, [1] * n)
        assert check_pieces(dc.parity(n).network, [0] * n, [1] * n) == found
        assert found.count == n


def test_neighbors_of_one_slope_are_one_region():
    # relu(x) - relu(-x) = x, though both units change their signs at 0.
    found = dc.linear_regions(dc.Network((layer([[1], [-1]]), readout([[1, -1]]))), -1, 2)
    assert (found.count, found.activation_regions, found.breakpoints) == (1, 2, ())


def test_any_output_that_bends_counts():
    network = dc.Network((layer([[1], [1]], [0, -1]), readout([[1, 0], [0, 1], [0, 0]])))
    assert dc.linear_regions(network, -1, 3).breakpoints == (Fraction(1, 4), Fraction(1, 2))


def test_hidden_outputs_count_without_a_readout():
    assert dc.linear_regions(dc.Network((layer([[1]], [-1]),)), 0, 4).breakpoints == (Fraction(1, 4),)


def test_linear_networks_have_one_region():
    assert dc.linear_regions(dc.Network((readout([[3, -2]]),)), [0, 0], [1, 5]) == dc.LinearRegions(1, 1, ())


def test_bends_at_the_ends_are_none():
    assert dc.linear_regions(dc.Network((layer([[1], [1]], [0, -1]), readout([[1, 1]]))), 0, 1).count == 1


def test_mixed_layers_bend_where_they_are_rectified():
    mixed = dc.Layer(
        DirectSum((Dense(jnp.ones((1, 1))), Dense(jnp.ones((1, 1))))),
        jnp.array([0.0, -1.0]),
        Concatenate((Identity(), ReLU()), (1, 1)),
    )
    network = dc.Network((mixed, dc.Layer(Dense(jnp.ones((1, 2))))))
    assert dc.linear_regions(network, [-1, -1], [3, 3]).breakpoints == (Fraction(1, 2),)


def test_repeated_blocks_count_as_their_layers():
    plain, (_, weights) = tents(5), TENT
    inner = layer(np.ones((3, 1)) @ np.array(weights), [0, -0.5, -1])
    repeat = dc.Repeat((jax.tree.map(lambda leaf: jnp.stack([leaf] * 4), inner),), 4)
    network = dc.Network((TENT[0], repeat, readout(weights)))
    assert dc.linear_regions(network, 0, 1) == dc.linear_regions(plain, 0, 1)


@pytest.mark.parametrize("kind", [int, float, Fraction, np.float64, np.int32, np.float32])
def test_ends_are_numbers_of_all_kinds(kind):
    network = dc.Network((layer([[1, 1]], [-1]), readout([[1]])))
    start, stop = [kind(0), kind(0)], [kind(1), kind(3)]
    assert dc.linear_regions(network, start, stop).breakpoints == (Fraction(1, 4),)
    assert dc.linear_regions(network, np.zeros(2, "float32"), jnp.array([1, 3])).breakpoints == (Fraction(1, 4),)


def test_thirds_are_exact_where_they_are_given_so():
    network = dc.Network((layer([[3]], [-1]), readout([[1]])))
    assert dc.linear_regions(network, Fraction(1, 3), 1).count == 1
    assert dc.linear_regions(network, 1 / 3, 1).count == 2  # the float lies below


# Refusals.

ONE, TWO = dc.Network((layer([[1]]),)), dc.Network((layer([[1, 1]]),))
REFUSALS = [
    (ValueError, "linear_regions: start and stop must differ", lambda: dc.linear_regions(ONE, 1, 1.0)),
    (ValueError, r"linear_regions: start must have 1 numbers; got shape \(2,\)",
     lambda: dc.linear_regions(ONE, [0, 0], 1)),
    (ValueError, r"linear_regions: stop must have 2 numbers; got shape \(1,\)",
     lambda: dc.linear_regions(TWO, [0, 0], 1)),
    (ValueError, r"linear_regions: start must have 2 numbers; got shape \(1, 2\)",
     lambda: dc.linear_regions(TWO, [[0, 0]], [1, 1])),
    *((ValueError, "linear_regions: stop must be finite numbers; got", lambda end=end: dc.linear_regions(ONE, 0, end))
      for end in (math.nan, math.inf, "far", None, 1j)),
    (ValueError, "linear_regions: expected ReLU and identity layers; got sigmoid",
     lambda: dc.linear_regions(dc.Network((layer([[1]], None, Sigmoid()),)), 0, 1)),
    (ValueError, "linear_regions: expected ReLU and identity layers; got step",
     lambda: dc.linear_regions(dc.parity(2, activation="step"), [0, 0], [1, 1])),
    (TypeError, "linear_regions: expected a Network or Construction; got int", lambda: dc.linear_regions(3, 0, 1)),
]  # fmt: skip


@pytest.mark.parametrize("kind, message, ask", REFUSALS)
def test_bad_questions_are_refused(kind, message, ask):
    with pytest.raises(kind, match=message):
        ask()
