"""Indicator networks of fractals are right on their domains: named systems, random ones, all dtypes; sizes; files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import deepconstruct as dc
from deepconstruct import domains, systems, targets
from deepconstruct.network import flat_layers
from fractal_points import by_name, check_outputs, domain_of, leaving, on_the_fractal
from marks import slow_among

COUNT = 20_000

SEPARATED = [
    systems.cantor(), systems.cantor(1 / 4), systems.cantor_reversed(), systems.cantor_dust(2),
    systems.cantor_dust(2, 1 / 4), systems.cantor_dust(3), systems.rotated_dust(), systems.reflected_dust(2),
]  # fmt: skip
TOUCHING = [systems.sierpinski_triangle(), systems.vicsek(), systems.pentaflake()]
FOLDED = [systems.sierpinski_carpet(2), systems.sierpinski_carpet(3)]
NAMED = [*SEPARATED, *TOUCHING, *FOLDED]


# Named systems.


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system", slow_among(NAMED, [*SEPARATED[1:3], *SEPARATED[4:6], *TOUCHING[1:2]]), ids=by_name)
@pytest.mark.parametrize("dtype, levels", slow_among([("float32", (1, 2, 6)), ("float64", (5,))], [("float64", (5,))]))
def test_networks_are_exact_on_their_domains(system, dtype, levels):
    for level in levels:
        check_outputs(dc.fractal(system, level, dtype=dtype), COUNT)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "system, method", [(systems.cantor(), "fold"), (systems.sierpinski_carpet(), "branches")], ids=by_name
)
def test_the_other_method_is_exact_too(system, method):
    construction = dc.fractal(system, 4, method=method, dtype="float32")
    check_outputs(construction, 2000)
    assert dc.cost(construction).depth == (10 if method == "fold" else 8)


@pytest.mark.parametrize("system", NAMED, ids=by_name)
def test_domains_say_where_points_are_decided(system):
    separated = system.gap > 0
    domain = domain_of(dc.fractal(system, 3))
    margins = (domain.inner > 0, domain.outer > 0)
    assert margins == ((False, True) if separated or system in FOLDED else (True, False))
    assert (domain.system, domain.level) == (system, 3)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system", [systems.pentaflake(), systems.vicsek(3)], ids=by_name)
def test_points_of_the_fractal_on_outer_faces_are_not_claimed_to_be_off_it(system):
    # A hair inside, since rounded thirds don't reach the faces.
    x = np.array([fixed_point(system, index) for index in range(system.num_maps)]) * (1 - 1e-12)
    x = x[np.abs(x).max(axis=1) > 1 - 1e-9]
    construction = dc.fractal(system, 2, dtype="float64")
    assert len(x)
    assert np.all(system.exact_depth(x, 2) == 2)
    assert not np.any(construction(x) == 1)
    assert not np.any(construction.claim.domain.contains(x))


def fixed_point(system: dc.IFS, index: int) -> np.ndarray:
    return np.linalg.solve(np.eye(system.size) - system.linear.array[index], system.offsets.array[index])


def test_corners_of_the_fractal_on_faces_are_not_claimed_to_be_off_it():
    # These are dyadic: they lie in all levels, without any rounding, and on the faces of their cells.
    x = np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 1.0]])
    construction = dc.fractal(systems.sierpinski_triangle(), 3, dtype="float64")
    assert np.all(systems.sierpinski_triangle().exact_depth(x, 3) == 3)
    right = construction(x)[:, 0] == 1
    assert not np.any(construction.claim.domain.contains(x) & ~right)


@pytest.mark.parametrize("system", [systems.cantor_dust(), systems.sierpinski_triangle(), FOLDED[0]], ids=by_name)
def test_the_domain_holds_what_it_should(system):
    domain = domain_of(dc.fractal(system, 3, dtype="float64", margin=1 / 16))
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 2))
    x = np.concatenate([x, on_the_fractal(domain, 500)])
    np.testing.assert_array_equal(domain.contains(x), [decided(domain, point) for point in x])
    assert 0.1 < np.mean(domain.contains(x)) < 1


def decided(domain: domains.Fractal, x: np.ndarray) -> bool:
    """Point by point, as the definition has it; rounding is far smaller than the slack of 1e-12."""
    for _ in range(domain.level):
        u = np.linalg.solve(domain.system.linear.array, (x - domain.system.offsets.array)[..., None])[..., 0]
        excesses = np.abs(u).max(axis=1) - 1
        if excesses.min() > -domain.inner + 1e-12:
            return bool(excesses.min() >= domain.outer - 1e-12)
        x = u[excesses.argmin()]
    return True


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system", [systems.cantor(1 / 4), systems.pentaflake(), systems.rotated_dust()], ids=by_name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_target_is_the_indicator(system, dtype):
    construction = dc.fractal(system, 3, dtype=dtype)
    claim, domain = construction.claim, domain_of(construction)
    for stop in (1, 2, 3):
        assert not np.any(claim.target(leaving(domain, stop, 500).astype(dtype)))
    x = on_the_fractal(domain, 500).astype(dtype)
    found = claim.target(jnp.asarray(x))
    assert found.shape == (len(x), 1)
    assert found.dtype == dtype
    assert np.all(found == 1)
    np.testing.assert_array_equal(found, claim.target(x))


def test_targets_and_domains_are_equal_by_value():
    first, again = (dc.fractal(systems.vicsek(), 3).claim for _ in range(2))
    other = dc.fractal(systems.vicsek(), 2).claim
    assert (first.target, first.domain) == (again.target, again.domain)
    assert hash(first.target) == hash(again.target)
    assert hash(first.domain) == hash(again.domain)
    assert first.target != other.target
    assert first.domain != other.domain
    assert targets.Fractal(systems.cantor(), 2).name == "cantor(2)"


# Sizes.


def hidden_widths(construction: dc.Construction) -> list[int]:
    return [layer.out_size for layer in flat_layers(construction.network)[:-1]]


SIZED = [
    systems.cantor_reversed(), systems.cantor_dust(3), systems.cantor_dust(4, 1 / 4), systems.rotated_dust(),
    systems.pentaflake(), dc.IFS([[[0.5]]], [[0.2]], name="single"), *FOLDED,
]  # fmt: skip


@pytest.mark.parametrize("level", [1, 3])
@pytest.mark.parametrize("system", SIZED, ids=by_name)
def test_depth_is_twice_the_level_and_width_four_units_a_coordinate(system, level):
    construction = dc.fractal(system, level, dtype="float64")
    cost, widths = dc.cost(construction), hidden_widths(construction)
    folds = system in FOLDED
    assert cost.depth == len(widths) == 2 * level + (2 if folds else 0)
    assert cost.width == max(widths)
    d, r = system.size, system.num_maps
    assert max(widths) <= (6 * d if folds else 4 * d * r) <= 5 * d * r
    assert cost.neurons == sum(widths)
    if not folds:
        locates = [4 * d * r] * (level - 1) + [2 * d * r]
        assert widths == [width for pair in zip(locates, [d * r] * (level - 1) + [r], strict=True) for width in pair]


def test_dust_of_five_levels_in_the_plane_is_at_most_32_wide():
    cost = dc.cost(dc.fractal(systems.cantor_dust(), 5))
    assert (cost.depth, cost.width) == (10, 32)


# Random systems.


@st.composite
def systems_of(draw, maps: int, size: int) -> dc.IFS:
    """Cells in a grid, each turned, sheared, mirrored and shifted within its place; some touch."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parts = next(count for count in range(2, 10) if count**size >= maps)
    places = generator.permutation(parts**size)[:maps]
    centers = (2 * np.stack(np.unravel_index(places, (parts,) * size), -1) + 1) / parts - 1
    share = draw(st.sampled_from([0.5, 0.8, 1.0]))
    matrices = generator.uniform(-1, 1, (maps, size, size)) + 1.5 * np.eye(size)[generator.permutation(size)]
    matrices *= share / parts / np.abs(matrices).sum(axis=2).max(axis=1)[:, None, None]
    if draw(st.booleans()):
        matrices[:, 0] *= -1
    room = 1 / parts - np.abs(matrices).sum(axis=2)
    return dc.IFS(matrices, centers + generator.uniform(-1, 1, room.shape) * room, name="random")


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("d, maps", [
    *slow_among([(1, 2), (1, 3), (1, 5), (1, 9), (2, 4), (2, 7), (2, 8), (3, 2), (3, 6)], [(1, 3), (1, 9), (2, 7)]),
])  # fmt: skip
@settings(max_examples=4)
@given(data=st.data())
def test_random_systems_keep_the_claim(d, maps, data):
    construction = dc.fractal(data.draw(systems_of(maps, d)), 3, dtype="float64")
    # Drawn points are off by some roundings themselves.
    check_outputs(construction, 600, delta=max(construction.claim.robustness.radius - 2.0**-50, 0.0))


