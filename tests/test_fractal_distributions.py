"""Fractal distributions: what truncated networks miss, where points lie, how often, and what is refused."""

# Wrong arguments are the point of some tests.
# pyright: reportArgumentType=false

import functools
import re
import subprocess
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import deepconstruct as dc
from deepconstruct.data import FractalDistribution

KEY = jax.random.key(3)
NUM = 40_000
UNEQUAL = dc.IFS([[[0.5]], [[-0.25]]], [[-0.5], [0.75]], name="unequal")
SINGLE = dc.IFS([[[0.5]]], [[0.25]], name="single")
FULL = dc.IFS([[[0.5]], [[0.5]]], [[-0.5], [0.5]], name="full")

SYSTEMS = {
    "cantor": (dc.systems.cantor(), 5),
    "dust": (dc.systems.cantor_dust(2), 4),
    "triangle": (dc.systems.sierpinski_triangle(), 4),
    "carpet": (dc.systems.sierpinski_carpet(), 3),
}
CURVES = {
    "coarse": lambda n: dc.data.coarse,
    "fine": lambda n: dc.data.fine,
    "linear": lambda n: dc.data.linear,
    "power": lambda n: dc.data.power(2.5),
    "finest": lambda n: dc.data.finest(2),
    "own": lambda n: [0.5 + 0.5 * (j / n) ** 3 for j in range(n + 1)],
}


def inverse(matrix):
    """By cofactors, so that it works for fractions as well."""
    if len(matrix) == 1:
        return np.array([[1 / matrix[0, 0]]])
    (a, b), (c, d) = matrix
    return np.array([[d, -b], [-c, a]]) / (a * d - b * c)


def follow(system, x, level, *, room=1e-9, number=float):
    """Depth of every point, the largest `max |u|` in the cells that it is in, and the excess where it leaves."""
    exact = np.vectorize(Fraction, otypes=[object]) if number is Fraction else np.asarray
    x, maps, shifts = exact(np.asarray(x, float)), exact(system.linear.array), exact(system.offsets.array)
    depth, reach, excess = np.zeros(len(x), int), np.zeros(len(x)), np.full(len(x), np.nan)
    for step in range(level):
        images = np.stack([(x - shift) @ inverse(matrix).T for matrix, shift in zip(maps, shifts, strict=True)])
        sizes = np.abs(images).max(axis=2)
        best, nearest = sizes.min(axis=0).astype(float), sizes.argmin(axis=0)
        alive = depth == step
        inside = alive & (best <= 1 + room)
        excess[alive & ~inside] = best[alive & ~inside] - 1
        reach[inside] = np.maximum(reach[inside], best[inside])
        depth += inside
        x = images[nearest, np.arange(len(x))]
    return depth, reach, excess


def distribution_of(name, curve):
    system, level = SYSTEMS[name]
    return FractalDistribution(system, level, CURVES[curve](level))


@functools.cache
def drawn(name, curve):
    return tuple(np.asarray(a) for a in distribution_of(name, curve).sample(KEY, NUM, dtype="float64"))


@functools.cache
def answers(name):
    """What all truncations say of all samples: shape (level, curves, NUM)."""
    system, level = SYSTEMS[name]
    x = np.concatenate([drawn(name, curve)[0] for curve in CURVES])
    margin = distribution_of(name, "fine").domain.inner or None
    networks = [dc.fractal(system, j, margin=margin, dtype="float64").network for j in range(1, level + 1)]
    outputs = np.array([jax.jit(lambda x, network=network: network(x, axis=0))(x.T)[0] for network in networks])
    assert set(np.unique(outputs)) <= {0.0, 1.0}
    return (outputs > 0.5).reshape(level, len(CURVES), NUM)


def errors(name, curve):
    """The error of every truncation, by its level."""
    y = drawn(name, curve)[1]
    wrong = answers(name)[:, list(CURVES).index(curve)] != (y > 0)
    return dict(enumerate(wrong.mean(axis=1), start=1))


