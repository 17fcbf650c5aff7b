"""Iterated function systems: gaps, words, cells, membership and random points, against oracles of a few lines."""

import copy
import itertools
import pickle
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import deepconstruct as dc
from deepconstruct import systems
from fractal_points import MIXED, UNEQUAL, by_name, turned

KEY = jax.random.key(0)


NAMED = [
    systems.cantor(), systems.cantor_reversed(), systems.cantor_dust(2, 1 / 4), systems.cantor_dust(3),
    systems.sierpinski_triangle(), systems.sierpinski_carpet(), systems.vicsek(3), systems.pentaflake(),
    systems.rotated_dust(), systems.reflected_dust(3),
]  # fmt: skip
EVERY = [*NAMED, MIXED, UNEQUAL]


def excess(system: dc.IFS, index: int, x: np.ndarray) -> np.ndarray:
    """By how much points exceed the image of one map, in its coordinates."""
    u = np.linalg.solve(system.linear.array[index], (x - system.offsets.array[index]).T)
    return np.abs(u).max(axis=0) - 1


def applied(system: dc.IFS, word: tuple[int, ...], x: np.ndarray) -> np.ndarray:
    """The image of one point under a word, letter by letter."""
    for letter in reversed(word):
        x = system.linear.array[letter] @ x + system.offsets.array[letter]
    return x


# Gaps.


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("ratio", [1 / 3, 1 / 4, 0.1, 0.45, 0.499])
def test_the_gap_of_dust_is_what_inflates_a_cell_to_the_middle(d, ratio):
    np.testing.assert_allclose(systems.cantor_dust(d, ratio).gap, 1 / ratio - 2, rtol=1e-9)


@pytest.mark.parametrize(
    "system",
    [
        systems.sierpinski_triangle(), systems.sierpinski_carpet(2), systems.sierpinski_carpet(3), systems.vicsek(),
        systems.vicsek(3), systems.pentaflake(), systems.cantor(1 / 2), systems.cantor_dust(3, 1 / 2),
    ],
    ids=by_name,
)  # fmt: skip
def test_the_gap_of_touching_cells_is_zero(system):
    assert system.gap == 0


@pytest.mark.parametrize("parts", [2, 3, 5, 7, 10, 11, 23, 29])
@pytest.mark.parametrize("d", [1, 2])
def test_cells_of_any_grid_touch_where_they_are_neighbors(parts, d):
    generator = np.random.default_rng(parts)
    chosen = np.unique(generator.integers(0, parts, (6, d)), axis=0)
    system = dc.IFS(np.tile(np.eye(d) / parts, (len(chosen), 1, 1)), (2 * chosen + 1) / parts - 1)
    distances = [np.abs(a - b).max() for a, b in itertools.combinations(chosen, 2)]
    nearest = min(distances, default=np.inf)
    assert system.gap == (0 if nearest == 1 else pytest.approx(nearest - 1))


@pytest.mark.parametrize("angle", [0.1, 0.3, 0.7, 1.2, 2.5])
def test_turned_squares_that_share_an_edge_touch(angle):
    turn = turned(angle, 0.2)
    system = dc.IFS([turn, turn], [-turn[:, 0], turn[:, 0]])
    assert system.gap == 0


@pytest.mark.parametrize("system", [systems.rotated_dust(0.3, 0.25), systems.rotated_dust(1.0), MIXED], ids=by_name)
def test_the_gap_of_turned_cells_agrees_with_a_search_on_a_grid(system):
    best = np.inf
    for first, second in itertools.combinations(range(system.num_maps), 2):
        center, span = np.zeros(2), 1.0
        for _ in range(25):  # the larger of two convex functions is convex: zoom in
            axes = [np.linspace(c - span, c + span, 41) for c in center]
            x = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
            larger = np.maximum(excess(system, first, x), excess(system, second, x))
            center, span = x[np.argmin(larger)], span * 0.6
        best = min(best, larger.min())  # pyright: ignore[reportPossiblyUnboundVariable]
    np.testing.assert_allclose(system.gap, best, atol=1e-4)


def test_a_single_map_has_an_infinite_gap():
    assert dc.IFS([[[0.5]]], [[0.25]]).gap == np.inf


# Words, cells, compositions.


