"""Approximation curves: against the walk from coarse to fine that defines them; and as networks see them."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, strategies as st

import deepconstruct as dc
from deepconstruct import data, systems
from deepconstruct.linear import Dense

KEY = jax.random.key(0)
CANTOR = systems.cantor()


def walked(weights: np.ndarray) -> np.ndarray:
    """P from weights whose first entry is the finest level, as the experiments have them.

    From the coarsest level to the finest a point leaves with probability `1 - 2^-w`; those that never
    leave are positives. `P(j)` counts the positives and the negatives that left up to level `j`.
    """
    weights = weights / weights.sum()
    on_the_way, left = 1.0, [0.0]
    for weight in weights[::-1]:
        left.append(on_the_way * (1 - 2.0**-weight))
        on_the_way *= 2.0**-weight
    assert on_the_way == pytest.approx(0.5)
    return 0.5 + np.cumsum(left)


def finest_weights(level: int, count: int) -> np.ndarray:
    return np.concatenate([np.ones(count), np.zeros(level - count)])


# The families.


@pytest.mark.parametrize("level", [1, 2, 3, 5, 7, 50])
@pytest.mark.parametrize("exponent", [0, 0.5, 1, 5, 9, 40])
def test_power_curves_are_those_of_the_experiments(level, exponent):
    weights = np.linspace(level, 1, level) ** exponent
    np.testing.assert_allclose(data.power(exponent)(level), walked(weights), atol=1e-13)


@pytest.mark.parametrize("level, count", [(1, 1), (2, 1), (2, 2), (5, 1), (5, 2), (5, 3), (5, 5), (31, 7)])
def test_finest_curves_are_those_of_the_experiments(level, count):
    np.testing.assert_allclose(data.finest(count)(level), walked(finest_weights(level, count)), atol=1e-13)


@pytest.mark.parametrize("level", [1, 2, 3, 8])
def test_coarse_fine_and_linear_curves(level):
    assert data.coarse(level).tolist() == [0.5] + [1.0] * level
    assert data.fine(level).tolist() == [0.5] * level + [1.0]
    np.testing.assert_allclose(data.linear(level), [0.5 + j / (2 * level) for j in range(level + 1)], atol=1e-15)


def test_families_meet_where_they_should():
    assert np.array_equal(data.finest(1)(6), data.fine(6))
    np.testing.assert_allclose(data.finest(6)(6), data.power(0)(6), atol=1e-15)
    np.testing.assert_allclose(data.power(1e4)(6), data.fine(6), atol=1e-12)
    assert all(np.array_equal(family(1), [0.5, 1]) for family in (data.coarse, data.fine, data.linear, data.power(3)))


@given(level=st.integers(1, 60), exponent=st.floats(0, 1e6), share=st.floats(0, 1))
def test_all_curves_climb_from_one_half_to_one(level, exponent, share):
    count = 1 + int(share * (level - 1))
    for family in (data.power(exponent), data.finest(count), data.linear, data.coarse, data.fine):
        values = family(level)
        assert values.shape == (level + 1,)
        assert (values[0], values[-1]) == (0.5, 1.0)
        assert np.all(np.diff(values) >= 0)


def test_larger_exponents_are_finer():
    values = [data.power(exponent)(7) for exponent in (0, 1, 2, 5, 9, 100)]
    assert all(np.all(finer <= coarser) for coarser, finer in itertools.pairwise(values))


def test_the_middle_of_equal_weights_by_hand():
    # Half of the weight by level 1 of 2: 1 - 2^-1/2 of all points have left.
    np.testing.assert_allclose(data.power(0)(2), [0.5, 1.5 - math.sqrt(0.5), 1.0], atol=1e-15)


# Curves of one's own.


@given(steps=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_any_climb_is_a_curve(steps):
    total = sum(steps) or 1.0
    steps = steps if sum(steps) else [1.0 / len(steps)] * len(steps)
    climbed = np.minimum(0.5 + 0.5 * np.cumsum([0, *steps]) / total, 1.0)
    found = data.curve(climbed)(len(steps))
    np.testing.assert_allclose(found, climbed, atol=1e-12)
    assert np.all(np.diff(found) >= 0)
    assert found.min() >= 0.5
    assert found.max() <= 1


def test_roundings_are_forgiven():
    tenths = [0.5 + 0.1 * j for j in range(6)]
    assert data.curve([0.5, 0.7 + 1e-13, 0.7, 1 - 1e-13])(3).tolist() == [0.5, 0.7 + 1e-13, 0.7 + 1e-13, 1 - 1e-13]
    assert data.curve(tenths)(5).tolist() == tenths


def test_values_are_copied():
    given_values = np.array([0.5, 0.75, 1.0])
    family = data.curve(given_values)
    given_values[1] = 0.9
    family(2)[1] = 0.9
    assert family(2).tolist() == [0.5, 0.75, 1.0]


def test_equal_curves_are_equal():
    one, same = (data.curve([0.5, 0.75, 1.0]) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    families = {data.coarse, data.fine, data.linear, data.power(1), data.power(2), data.finest(1), data.finest(2), one}
    assert len(families) == 8
    assert data.power(2) == data.power(2.0)


def test_names_of_curves():
    shown = [data.coarse, data.power(2), data.power(0.5), data.finest(3), data.curve([0.5, 1.0])]
    assert [repr(family) for family in shown] == ["coarse", "power(2)", "power(0.5)", "finest(3)", "curve([0.5, 1.0])"]


REFUSALS = [
    (ValueError, r"data.curve: P must start at 1/2 and end at 1; got 0\.4 and 1", lambda: data.curve([0.4, 1.0])),
    (ValueError, "data.curve: P must start at 1/2 and end at 1; got 0.5 and", lambda: data.curve([0.5, 0.9])),
    (ValueError, "data.curve: P must start at 1/2 and end at 1; got 0.5 and 1.1", lambda: data.curve([0.5, 1.1])),
    (ValueError, r"data.curve: P must not fall; got P\(1\) = 0\.8 and P\(2\) = 0\.7",
     lambda: data.curve([0.5, 0.8, 0.7, 1.0])),
    (ValueError, r"data.curve: P must not fall; got P\(1\) = 1\.2 and P\(2\) = 1", lambda: data.curve([0.5, 1.2, 1.0])),
    (ValueError, r"data.curve: expected at least two finite values P\(0\), ..., P\(n\); got \[0.5\]",
     lambda: data.curve([0.5])),
    *((ValueError, "data.curve: expected at least two finite values", lambda values=values: data.curve(values))
      for values in ([], 0.5, [[0.5, 1.0]], [0.5, math.nan, 1.0], [0.5, math.inf])),
    (TypeError, r"data.curve: expected numbers P\(0\), ..., P\(n\); got 'fine'", lambda: data.curve("fine")),
    (TypeError, "data.curve: expected numbers", lambda: data.curve([0.5, None, "x"])),
    (ValueError, "data.curve: P has values for level 2; got level 3", lambda: data.curve([0.5, 0.7, 1.0])(3)),
    (ValueError, "data.finest: count must be at least 1; got 0", lambda: data.finest(0)),
    (TypeError, "data.finest: count must be an integer; got 1.5", lambda: data.finest(1.5)),
    (ValueError, "data.finest: count is 4, but there are only 3 levels", lambda: data.finest(4)(3)),
    (ValueError, "data.power: exponent must be finite and at least 0; got -1", lambda: data.power(-1)),
    (ValueError, "data.power: exponent must be finite and at least 0; got inf", lambda: data.power(math.inf)),
    (TypeError, "data.power: exponent must be a number; got 'two'", lambda: data.power("two")),
    *((ValueError, "data.Curve: level must be at least 1; got 0", lambda family=family: family(0))
      for family in (data.coarse, data.fine, data.linear, data.power(1), data.finest(1))),
    (TypeError, "data.Curve: level must be an integer; got 2.0", lambda: data.linear(2.0)),
]  # fmt: skip


@pytest.mark.parametrize("kind, message, ask", REFUSALS)
def test_bad_curves_are_refused(kind, message, ask):
    with pytest.raises(kind, match=message):
        ask()


# As networks see them.


def constant(value: float) -> dc.Network:
    return dc.Network((dc.Layer(Dense(jnp.zeros((1, 1), "float32")), jnp.array([value], "float32")),))


# One distribution and one number of points, so that samples are compiled once.
SEEN, COUNT = data.FractalDistribution(CANTOR, 3, data.linear), 10_000


@pytest.mark.slow
def test_truncations_are_right_as_often_as_the_curve_says():
    networks = [dc.fractal(CANTOR, j, dtype="float32") for j in (1, 2, 3)]
    found = data.measured_curve(SEEN, networks, KEY, COUNT)
    assert found.num == COUNT
    wanted = SEEN.values[1:]
    np.testing.assert_allclose(found.standard_error, np.sqrt(wanted * (1 - wanted) / COUNT), rtol=0.05)
    assert np.all(np.abs(found.accuracy - wanted) <= 4 * found.standard_error)
    assert found.accuracy[-1] == 1


@pytest.mark.slow
def test_networks_see_the_same_points_by_the_key():
    network = dc.fractal(CANTOR, 1, dtype="float32")
    found = data.measured_curve(SEEN, [network, network.network, network], KEY, COUNT)
    again = data.measured_curve(SEEN, [network], KEY, COUNT)
    other = data.measured_curve(SEEN, [network], jax.random.key(1), COUNT)
    assert len(set(found.accuracy.tolist())) == 1
    assert again.accuracy[0] == found.accuracy[0] != other.accuracy[0]


@pytest.mark.slow
def test_outputs_above_the_threshold_are_positive():
    networks = [constant(value) for value in (-0.25, 0.25, 0.5, 0.75)]
    _, y = SEEN.sample(KEY, COUNT, dtype="float32")
    share = float(np.mean(np.asarray(y) > 0))
    found = {t: data.measured_curve(SEEN, networks, KEY, COUNT, threshold=t).accuracy for t in (0.0, 0.5, -1)}
    np.testing.assert_allclose(found[0.5], [1 - share, 1 - share, 1 - share, share], atol=1e-6)
    np.testing.assert_allclose(found[0.0], [1 - share, share, share, share], atol=1e-6)
    np.testing.assert_allclose(found[-1], share, atol=1e-6)


def test_no_networks_give_an_empty_curve():
    found = data.measured_curve(data.FractalDistribution(CANTOR, 2), [], KEY, 5)
    assert found.accuracy.shape == found.standard_error.shape == (0,)


DUST = systems.cantor_dust()
MEASURES = [
    (ValueError, "measured_curve: expected networks from 2 numbers to 1; got one from 1 to 1",
     lambda: data.measured_curve(data.FractalDistribution(DUST, 2), [constant(0.0)], KEY, 5)),
    (ValueError, "measured_curve: expected networks from 2 numbers to 1; got one from 2 to 3",
     lambda: data.measured_curve(
         data.FractalDistribution(DUST, 2), [dc.Network((dc.Layer(Dense(jnp.ones((3, 2)))),))], KEY, 5)),
    (ValueError, "measured_curve: num must be at least 1; got 0",
     lambda: data.measured_curve(data.FractalDistribution(CANTOR, 2), [], KEY, 0)),
    (ValueError, "measured_curve: threshold must be finite", lambda: data.measured_curve(
        data.FractalDistribution(CANTOR, 2), [], KEY, 5, threshold=math.nan)),
    (TypeError, "measured_curve: expected a Network or Construction; got int",
     lambda: data.measured_curve(data.FractalDistribution(CANTOR, 2), [3], KEY, 5)),
    (TypeError, "FractalDistribution: key must be one PRNG key",
     lambda: data.measured_curve(data.FractalDistribution(CANTOR, 2), [constant(0.0)], 0, 5)),
]  # fmt: skip


@pytest.mark.parametrize("kind, message, ask", MEASURES)
def test_bad_measurements_are_refused(kind, message, ask):
    with pytest.raises(kind, match=message):
        ask()