# Truncations --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_truncation_errs_by_what_the_curve_leaves_open(name, curve):
    distribution, negatives = distribution_of(name, curve), np.mean(drawn(name, curve)[1] < 0)
    for j, error in errors(name, curve).items():
        share = 1 - distribution.curve(j)
        if share == 0:
            assert error == 0
        elif share == 0.5:
            assert error == negatives
        else:
            assert abs(error - share) <= 3 * np.sqrt(share * (1 - share) / NUM)


@pytest.mark.slow
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_truncation_errs_on_just_the_negatives_that_leave_later(name, curve):
    system, level = SYSTEMS[name]
    x, y = drawn(name, curve)
    depth = follow(system, x, level)[0]
    assert errors(name, curve) == {j: np.mean((y < 0) & (depth >= j)) for j in range(1, level + 1)}


# How often, and where -----------------------------------------------------------------------------


@pytest.mark.default_cases(5)
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("curve", CURVES)
def test_labels_are_balanced(name, curve):
    y = drawn(name, curve)[1]
    assert set(np.unique(y)) == {-1.0, 1.0}
    assert stats.binomtest(int(np.sum(y > 0)), NUM).pvalue > 1e-3


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("curve", ["linear", "power", "finest", "own"])
def test_negatives_leave_as_often_as_the_curve_climbs(name, curve):
    system, level = SYSTEMS[name]
    x, y = drawn(name, curve)
    leaves = system.depth(x[y < 0], level) + 1
    counts = np.bincount(leaves, minlength=level + 1)[1:]
    chances = 2 * np.diff(distribution_of(name, curve).values)
    assert np.all(counts[chances == 0] == 0)
    seen = chances > 0
    assert stats.chisquare(counts[seen], chances[seen] / chances.sum() * counts.sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", SYSTEMS)
def test_points_lie_where_their_labels_say(name):
    system, level = SYSTEMS[name]
    x, y = drawn(name, "linear")
    exact = system.exact_depth(x[:300], level)
    assert np.array_equal(exact == level, y[:300] > 0)
    assert np.array_equal(exact, follow(system, x[:300], level)[0])
    assert np.array_equal(np.asarray(system.depth(x, level)) == level, y > 0)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("j", [1, 3])
def test_a_curve_with_one_step_puts_all_negatives_at_one_level(name, j):
    system, level = SYSTEMS[name]
    distribution = FractalDistribution(system, level, [0.5] * j + [1.0] * (level + 1 - j))
    x, y = (np.asarray(array)[:200] for array in distribution.sample(KEY, NUM))
    assert set(system.exact_depth(x[y < 0], level)) == {j - 1}
    assert set(system.exact_depth(x[y > 0], level)) == {level}


MARGINS = [
    (dc.systems.cantor(), {"inner": 0.25, "outer": 0.5}, 5, "float32"),
    (dc.systems.rotated_dust(0.4), {"inner": 0.1, "outer": 0.1}, 5, "float32"),
    (dc.systems.vicsek(), {}, 2, "float32"),
    (dc.systems.sierpinski_triangle(), {"inner": 0.2}, 5, "float64"),
    (dc.systems.sierpinski_carpet(), {}, 5, "float32"),
    (UNEQUAL, {}, 5, "float32"),
    (SINGLE, {"inner": 0.1}, 5, "float32"),
]


@pytest.mark.slow
@pytest.mark.parametrize("system,margins,level,dtype", MARGINS, ids=str)
def test_points_keep_their_margins(system, margins, level, dtype):
    distribution = FractalDistribution(system, level, **margins)
    x, y = distribution.sample(KEY, 501, dtype=dtype)
    inner, outer = (margins.get(name, 0.0) for name in ("inner", "outer"))
    if not margins:
        inner, outer = distribution.domain.inner, distribution.domain.outer
        assert inner + outer > 0
    rounding = 4 * float(jnp.finfo(dtype).eps) / np.linalg.svd(system.linear.array)[1].min() ** level
    depth, reach, excess = follow(system, x, level, room=outer / 2 or rounding)
    assert np.abs(x).max() <= 1
    assert np.array_equal(depth == level, y > 0)
    assert reach.max() <= 1 - inner + rounding
    assert np.nanmin(excess) >= outer - rounding


@pytest.mark.promotes
@pytest.mark.slow
def test_positives_fill_their_cells_evenly():
    system = dc.systems.cantor_dust(3)
    x, y = FractalDistribution(system, 1).sample(KEY, 4000)
    first = (x - system.offsets.array[0]) @ np.linalg.inv(system.linear.array[0]).T
    inside = first[(y > 0) & (np.abs(first).max(axis=1) <= 1)]
    assert all(stats.kstest(column, "uniform", (-1, 2)).pvalue > 1e-3 for column in inside.T)


@pytest.mark.slow
def test_negatives_fill_the_gap_up_to_the_margin():
    # The gap of the Cantor set is (-1/3, 1/3), and cells are 2/3 long.
    x, y = FractalDistribution(dc.systems.cantor(), 1, outer=0.5).sample(KEY, 4000)
    assert stats.kstest(x[y < 0, 0], "uniform", (-1 / 6, 1 / 3)).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("measure,share", [("uniform", 2 / 3), ("self-similar", 1 / 2)])
def test_measures_differ_where_maps_shrink_differently(measure, share):
    x, y = FractalDistribution(UNEQUAL, 2, dc.data.fine, measure=measure).sample(KEY, 4000)
    for label in (-1, 1):
        left = x[y == label, 0] <= 0
        assert stats.binomtest(int(left.sum()), len(left), share).pvalue > 1e-3


# The call -----------------------------------------------------------------------------------------


def test_the_key_decides():
    distribution = distribution_of("dust", "linear")
    (x, y), (again, labels), (other, _) = (distribution.sample(jax.random.key(k), NUM) for k in (0, 0, 1))
    assert np.array_equal(x, again)
    assert np.array_equal(y, labels)
    assert np.mean(np.asarray(x) == np.asarray(other)) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("num", [0, 1])
def test_any_number_of_points(num):
    x, y = distribution_of("triangle", "linear").sample(KEY, num, dtype="float32")
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((num, 2), (num,), np.float32, np.float32)


@pytest.mark.slow
def test_samples_can_be_compiled_and_mapped_over_keys():
    distribution, keys = distribution_of("dust", "power"), jax.random.split(KEY, 2)
    mapped, labels = jax.jit(jax.vmap(lambda key: distribution.sample(key, NUM)))(keys)
    for key, x, y in zip(keys, mapped, labels, strict=True):
        found, signs = distribution.sample(key, NUM)
        assert np.array_equal(signs, y)
        np.testing.assert_allclose(found, x, rtol=0, atol=1e-15)


def test_equal_distributions_are_equal():
    one, same = (FractalDistribution(dc.systems.cantor(), 3, dc.data.power(2)) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    others = [(dc.systems.cantor(1 / 4), 3), (dc.systems.cantor(), 4)]
    assert all(one != FractalDistribution(system, level, dc.data.power(2)) for system, level in others)
    assert one != FractalDistribution(dc.systems.cantor(), 3, dc.data.power(3))
    assert repr(one) == "FractalDistribution(cantor, 3, power(2))"


@pytest.mark.slow
def test_without_64_bits_labels_and_levels_are_as_often():
    code = """
import numpy as np, jax, deepconstruct as dc
cantor = dc.systems.cantor()
distribution = dc.data.FractalDistribution(cantor, 5, dc.data.power(1.5))
x, y = distribution.sample(jax.random.key(0), 40000)
assert x.dtype == y.dtype == np.float32
depth = cantor.depth(np.asarray(x, float), 5, tolerance=1 / 32)
assert np.array_equal(depth == 5, y > 0)
for j in range(6):
    wrong = np.mean((np.asarray(y) < 0) & (depth >= j))
    p = 1 - distribution.curve(j)
    assert abs(wrong - p) <= 3 * np.sqrt(p * (1 - p) / 40000), j
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


# Refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "system,dtype",
    [(dc.systems.cantor(), "float64"), (dc.systems.rotated_dust(), "float32"), (UNEQUAL, "float32")],
    ids=str,
)
def test_too_deep_is_refused_with_the_deepest_level_and_that_works(system, dtype):
    refusal = rf"FractalDistribution: {dtype} resolves the cells of {system.name} up to level \d+ .*; got level 99"
    with pytest.raises(ValueError, match=refusal) as refused:
        FractalDistribution(system, 99).sample(KEY, 1, dtype=dtype)
    deepest = int(re.findall(r"up to level (\d+)", str(refused.value))[0])
    with pytest.raises(ValueError, match=f"up to level {deepest} with these margins; got level {deepest + 1}"):
        FractalDistribution(system, deepest + 1).sample(KEY, 1, dtype=dtype)
    distribution = FractalDistribution(system, deepest, dc.data.fine)
    x, y = distribution.sample(KEY, 60, dtype=dtype)
    outer = distribution.domain.outer
    depth, reach, excess = follow(system, x, deepest, room=outer / 4, number=Fraction)
    assert np.array_equal(depth, np.where(y > 0, deepest, deepest - 1))
    assert reach.max() <= 1 + outer / 4
    assert np.nanmin(excess) >= 0.75 * outer


REFUSALS = [
    ("FractalDistribution: level must be at least 1; got 0", lambda: FractalDistribution(UNEQUAL, 0)),
    (r"FractalDistribution: level must be an integer; got 2\.5", lambda: FractalDistribution(UNEQUAL, 2.5)),
    ("FractalDistribution: system must be a dc.IFS; got str", lambda: FractalDistribution("cantor", 3)),
    ("data.curve: P has values for level 2; got level 3", lambda: FractalDistribution(UNEQUAL, 3, [0.5, 0.7, 1])),
    ("data.finest: count is 4, but there are only 3 levels",
     lambda: FractalDistribution(UNEQUAL, 3, dc.data.finest(4))),
    (r"data.curve: expected numbers P\(0\), .*; got 'fine'", lambda: FractalDistribution(UNEQUAL, 3, "fine")),
    ("inner must be finite and at least 0; got -0.1", lambda: FractalDistribution(UNEQUAL, 3, inner=-0.1)),
    ("outer must be finite and at least 0; got nan", lambda: FractalDistribution(UNEQUAL, 3, outer=np.nan)),
    ("measure must be one of 'uniform', 'self-similar'; got 'even'",
     lambda: FractalDistribution(UNEQUAL, 3, measure="even")),
    ("FractalDistribution: no points leave full at level 1 with inner=.* and outer=0; there can't be negatives",
     lambda: FractalDistribution(FULL, 1)),
    ("no points leave cantor at level 1 with inner=0 and outer=2.5",
     lambda: FractalDistribution(dc.systems.cantor(), 1, outer=2.5)),
    # What is near enough to the center lies in the middle cell.
    ("no points leave vicsek at level 2 with inner=0.7 and outer=0",
     lambda: FractalDistribution(dc.systems.vicsek(), 3, inner=0.7)),
    (r"FractalDistribution: j must be at most the level 3; got 4", lambda: FractalDistribution(UNEQUAL, 3).curve(4)),
    (r"FractalDistribution: j must be at least 0; got -1", lambda: FractalDistribution(UNEQUAL, 3).curve(-1)),
    (r"FractalDistribution: j must be an integer; got True", lambda: FractalDistribution(UNEQUAL, 3).curve(True)),
    ("FractalDistribution: num must be at least 0; got -1", lambda: FractalDistribution(UNEQUAL, 3).sample(KEY, -1)),
    ("FractalDistribution: key must be one PRNG key.*; got int", lambda: FractalDistribution(UNEQUAL, 3).sample(0, 1)),
    ("FractalDistribution: dtype must be a real floating type; got int32",
     lambda: FractalDistribution(UNEQUAL, 3).sample(KEY, 1, dtype="int32")),
    ("one of the margins inner and outer must be above 0",
     lambda: FractalDistribution(UNEQUAL, 3, inner=0.0, outer=0.0)),
    ("no points of cantor keep inner=0.7 from the faces of all cells", lambda: FractalDistribution(
        dc.systems.cantor(), 2, inner=0.7)),
    ("resolves the cells of unequal up to level 0 with these margins",
     lambda: FractalDistribution(UNEQUAL, 3, outer=1e-20).sample(KEY, 1)),
]  # fmt: skip


@pytest.mark.parametrize("message,ask", REFUSALS, ids=[message for message, _ in REFUSALS])
def test_bad_distributions_are_refused(message, ask):
    with pytest.raises((ValueError, TypeError), match=message):
        ask()