@pytest.mark.parametrize("system", [systems.cantor(), systems.sierpinski_triangle(), systems.pentaflake()], ids=by_name)
@pytest.mark.parametrize("level", [0, 1, 2, 5])
def test_words_are_all_words_in_lexicographic_order(system, level):
    wanted = list(itertools.product(range(system.num_maps), repeat=level))
    found = system.words(level)
    assert found.shape == (system.num_maps**level, level)
    assert [tuple(word) for word in found.tolist()] == wanted


@pytest.mark.parametrize("system", EVERY, ids=by_name)
@pytest.mark.parametrize("level", [0, 1, 3])
def test_cells_are_the_maps_taken_one_after_the_other(system, level):
    matrices, centers = system.cells(level)
    w = np.random.default_rng(0).uniform(-1, 1, system.size)
    for index, word in enumerate(system.words(level).tolist()):
        np.testing.assert_allclose(matrices[index] @ w + centers[index], applied(system, word, w), atol=1e-14)


@pytest.mark.parametrize("system", [systems.cantor_reversed(), systems.rotated_dust(), MIXED], ids=by_name)
def test_the_first_level_of_a_system_with_itself_is_its_second(system):
    for ours, wanted in zip(system.compose(system).cells(1), system.cells(2), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-15)


def test_composition_applies_the_other_system_first():
    both = MIXED.compose(systems.pentaflake())
    w = np.array([0.3, -0.9])
    wanted = [applied(MIXED, (i,), applied(systems.pentaflake(), (j,), w)) for i in range(3) for j in range(5)]
    np.testing.assert_allclose(both.linear.array @ w + both.offsets.array, wanted, atol=1e-15)
    assert both.num_maps == 15