@pytest.mark.parametrize("flip", [False, True])
def test_random_systems_are_rotated_and_mirrored(flip):
    generator = np.random.default_rng(7)
    angles = generator.uniform(0, 2 * np.pi, 4)
    turns = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in angles]) * 0.3
    system = dc.IFS(turns @ np.diag([-1.0 if flip else 1.0, 1.0]), systems.cantor_dust(2, 0.5).offsets.array)
    assert np.all((np.linalg.det(system.linear.array) < 0) == flip)
    construction = dc.fractal(system, 5, dtype="float32")
    check_outputs(construction, 600, delta=construction.claim.robustness.radius - 2.0**-23)


def test_maps_in_any_order_and_a_single_map_are_systems_too():
    shuffled = np.random.default_rng(0).permutation(8)
    carpet = dc.IFS(*(part[shuffled] for part in systems.sierpinski_carpet().maps))
    assert dc.cost(dc.fractal(carpet, 2)).width == 12
    check_outputs(dc.fractal(carpet, 3), 600)
    check_outputs(dc.fractal(dc.IFS([[[0.5]]], [[0.25]]), 3), 600)


# Calls and files.


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system", [systems.rotated_dust(), systems.sierpinski_carpet()], ids=by_name)
def test_saved_networks_come_back_with_their_claims(system, tmp_path):
    construction = dc.fractal(system, 4, dtype="float32")
    dc.save(tmp_path / "fractal.zip", construction)
    again = dc.load(tmp_path / "fractal.zip")
    assert isinstance(again, dc.Construction)
    assert again.claim == construction.claim
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    np.testing.assert_array_equal(again(x), construction(x))


@pytest.mark.slow
def test_compiled_mapped_and_plain_calls_agree():
    construction = dc.fractal(systems.cantor_reversed(), 4, dtype="float32")
    x = np.random.default_rng(0).uniform(-1, 1, (5, 3, 1)).astype("float32")
    wanted = construction(x)
    assert wanted.shape == (5, 3, 1)
    assert wanted.dtype == "float32"
    np.testing.assert_array_equal(jax.jit(construction)(x), wanted)
    np.testing.assert_array_equal(jax.vmap(construction)(x), wanted)
    np.testing.assert_array_equal(construction(np.moveaxis(x, -1, 0), axis=0)[0], wanted[..., 0])
    assert construction(np.zeros((0, 1))).shape == (0, 1)
