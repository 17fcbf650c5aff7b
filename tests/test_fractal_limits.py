"""How deep indicator networks go: exact at the last level that is built, which is near the floor; undecided shares."""

import math

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import domains, systems
from fractal_points import by_name, check_outputs, deepest, moved_in

COUNT = 20_000
ROUNDOFF = {"float32": 2.0**-24, "float64": 2.0**-53}


# The deepest level.

CARRIED = [
    systems.cantor(), systems.cantor(0.45), systems.cantor_reversed(), systems.cantor_dust(), systems.cantor_dust(3),
    systems.rotated_dust(), systems.rotated_dust(0.3, 0.2), systems.reflected_dust(), systems.vicsek(),
    systems.sierpinski_triangle(), systems.pentaflake(), systems.sierpinski_carpet(), systems.sierpinski_carpet(3),
]  # fmt: skip


@pytest.mark.parametrize("system", CARRIED, ids=by_name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_deepest_level_is_within_two_of_the_floor(system, dtype):
    # An error of 4 u is stretched by the inverse ratio from level to level until it fills the tolerance t:
    # floor(log_(1/ratio)(t / 4 u)). The network's tolerance is 3/8 of its margin, 1/16 at the limit.
    margin = 2.0**-4
    ratio = float(np.linalg.svd(system.linear.array, compute_uv=False).min())
    floor = math.floor(math.log(0.375 * margin / (4 * ROUNDOFF[dtype])) / math.log(1 / ratio))
    assert abs(deepest(system, dtype, margin=margin) - floor) <= 2


@pytest.mark.parametrize("margin, gained", [(1 / 16, 0), (9 / 16, 2), (1 / 144, -2)])
def test_nine_times_the_margin_gains_two_levels_of_thirds(margin, gained):
    assert deepest(systems.cantor(), "float64", margin=margin) == deepest(systems.cantor(), "float64") + gained


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "system, dtype, each",
    [
        (systems.cantor(), "float32", COUNT), (systems.cantor(), "float64", COUNT),
        pytest.param(systems.cantor_dust(), "float32", COUNT, marks=pytest.mark.slow),
        pytest.param(systems.rotated_dust(), "float32", COUNT, marks=pytest.mark.slow),
        (systems.rotated_dust(), "float64", 2000),
        (systems.sierpinski_triangle(), "float32", COUNT),
        (systems.sierpinski_carpet(), "float32", COUNT),
        pytest.param(systems.sierpinski_carpet(), "float64", 2000, marks=pytest.mark.slow),
    ],
    ids=by_name,
)  # fmt: skip
def test_the_deepest_level_is_exact(system, dtype, each):
    level = deepest(system, dtype)
    check_outputs(dc.fractal(system, level, dtype=dtype), COUNT, each)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype, room", [("float32", 2.0**-24), ("float64", 2.0**-52)])
@pytest.mark.parametrize("system", [systems.vicsek(), systems.sierpinski_carpet()], ids=by_name)
def test_moved_points_are_right_up_to_the_radius(system, dtype, room):
    construction = dc.fractal(system, 4, dtype=dtype)
    # Points drawn here are off by their own rounding.
    check_outputs(construction, COUNT, delta=construction.claim.robustness.radius - room)


@pytest.mark.slow
def test_domains_of_deep_touching_levels_hold_their_samples():
    system = systems.sierpinski_triangle()
    domain = dc.fractal(system, deepest(system, "float32"), dtype="float32").claim.domain
    x = domain.sample(jax.random.key(0), (2000,), dtype="float32")
    assert np.all(domain.contains(x))


# Dyadic systems.


def shortened(system: dc.IFS, x: np.ndarray, level: int, letters: int) -> np.ndarray:
    """Points with few digits taken into cells of up to `letters` levels, so that nothing is rounded."""
    return moved_in(system, x, min(level, letters), np.random.default_rng(level), 0.0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("dtype, level, letters", [("float32", 16, 9), ("float64", 30, 23)])
def test_dyadic_systems_are_exact_beyond_the_floor(d, dtype, level, letters):
    system = systems.cantor_dust(d, 1 / 4)
    generator = np.random.default_rng(0)
    # The corners of the cube belong to all levels; cells are [-1, -1/2] and [1/2, 1], and their margin is 1/16.
    stays = shortened(system, generator.choice([-1.0, 1.0], (4000, d)), level, letters)
    gap = generator.choice([-15, -8, 0, 3, 15], (4000, d)) / 32
    gap[:, 1:] = generator.choice([-32, -20, 1, 32], (4000, d - 1)) / 32
    leaves = [shortened(system, gap, stop - 1, letters) for stop in range(1, letters + 2)]
    x = np.concatenate([stays, *leaves])
    np.testing.assert_array_equal(x.astype(dtype).astype(float), x)
    checked = np.random.default_rng(1).choice(len(x), 300)
    assert np.array_equal(system.exact_depth(x[checked], level) == level, checked < 4000)
    found = dc.fractal(system, level, dtype=dtype)(x)[:, 0]
    np.testing.assert_array_equal(found, np.arange(len(x)) < 4000)


def test_dyadic_levels_that_others_carry_have_a_radius_and_deeper_ones_none():
    radii = [dc.fractal(systems.cantor(1 / 4), level, dtype="float32").claim.robustness.radius for level in (2, 7, 30)]
    assert radii[0] > radii[1] > radii[2] == 0


# What the margins of touching cells leave undecided.


def everywhere(system: dc.IFS, level: int, count: int) -> np.ndarray:
    """Points uniform on `K_level`, for maps of one size."""
    generator = np.random.default_rng(0)
    return moved_in(system, generator.uniform(-1, 1, (count, system.size)), level, generator, 0.0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system", [systems.vicsek(), systems.sierpinski_triangle(), systems.pentaflake()], ids=by_name)
@pytest.mark.parametrize("level, margin", [(1, 2.0**-4), (4, 2.0**-6), (4, 2.0**-8)])
def test_the_undecided_share_of_touching_cells_is_about_d_n_margin(system, level, margin):
    construction = dc.fractal(system, level, margin=margin, dtype="float64")
    x = everywhere(system, level, 100_000)
    decided, right = np.asarray(construction.claim.domain.contains(x)), np.asarray(construction(x))[:, 0] == 1
    share = np.mean(~decided)
    assert 0.4 <= share / (system.size * level * margin) <= 1.1
    assert np.all(right[decided])
    # The network's own threshold lies within the margin.
    assert 0 < np.mean(~right) < share


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system", [systems.cantor_dust(), systems.sierpinski_carpet()], ids=by_name)
def test_nothing_of_separated_and_folded_fractals_is_undecided(system):
    construction = dc.fractal(system, 4, dtype="float64")
    x = everywhere(system, 4, 20_000)
    assert np.all(construction.claim.domain.contains(x))
    assert np.all(construction(x) == 1)


def test_points_off_touching_cells_leave_strictly():
    # On a face a point is neither: it is no point off the fractal, nor does it keep the margin.
    domain = domains.Fractal(systems.sierpinski_triangle(), 1, 2.0**-6, 0.0)
    x = np.array([[0.5, 0.25], [0.5 + 2.0**-40, 0.25], [0.5 - 2.0**-40, 0.25], [0.5 - 2.0**-5, 0.25]])
    assert domain.contains(x).tolist() == [False, True, False, True]