def test_a_composition_has_the_depth_of_two_levels():
    x = np.random.default_rng(1).uniform(-1, 1, (200, 2))
    triangle = systems.sierpinski_triangle()
    np.testing.assert_array_equal(triangle.compose(triangle).exact_depth(x, 2), triangle.exact_depth(x, 4) // 2)


def test_volumes_are_the_shares_of_the_cube():
    np.testing.assert_allclose(MIXED.volumes, [0.09, 0.04, 0.1], rtol=1e-12)
    np.testing.assert_allclose(systems.cantor_dust(3, 1 / 4).volumes, 1 / 64)


# Membership.


def digit_depth(places: tuple[int, ...], digits: int) -> int:
    """How many levels the cell `places` of the grid of `3^digits` stays in the thirds without the center."""
    for level in range(digits):
        if all(place // 3 ** (digits - 1 - level) % 3 == 1 for place in places):
            return level
    return digits


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("d, digits", [(1, 6), (2, 3)])
def test_membership_is_that_of_base_three_digits(d, digits):
    cells = list(itertools.product(range(3**digits), repeat=d))
    wanted = [digit_depth(places, digits) for places in cells]
    centers = [[Fraction(2 * place + 1, 3**digits) - 1 for place in places] for places in cells]
    carpet = systems.sierpinski_carpet(d)
    np.testing.assert_array_equal(carpet.exact_depth(centers, digits), wanted)
    floats = np.array(centers, float)
    np.testing.assert_array_equal(carpet.exact_depth(floats, digits), wanted)
    np.testing.assert_array_equal(carpet.depth(floats, digits), wanted)
    np.testing.assert_array_equal(carpet.depth(jnp.asarray(floats, "float32"), digits), wanted)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("system", [*NAMED[1::2], MIXED, UNEQUAL], ids=by_name)
def test_floats_agree_with_rationals_off_the_faces(system):
    generator = np.random.default_rng(2)
    x = generator.uniform(-1.1, 1.1, (300, system.size))
    # Into a cell of the third level, so that deep points are among them.
    deep = [applied(system, tuple(generator.integers(0, system.num_maps, 3)), w) for w in x[:100]]
    x = np.concatenate([x, deep])
    # Random points are nowhere near a face: 1e-16 of rounding is stretched by at most 5^4.
    exact = system.exact_depth(x, 4)
    assert {-1, 0, 3, 4} <= set(exact)
    np.testing.assert_array_equal(system.depth(x, 4), exact)
    np.testing.assert_array_equal(system.depth(jnp.asarray(x), 4), exact)
    np.testing.assert_array_equal(system.contains(x, 2), exact >= 2)


def test_points_on_shared_faces_are_followed_into_both_cells():
    # (-1/8, 0) lies on the upper face of the left cell, outside of its second level, and on the
    # lower face of the top cell, inside.
    maps = systems.sierpinski_triangle().maps
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        triangle = dc.IFS(maps[0][order], maps[1][order])
        assert triangle.exact_depth([[-0.125, 0.0]], 3) == 3


def test_levels_are_nested():
    x = np.random.default_rng(3).uniform(-1, 1, (300, 2))
    depths = [MIXED.exact_depth(x, level) for level in range(4)]
    for level, depth in enumerate(depths):
        np.testing.assert_array_equal(depth, np.minimum(depths[-1], level))


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_a_tolerance_inflates_and_shrinks_cells(kind):
    # The cell [1/3, 1] reaches to (1 + t)/3 around 2/3; its outer face is the cube's.
    x = kind([[2 / 3 - 1.05 / 3], [2 / 3 - 0.95 / 3], [0.0]])
    depths = {t: systems.cantor().depth(x, 1, tolerance=t).tolist() for t in (-0.1, 0.0, 0.1, 1.5)}
    assert depths == {-0.1: [0, 0, 0], 0.0: [0, 1, 0], 0.1: [1, 1, 0], 1.5: [1, 1, 1]}


def test_points_off_the_cube_have_depth_minus_one():
    x = np.array([[1.0001, 0.0], [0.0, -1.5], [1.0, 1.0]])
    assert systems.vicsek().exact_depth(x, 2).tolist()[:2] == [-1, -1]
    assert systems.vicsek().depth(x, 2).tolist()[:2] == [-1, -1]
    assert systems.vicsek().depth(x, 0).tolist() == [-1, -1, 0]


def test_exact_membership_takes_numbers_of_all_kinds():
    half = [[[kind(0.5)]] for kind in (Fraction, float, np.float16, np.float32, np.float64, np.longdouble, jnp.asarray)]
    for x in (*half, np.array([[0.5]], "float32"), jnp.array([[0.5]])):
        assert systems.cantor().exact_depth(x, 20).tolist() == [20]
    for kind in (int, np.int8, np.int32):
        # Sums of the small integers would overflow.
        assert systems.cantor().exact_depth([[kind(0)], [kind(100)]], 4).tolist() == [0, -1]
        assert systems.cantor(1 / 4).exact_depth([[kind(1)]], 30).tolist() == [30]
    assert systems.cantor().exact_depth(np.zeros((0, 1)), 4).shape == (0,)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("shape", [(), (0,), (2, 5)])
def test_membership_keeps_the_batch_compiled_or_mapped(shape):
    x = np.random.default_rng(4).uniform(-1, 1, (*shape, 2))
    wanted = MIXED.depth(x, 3)
    assert np.shape(wanted) == shape
    np.testing.assert_array_equal(jax.jit(lambda x: MIXED.depth(x, 3))(x), wanted)
    if shape:
        np.testing.assert_array_equal(jax.vmap(lambda x: MIXED.depth(x, 3))(jnp.asarray(x)), wanted)


def test_integer_points_are_numbers():
    assert systems.cantor(1 / 4).depth(np.array([[1], [0]]), 5).tolist() == [5, 0]
    assert systems.cantor(1 / 4).contains(jnp.array([[-1], [2]]), 5).tolist() == [True, False]


# Random points.


def shares(system: dc.IFS, level: int, weights: np.ndarray) -> np.ndarray:
    products = np.prod(np.asarray(weights)[system.words(level)], axis=1)
    return products / products.sum()


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "system, measure",
    [(UNEQUAL, "uniform"), (UNEQUAL, "self-similar"), (MIXED, "uniform"), (systems.vicsek(), "self-similar")],
)
def test_samples_fill_the_cells_by_their_measure(system, measure):
    x = np.asarray(system.sample(KEY, 2, 20_000, measure, dtype="float64"))
    matrices, centers = system.cells(2)
    u = np.stack([np.linalg.solve(m, (x - c).T).T for m, c in zip(matrices, centers, strict=True)])
    inside = np.abs(u).max(axis=-1) <= 1 + 1e-12
    np.testing.assert_array_equal(inside.sum(axis=0), 1)
    volumes = np.abs(np.linalg.det(system.linear.array))
    tests = {
        name: scipy.stats.chisquare(inside.sum(axis=1), 20_000 * shares(system, 2, weights)).pvalue
        for name, weights in (("uniform", volumes), ("self-similar", np.ones(system.num_maps)))
    }
    assert tests[measure] > 1e-3
    if np.ptp(volumes) > 1e-3:
        assert min(tests.values()) < 1e-6
    within = np.take_along_axis(u, inside.argmax(axis=0)[None, :, None], axis=0)[0]
    for coordinate in within.T:
        assert scipy.stats.kstest(coordinate, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "system, dtype", [(systems.cantor(), "float64"), (systems.rotated_dust(), "float32"), (MIXED, "float64")]
)
def test_samples_lie_in_their_level_up_to_rounding(system, dtype):
    x = system.sample(KEY, 5, 2000, dtype=dtype)
    assert x.dtype == dtype
    rounding = 4 * float(jnp.finfo(dtype).eps)
    stretch = 1 / np.linalg.svd(system.linear.array, compute_uv=False).min()
    # Cells of the fifth level are narrow: moving a point by a rounding is much there.
    assert np.all(system.depth(np.asarray(x, float), 5, tolerance=rounding * stretch**5) == 5)
    assert np.mean(system.exact_depth(np.asarray(x)[:200], 5) == 5) > 0.9


def test_the_key_decides_the_sample():
    first, again, other = (systems.cantor().sample(jax.random.key(seed), 4, 50) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.any(first == other)


@pytest.mark.parametrize("level", [0, 3])
def test_samples_may_be_empty(level):
    assert systems.vicsek(3).sample(KEY, level, 0).shape == (0, 3)


def test_level_zero_is_the_cube():
    x = np.asarray(MIXED.sample(KEY, 0, 4000))
    for coordinate in x.T:
        assert scipy.stats.kstest(coordinate, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3


# Records.


@pytest.mark.parametrize("system", EVERY, ids=by_name)
def test_equal_coefficients_make_equal_systems(system):
    same = dc.IFS(np.array(system.linear.array), system.offsets.array.tolist(), name=system.name)
    assert same == system
    assert hash(same) == hash(system)
    for kept in (pickle.loads(pickle.dumps(system)), copy.deepcopy(system)):
        assert kept == system


def test_other_coefficients_or_names_make_other_systems():
    first = dc.IFS([[[0.5]]], [[0.25]], name="a")
    others = [dc.IFS([[[0.5]]], [[0.25]], name="b"), dc.IFS([[[-0.5]]], [[0.25]], name="a")]
    assert len({first, *others, dc.IFS([[[0.5]]], [[0.25]], name="a")}) == 3


def test_coefficients_are_copied_and_read_only():
    linear = np.array([[[0.5]]])
    system = dc.IFS(linear, [[0.0]])
    linear[:] = 7
    assert system.linear.array.item() == 0.5
    with pytest.raises(ValueError, match="read-only"):
        system.linear.array[:] = 7


def test_the_slides_reversed_cantor_map_on_the_unit_interval():
    y = np.linspace(0, 1, 11)
    linear, offsets = systems.cantor_reversed().maps
    moved = (linear[:, 0] * (2 * y - 1) + offsets + 1) / 2
    np.testing.assert_allclose(moved, [1 / 3 - y / 3, 2 / 3 + y / 3], atol=1e-15)


def test_mirrored_cells_make_the_same_dust():
    x = np.random.default_rng(5).uniform(-1, 1, (3000, 2)) ** 3
    x = np.concatenate([x, np.asarray(systems.cantor_dust().sample(KEY, 4, 1000))])
    np.testing.assert_array_equal(systems.reflected_dust().depth(x, 4), systems.cantor_dust().depth(x, 4))
    assert np.linalg.det(systems.reflected_dust(3).linear.array).min() < 0


@pytest.mark.parametrize("system, count", [
    (systems.cantor(), 2), (systems.cantor_dust(3), 8), (systems.sierpinski_triangle(), 3),
    (systems.sierpinski_carpet(1), 2), (systems.sierpinski_carpet(2), 8), (systems.sierpinski_carpet(3), 26),
    (systems.vicsek(1), 3), (systems.vicsek(2), 5), (systems.pentaflake(), 5), (systems.rotated_dust(), 4),
], ids=str)  # fmt: skip
def test_named_systems_have_their_numbers_of_maps(system, count):
    assert system.num_maps == count
    assert repr(system) == f"IFS({system.name}: {count} maps of [-1, 1]^{system.size})"
