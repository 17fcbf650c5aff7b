"""Bounds of widths, regions, errors and gradients, computed again by brute force; and what they refuse."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import functools
import itertools
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import deepconstruct as dc
from deepconstruct import bounds, data, systems
from deepconstruct.activations import Identity, ReLU
from deepconstruct.linear import Dense

CURVES = st.lists(st.floats(0, 1), min_size=1, max_size=12).map(
    lambda steps: np.concatenate([[0.5], np.maximum.accumulate(0.5 + np.sort(steps) / 2)[:-1], [1.0]])
)


@functools.cache
def cut(hyperplanes: int, dimension: int) -> int:
    """Parts of space between hyperplanes in general position: a new one is cut by those before it."""
    parts = [1] * (dimension + 1)
    for _ in range(hyperplanes):
        parts = [1, *(same + lower for lower, same in itertools.pairwise(parts))]
    return parts[dimension]


def regions(widths: list[int], inputs: int) -> int:
    """What layers in turn can cut: the image of a layer has no more dimensions than any before it."""
    count, dimension = 1, inputs
    for width in widths:
        count *= cut(width, dimension)
        dimension = min(dimension, width)
    return count


# Linear regions.


@pytest.mark.parametrize("inputs", [1, 2, 3, 5])
@pytest.mark.parametrize("widths", [[1], [2], [7], [2, 2], [3, 1, 4], [1, 9], [8, 8, 8]])
def test_the_product_bound_is_that_of_layers_in_turn(widths, inputs):
    bound = bounds.linear_regions(widths, inputs)
    assert bound.product == regions(widths, inputs)
    assert (bound.widths, bound.inputs) == (tuple(widths), inputs)


@given(widths=st.lists(st.integers(1, 30), min_size=1, max_size=5), inputs=st.integers(1, 6))
def test_the_simple_bound_is_looser_where_it_holds(widths, inputs):
    bound = bounds.linear_regions(widths, inputs)
    assert (bound.simple is None) == (max(widths) < inputs)
    if bound.simple is not None:
        assert math.isclose(bound.simple, (math.e * max(widths) / inputs) ** (len(widths) * inputs), rel_tol=1e-9)
        assert bound.product <= bound.simple


def test_the_simple_bound_fails_below_its_condition():
    # One unit in the plane cuts it in two; (e / 2)^2 is 1.85.
    assert bounds.linear_regions([1], 2).product > (math.e * 1 / 2) ** 2
    assert bounds.linear_regions([1], 2).simple is None


def test_bounds_beyond_floats_are_infinite_or_exact():
    bound = bounds.linear_regions([100] * 60, 8)
    assert bound.simple == math.inf
    assert bound.product == regions([100], 8) ** 60 > 10**308


def test_networks_are_bounded_by_their_shapes():
    dust = dc.fractal(systems.cantor_dust(), 3)
    widths = [32, 8, 32, 8, 16, 4]
    for network in (dust, dust.network):
        assert bounds.linear_regions(network) == bounds.linear_regions(widths, 2)
    # Without a linear readout all layers are hidden.
    layers = tuple(dc.Layer(Dense(jnp.ones(shape)), None, ReLU()) for shape in ((3, 2), (4, 3)))
    assert bounds.linear_regions(dc.Network(layers)).widths == (3, 4)
    readout = dc.Layer(Dense(jnp.ones((1, 4))), None, Identity())
    assert bounds.linear_regions(dc.Network((*layers, readout))).widths == (3, 4)


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_have_no_more_regions_on_a_line_than_bounded(seed):
    generator = np.random.default_rng(seed)
    sizes = [1, *generator.integers(1, 6, 2), 1]
    layers = []
    for size, width in itertools.pairwise(sizes):
        weight, bias = generator.normal(size=(width, size)), generator.normal(size=width)
        layers.append(dc.Layer(Dense(jnp.asarray(weight)), jnp.asarray(bias), ReLU()))
    network = dc.Network((*layers, dc.Layer(Dense(jnp.ones((1, 1))))))
    assert dc.linear_regions(network, -50, 50).activation_regions <= bounds.linear_regions(network).product


# Widths.


@pytest.mark.parametrize("r", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [1, 3, 6])
@pytest.mark.parametrize("depth, d", [(1, 1), (1, 2), (2, 1), (2, 3), (12, 2)])
def test_widths_that_fractals_need(r, n, depth, d):
    bound = bounds.fractal_width(r, n, depth=depth, inputs=d)
    assert bound.regions == r**n
    least = bound.units
    assert regions([least] * depth, d) >= r**n
    assert least == 1 or regions([least - 1] * depth, d) < r**n
    formula = d / math.e * r ** (n / (depth * d))
    assert bound.width == (pytest.approx(formula) if formula >= d else None)
    # It comes from a looser bound of regions.
    assert (bound.width or 0) <= least


@pytest.mark.parametrize("system", [systems.cantor(), systems.cantor_dust(), systems.sierpinski_carpet()])
@pytest.mark.parametrize("level", [1, 3, 5])
def test_constructions_are_as_wide_as_they_must_be(system, level):
    cost = dc.cost(dc.fractal(system, level))
    bound = bounds.fractal_width(system.num_maps, level, depth=cost.depth, inputs=system.size)
    assert cost.width >= bound.units


def test_flat_networks_need_exponential_width():
    units = [bounds.fractal_width(4, n, depth=1, inputs=2).units for n in (2, 4, 6, 8)]
    assert units == [5, 23, 90, 362]


def test_huge_levels_have_widths_too():
    bound = bounds.fractal_width(2, 3000, depth=1, inputs=1)
    assert bound.width == math.inf
    assert bound.units == 2**3000 - 1
    assert bounds.fractal_width(2, 3000, depth=6000, inputs=1).units == 1


# The error window.


@given(
    values=CURVES, r=st.integers(2, 9), d=st.integers(1, 3), depth=st.integers(1, 30), width=st.integers(1, 200)
)  # fmt: skip
def test_the_window_is_that_of_the_theorem(values, r, d, depth, width):
    window = bounds.approximation(values, num_maps=r, inputs=d, depth=depth, width=width)
    levels = range(1, len(values))
    # Upper: all j that the theorem's construction reaches.
    reached = [j for j in levels if depth >= 2 * j + 2 and width >= 5 * d * r]
    assert window.upper == min([0.5, *(1 - values[j] for j in reached)])
    assert window.upper_level == max(reached, default=0)
    # Lower: all s above log_r k, on a grid that comes near.
    best = 0.0
    for j, factor in itertools.product(levels, (1 + 1e-9, 1.1, 1.5, 3.0)):
        s = max(math.log(width, r), 1e-12) * factor
        if depth < j / s:
            best = max(best, (1 - r ** (s * depth - j)) * (1 - values[j]))
    assert best == pytest.approx(window.lower, abs=1e-6)
    assert 0 <= window.lower <= window.upper <= 0.5


def test_the_window_of_a_fine_distribution_is_closed_and_that_of_a_coarse_one_open():
    fine = bounds.approximation(data.fine(30), num_maps=2, inputs=1, depth=4, width=10)
    coarse = bounds.approximation(data.coarse(30), num_maps=2, inputs=1, depth=4, width=10)
    assert (fine.upper, coarse.upper) == (0.5, 0.0)
    assert fine.lower == pytest.approx(0.5, abs=1e-4)
    assert fine.lower_level == 29
    assert (coarse.lower, coarse.lower_level) == (0.0, 0)


def test_networks_err_within_their_windows():
    distribution = data.FractalDistribution(systems.cantor(), 4, data.linear)
    for j in (1, 2, 3):
        window = bounds.approximation(distribution.values, num_maps=2, inputs=1, depth=2 * j + 2, width=10)
        assert window.upper == pytest.approx(1 - distribution.curve(j))
        # The library's own are shallower.
        cost = dc.cost(dc.fractal(systems.cantor(), j))
        assert cost.depth <= 2 * j + 2
        assert cost.width <= 10


# Gradients.


def first_level(depth: int, width: int, delta: Fraction) -> int:
    """The first `j` with `t k^2 (2/3)^j <= delta`."""
    return next(j for j in itertools.count() if depth * width**2 * Fraction(2, 3) ** j <= delta)


@given(values=CURVES, depth=st.integers(1, 20), width=st.integers(1, 300), percent=st.integers(1, 99))
def test_gradients_are_bounded_at_the_level_where_kinks_get_rare(values, depth, width, percent):
    bound = bounds.gradient(values, depth=depth, width=width, delta=percent / 100)
    assert bound.level == first_level(depth, width, Fraction(percent, 100))
    assert bound.reached == (bound.level < len(values))
    at = values[bound.level] if bound.reached else 1.0
    assert bound.bound == pytest.approx(5 * (at - 0.5))


def test_deep_fine_distributions_have_no_gradient():
    assert bounds.gradient(data.fine(40), depth=5, width=20, delta=0.1).bound == 0
    shallow = bounds.gradient(data.fine(20), depth=5, width=20, delta=0.1)
    assert (shallow.bound, shallow.reached) == (2.5, False)


# Refusals.


def width_of(*args, **options):
    return lambda: bounds.fractal_width(*args, **{"depth": 1, "inputs": 1, **options})


def window_of(values=(0.5, 1.0), **options):
    return lambda: bounds.approximation(values, **{"num_maps": 2, "inputs": 1, "depth": 1, "width": 1, **options})


def gradient_of(values=(0.5, 1.0), **options):
    return lambda: bounds.gradient(values, **{"depth": 1, "width": 1, "delta": 0.1, **options})


BAD_CURVES = ([0.5], [0.4, 1.0], [0.5, 0.9], [0.5, 0.9, 0.8, 1.0], [[0.5, 1.0]], [0.5, math.nan, 1.0])
REFUSALS = [
    (ValueError, "bounds.fractal_width: num_maps must be at least 1; got 0", width_of(0, 1)),
    (ValueError, "bounds.fractal_width: level must be at least 1; got 0", width_of(2, 0)),
    (ValueError, "bounds.fractal_width: depth must be at least 1; got 0", width_of(2, 1, depth=0)),
    (ValueError, "bounds.fractal_width: inputs must be at least 1; got 0", width_of(2, 1, inputs=0)),
    (TypeError, "bounds.fractal_width: level must be an integer; got 2.0", width_of(2, 2.0)),
    *((ValueError, r"bounds.approximation: values must be P\(0\) = 1/2, ..., P\(n\) = 1, not falling; got",
       window_of(values)) for values in BAD_CURVES),
    (ValueError, "bounds.approximation: num_maps must be at least 2; got 1", window_of(num_maps=1)),
    (ValueError, "bounds.approximation: inputs must be at least 1; got 0", window_of(inputs=0)),
    (ValueError, "bounds.approximation: depth must be at least 1; got 0", window_of(depth=0)),
    (ValueError, "bounds.approximation: width must be at least 1; got -3", window_of(width=-3)),
    *((ValueError, r"bounds.gradient: values must be P\(0\) = 1/2, ..., P\(n\) = 1, not falling; got",
       gradient_of(values)) for values in BAD_CURVES),
    (ValueError, "bounds.gradient: depth must be at least 1; got 0", gradient_of(depth=0)),
    (ValueError, "bounds.gradient: width must be at least 1; got 0", gradient_of(width=0)),
    (ValueError, "bounds.gradient: delta must be finite and above 0; got 0", gradient_of(delta=0)),
    (ValueError, "bounds.gradient: delta must be below 1; got 1", gradient_of(delta=1)),
    (TypeError, "bounds.gradient: delta must be a number; got 'rare'", gradient_of(delta="rare")),
    (TypeError, "bounds.linear_regions: inputs must be given with a list of widths",
     lambda: bounds.linear_regions([2])),
    (ValueError, "bounds.linear_regions: expected at least one hidden layer", lambda: bounds.linear_regions([], 1)),
    (ValueError, "bounds.linear_regions: expected at least one hidden layer",
     lambda: bounds.linear_regions(dc.Network((dc.Layer(Dense(jnp.ones((1, 2)))),)))),
    (ValueError, "bounds.linear_regions: every width must be at least 1; got 0",
     lambda: bounds.linear_regions([2, 0], 1)),
    (TypeError, "bounds.linear_regions: every width must be an integer", lambda: bounds.linear_regions([2.5], 1)),
    (ValueError, "bounds.linear_regions: inputs must be at least 1; got 0", lambda: bounds.linear_regions([2], 0)),
]  # fmt: skip


@pytest.mark.parametrize("kind, message, ask", REFUSALS)
def test_bad_arguments_are_refused(kind, message, ask):
    with pytest.raises(kind, match=message):
        ask()
