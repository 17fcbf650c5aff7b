"""Domains: sizes, membership, sampling, enumeration, inclusion and products."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from deepconstruct.domains import Bits, Box, Points, Product, Signs, Space, product

POINTS = Points([[0.0, 0.5], [1.0, -2.0], [3.0, 0.25]])
MIXED = Product((Bits(2), Box(1, -1.0, 2.0)))
FINITE = [Bits(1), Bits(5), Signs(3), POINTS, Product((Bits(2), POINTS, Signs(1)))]
DOMAINS = [*FINITE, Box(3, -1.0, 2.0), Space(2), Space(3, "complex"), MIXED]


def by_name(domains: list) -> dict:
    return {"argvalues": domains, "ids": repr}


@functools.cache
def drawn(domain: Any, seed: int = 0, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of a domain, and which of them it says it contains."""
    return jax.device_get(sampler(domain, shape)(jax.random.key(seed)))


@functools.cache
def sampler(domain: Any, shape: tuple[int, ...]) -> Callable:
    def sample(key: Any) -> tuple:
        x = domain.sample(key, shape)
        return x, domain.contains(x)

    # One compilation in place of one for every operation.
    return jax.jit(sample)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("domain", **by_name(DOMAINS))
def test_samples_lie_inside(domain):
    _, inside = drawn(domain, 0, 20, 3)
    assert inside.shape == (20, 3)
    assert np.all(inside)


@pytest.mark.parametrize("domain", **by_name(DOMAINS))
@pytest.mark.parametrize("shape", [(), (4,), (2, 0), (2, 3)], ids=str)
def test_samples_have_the_shape_asked_for(domain, shape):
    x, inside = jax.eval_shape(sampler(domain, shape), jax.random.key(0))
    assert x.shape == (*shape, domain.size)
    assert inside.shape == shape


@pytest.mark.parametrize("domain", **by_name([d for d in DOMAINS if d != Space(3, "complex")]))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_have_the_dtype_asked_for(domain, dtype):
    assert jax.eval_shape(lambda key: domain.sample(key, (2,), dtype=dtype), jax.random.key(0)).dtype == dtype


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_samples_have_the_dtype_asked_for(dtype):
    sample = Space(3, "complex").sample
    assert jax.eval_shape(lambda key: sample(key, (2,), dtype=dtype), jax.random.key(0)).dtype == dtype


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("domain", **by_name(DOMAINS))
def test_the_key_decides_the_sample(domain):
    (first, _), (other, _) = drawn(domain, 0, 20, 3), drawn(domain, 1, 20, 3)
    again, _ = sampler(domain, (20, 3))(jax.random.key(0))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n", [32, 33])
def test_bits_are_fair_and_independent(n):
    x = drawn(Bits(n), 1, 20_000)[0]
    assert np.all(np.abs(x.mean(axis=0) - 0.5) < 5 * 0.5 / math.sqrt(len(x)))
    correlation = np.corrcoef(x.T) - np.eye(n)
    assert np.all(np.abs(correlation) < 6 / math.sqrt(len(x)))


def test_signs_are_fair():
    x = drawn(Signs(5), 1, 20_000)[0]
    assert np.all(np.abs(x.mean(axis=0)) < 5 / math.sqrt(len(x)))


def test_box_samples_are_uniform():
    x = np.sort(drawn(Box(1, -1.0, 3.0), 2, 20_000)[0][:, 0])
    ranks = (np.arange(len(x)) + 0.5) / len(x)
    assert np.max(np.abs((x + 1) / 4 - ranks)) < 2 / math.sqrt(len(x))


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("field", ["real", "complex"])
def test_space_samples_have_unit_variance(field):
    x = drawn(Space(2, field), 3, 40_000)[0]
    assert np.all(np.abs(np.mean(np.abs(x) ** 2, axis=0) - 1) < 0.04)
    assert np.all(np.abs(np.mean(x, axis=0)) < 0.03)
    assert np.iscomplexobj(x) == (field == "complex")


@pytest.mark.slow
def test_points_are_drawn_equally_often():
    x = drawn(POINTS, 4, 30_000)[0]
    counts = [np.sum(np.all(x == row, axis=1)) for row in POINTS.array.array]
    assert sum(counts) == len(x)
    assert np.all(np.abs(np.array(counts) - 10_000) < 5 * math.sqrt(30_000 * 2 / 9))


def test_product_draws_its_parts_independently():
    x = drawn(Product((Points([[0.0], [1.0]]), Bits(1))), 5, 20_000)[0]
    assert abs(np.corrcoef(x.T)[0, 1]) < 5 / math.sqrt(len(x))


@pytest.mark.parametrize("domain", **by_name(FINITE))
def test_enumeration_gives_every_vector_once(domain):
    vectors = np.asarray(jax.jit(domain.enumerate)(np.arange(domain.cardinality, dtype="uint32")))
    assert vectors.shape == (domain.cardinality, domain.size)
    assert len(np.unique(vectors, axis=0)) == domain.cardinality
    assert np.all(jax.jit(domain.contains)(vectors))


def test_bits_are_numbered_by_their_binary_digits():
    indices = np.array([0, 1, 6, 2**31 + 5])
    vectors = np.asarray(jax.jit(Bits(32).enumerate)(indices))
    assert (vectors @ 2.0 ** np.arange(32)).tolist() == indices.tolist()


@pytest.mark.parametrize("domain", **by_name([Box(2, 0.0, 1.0), Space(2), MIXED]))
def test_infinite_domains_are_not_enumerated(domain):
    assert domain.cardinality is None
    with pytest.raises(TypeError, match="not finite"):
        domain.enumerate(jnp.arange(2))


def test_too_many_bits_are_not_enumerated():
    with pytest.raises(ValueError, match=r"Bits\(33\) is too large to enumerate"):
        Bits(33).enumerate(jnp.arange(2))


@pytest.mark.parametrize(
    "domain,size,cardinality",
    [(Bits(70), 70, 2**70), (Signs(3), 3, 8), (POINTS, 2, 3), (Product((Bits(3), POINTS)), 5, 24), (MIXED, 3, None)],
    ids=repr,
)
def test_size_and_cardinality(domain, size, cardinality):
    assert (domain.size, domain.cardinality) == (size, cardinality)


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "domain,outside",
    [
        (Bits(2), [0.0, 0.5]),
        (Bits(2), [0.0, -1.0]),
        (Bits(2), [0.0, math.nan]),
        (Signs(2), [1.0, 0.0]),
        (Box(2, 0.0, 1.0), [0.5, 1.0 + 1e-12]),
        (Box(2, 0.0, 1.0), [0.5, math.nan]),
        (Space(2), [0.0, math.inf]),
        (Space(2), [0.0, 1j]),
        (Space(2, "complex"), [0.0, complex(0, math.nan)]),
        (POINTS, [0.0, -2.0]),
        (MIXED, [1.0, 0.0, 2.5]),
        (MIXED, [1.0, 0.5, 0.0]),
    ],
    ids=repr,
)
def test_outsiders_are_told_row_by_row(domain, outside):
    # Beside a vector of the domain, so that one row doesn't decide for another.
    kind = complex if np.iscomplexobj(outside) else float
    inside, _ = drawn(domain, 0, 20, 3)
    batch = np.stack([inside[0, 0], outside]).astype(kind)
    assert jax.jit(domain.contains)(batch).tolist() == [True, False]


def test_points_compare_integers_by_value():
    assert not bool(Points([[0.5]]).contains(jnp.array([0])))


B, S = Bits(2), Signs(2)
CORNERS = Points([[0.0, 0.0], [1.0, 1.0]])
INCLUSIONS = [
    (B, B, True), (B, Bits(3), False), (B, S, False), (S, B, False), (Points([[1.0, 1.0]]), S, True),
    (B, Box(2, 0.0, 1.0), True), (B, Box(2, 0.0, 0.9), False), (S, Box(2, -1.0, 1.0), True),
    (Bits(40), Box(40, -1, 1), True), (Bits(40), Space(40), True), (Signs(40), Box(40, 0.0, 1.0), False),
    (Box(2, 0.0, 1.0), Box(2, -1.0, 1.0), True), (Box(2, -1.0, 1.0), Box(2, 0.0, 1.0), False),
    (Box(2, 0.0, 1.0), B, False), (Box(2, 0.0, 1.0), Space(2), True), (Space(2), Box(2, -1e9, 1e9), False),
    (Space(2), Space(2, "complex"), True), (Space(2, "complex"), Space(2), False), (B, Space(2, "complex"), True),
    (Space(2), B, False), (Space(2, "complex"), Box(2, -1, 1), False),
    (CORNERS, B, True), (CORNERS, S, False), (CORNERS, POINTS, False), (B, CORNERS, False), (CORNERS, Space(2), True),
    (CORNERS, Box(2, 0.0, 1.0), True), (Points(CORNERS.array.array[:1]), CORNERS, True),
    (Bits(1), Points([[0.0], [1.0]]), True), (POINTS, Box(2, -2.0, 3.0), True), (POINTS, Box(2, -1.0, 3.0), False),
    (Product((Bits(1), Signs(1))), B, False), (Product((Bits(1), Bits(1))), B, True),
    (Product((Bits(20), Bits(20))), Bits(40), True), (Bits(40), Product((Bits(20), Bits(20))), True),
    (Product((Bits(20), Signs(20))), Bits(40), False),
    (Product((Bits(1), CORNERS)), Bits(3), True), (Product((Bits(1), Signs(1))), Box(2, -1.0, 1.0), True),
    (Product((Bits(1), Signs(1))), Box(2, 0.0, 1.0), False), (MIXED, Space(3), True), (MIXED, Bits(3), False),
    (MIXED, Box(3, -1.0, 2.0), True), (MIXED, Box(3, 0.0, 2.0), False), (MIXED, MIXED, True),
    (Bits(3), Product((Bits(2), Box(1, -1.0, 2.0))), True), (Bits(3), Product((Bits(2), Signs(1))), False),
    (Product((Bits(1), Box(2, 0.0, 1.0))), Product((Box(2, 0.0, 1.0), Space(1))), True),
    (Product((Space(1, "complex"), Bits(1))), Space(2), False),
    (Product((Space(1, "complex"), Bits(1))), Space(2, "complex"), True),
    (Product((POINTS, Bits(1))), Points([[0.0, 0.5, 0.0]]), False),
    (Product((Bits(1), Bits(1))), Points(np.array([[0, 0], [0, 1], [1, 0], [1, 1]])), True),
]  # fmt: skip


@pytest.mark.parametrize("first,second,expected", INCLUSIONS, ids=repr)
def test_inclusion(first, second, expected):
    assert first.issubset(second) is expected


@pytest.mark.parametrize(
    "parts,expected",
    [
        ([Bits(2), Bits(3)], Bits(5)),
        ([Signs(1), Signs(1)], Signs(2)),
        ([Bits(1), Signs(1)], Product((Bits(1), Signs(1)))),
        ([Box(1, 0.0, 1.0), Box(2, 0.0, 1.0)], Box(3, 0.0, 1.0)),
        ([Box(1, 0.0, 1.0), Box(2, 0.0, 2.0)], Product((Box(1, 0.0, 1.0), Box(2, 0.0, 2.0)))),
        ([Space(1), Space(2)], Space(3)),
        ([Space(1), Space(2, "complex")], Product((Space(1), Space(2, "complex")))),
        ([Bits(1), Product((Bits(2), Signs(1))), Signs(2)], Product((Bits(3), Signs(3)))),
        ([POINTS, POINTS], Product((POINTS, POINTS))),
        ([Bits(4)], Bits(4)),
    ],
    ids=repr,
)
def test_product_joins_neighbors_of_one_kind(parts, expected):
    assert product(parts) == expected


@pytest.mark.parametrize("domain", **by_name([Bits(5), Signs(5), Box(5, 0.0, 1.0), Space(5, "complex")]))
def test_slices_of_plain_domains(domain):
    assert domain.slice(1, 4) == type(domain)(3, *(getattr(domain, f) for f in domain.__dataclass_fields__ if f != "n"))


def test_slices_of_products_cross_their_parts():
    mixed = Product((Bits(2), Signs(2), POINTS))
    assert mixed.slice(1, 3) == Product((Bits(1), Signs(1)))
    assert mixed.slice(4, 5) == Points(POINTS.array.array[:, :1])


@pytest.mark.parametrize("domain", **by_name([d for d in DOMAINS if d != Space(3, "complex")]))
def test_box_encloses_samples(domain):
    low, high = domain.box()
    x, _ = drawn(domain, 0, 20, 3)
    assert low.shape == high.shape == (domain.size,)
    assert np.all((low <= x) & (x <= high))


def test_domains_are_equal_by_value():
    assert Points([[1, 2]]) == Points(np.array([[1.0, 2.0]]))
    assert hash(Points([[1, 2]])) == hash(Points(np.array([[1.0, 2.0]])))
    assert Bits(2) != Signs(2)
    assert len({Bits(2), Bits(2), product([Bits(1), Bits(1)])}) == 1


@pytest.mark.parametrize(
    "build,error,message",
    [
        (lambda: Bits(0), ValueError, "Bits: n must be at least 1; got 0"),
        (lambda: Signs(-1), ValueError, "Signs: n must be at least 1; got -1"),
        (lambda: Bits(2.5), TypeError, "Bits: n must be an integer"),  # pyright: ignore[reportArgumentType]
        (lambda: Box(1, 2.0, 1.0), ValueError, "Box: expected finite low <= high; got low=2.0, high=1.0"),
        (lambda: Box(1, 0.0, math.inf), ValueError, "Box: expected finite"),
        (lambda: Box(1, math.nan, 1.0), ValueError, "Box: expected finite"),
        (lambda: Space(1, "quaternion"), ValueError, "Space: field must be one of 'real', 'complex'"),
        (lambda: Points([1.0, 2.0]), ValueError, "Points: expected a finite array"),
        (lambda: Points([[math.nan]]), ValueError, "Points: expected a finite array"),
        (lambda: Points(np.array([[1j]])), (TypeError, ValueError), "Points"),
        (lambda: Points(np.zeros((0, 2))), ValueError, "Points: expected a finite array"),
        (lambda: Product(()), ValueError, "Product: domains must be a non-empty tuple of AbstractDomain"),
        (lambda: Product((3,)), ValueError, "Product: domains must be"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_bad_domains_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


# In every precision --------------------------------------------------------------------------------

NARROW = ["float16", "bfloat16", "float32", "float64"]
AWKWARD = [Box(2, 0.1, 0.3), Box(1, -1e-3, 1e5), Box(2, -3e38, 3e38), Box(1, -0.7, -0.1),
           Product((Box(1, 0.1, 0.2), Bits(1), Space(1), Points([[0.5], [2.0]])))]  # fmt: skip


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("domain", **by_name([*DOMAINS, *AWKWARD]))
@pytest.mark.parametrize("dtype", NARROW)
def test_probes_and_samples_lie_in_the_domain_exactly(domain, dtype):
    wide = np.complex128 if domain.is_complex else np.longdouble
    for draw in (domain.probe, domain.sample):
        x = np.asarray(draw(jax.random.key(3), (200,), dtype=dtype))
        assert (x.shape, x.dtype) == ((200, domain.size), np.dtype(dtype))
        # By their values, and by their own dtype.
        assert np.all(domain.contains(x.astype(np.float64).astype(wide)))
        assert np.all(domain.contains(x))
        assert np.all(domain.contains(jnp.asarray(x)))


@pytest.mark.parametrize("dtype", NARROW)
def test_membership_does_not_round_the_ends_of_a_box(dtype):
    kind = np.dtype(dtype)
    for end in (0.1, 1 / 3, 0.7):
        nearest = np.asarray(end).astype(kind)
        for x in (nearest, np.nextafter(nearest, kind.type(9)), np.nextafter(nearest, kind.type(-9))):
            for xp in (np, jnp):
                assert bool(Box(1, end, 1.0).contains(xp.asarray(x)[None])) == (float(x) >= end)
                assert bool(Box(1, -1.0, end).contains(xp.asarray(x)[None])) == (float(x) <= end)


def test_membership_of_integers_and_complex_numbers():
    box = Box(1, 0.5, 3)
    for xp in (np, jnp):
        assert np.asarray(box.contains(xp.asarray([[0], [1], [3], [4]]))).tolist() == [False, True, True, False]
        assert np.asarray(box.contains(xp.asarray([[1 + 0j], [1 + 1j], [4 + 0j]]))).tolist() == [True, False, False]
        assert np.asarray(box.contains(xp.asarray([[True], [False]]))).tolist() == [True, False]
    assert Box(1, 0.2, 0.8).contains(np.array([[0], [1]])).tolist() == [False, False]


def test_room_is_for_faces_of_boxes_in_products_too():
    domain = Product((Bits(1), Box(1, -1.0, 1.0)))
    x = np.array([[1.0, 1.0 + 1e-9], [1.0 + 1e-9, 0.5]])
    assert domain.contains(x).tolist() == [False, False]
    assert domain.contains(x, room=1e-8).tolist() == [True, False]


def test_points_are_compared_as_they_are():
    tenth = Points([[0.1], [0.5]])
    assert tenth.contains(np.array([[0.1], [0.5]], np.float32)).tolist() == [False, True]
    assert tenth.contains([[0.1]]).tolist() == [True]
    assert not Points([[0.1]]).issubset(Points([[float(np.float32(0.1))]]))
    with jax.enable_x64(False):
        assert tenth.enumerate(np.arange(2)).tolist() == [[0.1], [0.5]]


@pytest.mark.parametrize(
    "draw,message",
    [
        (lambda key: Points([[0.1], [0.5]]).sample(key, dtype="float32"), r"1 of the points aren't numbers of float32"),
        (lambda key: Points([[0.1]]).probe(key, dtype="float32"), "none of the points is a vector of float32"),
        (lambda key: Box(1, 0.1, 0.1).sample(key, dtype="float32"), "there are no numbers of float32 between its ends"),
        (lambda key: Box(1, 0.1, 0.1).probe(key, dtype="float32"), "there are no numbers of float32 between its ends"),
        (lambda key: Bits(1).sample(key, dtype="int32"), "must be a real floating type; got int32"),
        (lambda key: Box(9, 0, 1).grid(50), "a grid of 50 points an axis has .* vectors; at most 2.20 are listed"),
        (lambda key: Bits(2).grid(1), "points must be at least 2; got 1"),
        (lambda key: Bits(2).contains(np.zeros(3)), r"expected vectors of 2 numbers; got shape \(3,\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw(jax.random.key(0))


def test_spaces_have_no_corners():
    with pytest.raises(TypeError, match="is unbounded: it has no corners and no grid"):
        Product((Bits(1), Space(1))).corners()


def test_probes_meet_what_uniform_samples_miss():
    x = Box(2, -1.0, 1.0).probe(jax.random.key(0), (600,), dtype="float32")
    assert {tuple(row) for row in x.tolist()} >= {(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)}
    beside = np.nextafter(np.float32(1), np.float32(0))
    for rare in (
        x == 0,
        x == 1,
        x == -1,
        x == beside,
        (x != 0) & (np.abs(x) < 1e-38),
        np.abs(np.abs(x) - 1e-20) < 9e-20,
    ):
        assert np.all(np.any(rare, axis=0))
    assert np.mean((np.abs(x) > 0.01) & (np.abs(x) < 0.99)) > 0.2
    far = np.abs(Space(2).probe(jax.random.key(0), (600,), dtype="float32"))
    assert far.max() > 1e8
    assert np.all(np.isfinite(far))


def test_probes_are_those_of_their_key():
    first, again, other = (Box(2, 0.0, 1.0).probe(jax.random.key(k), (9,)) for k in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(first, Box(2, 0.0, 1.0).probe(jax.random.PRNGKey(0), (9,)))


def test_small_words_are_simple_vectors():
    domain = Product((Bits(1), Box(2, -1.0, 2.0), Space(1)))
    x = domain.from_words(np.zeros((1, domain.words), np.uint64))
    assert x.tolist() == [[0.0, -1.0, -1.0, -1.0]]


# Corners, grids, steps -----------------------------------------------------------------------------


def test_corners_and_grids():
    assert Box(2, 0.0, 1.0).corners().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert Box(1, 0.1, 0.4).grid(3)[[0, 2]].tolist() == [[0.1], [0.4]]
    assert Box(3, 0.5, 0.5).grid(4).tolist() == [[0.5, 0.5, 0.5]]
    assert np.array_equal(Bits(3).grid(7), np.asarray(Bits(3).enumerate(np.arange(8))))
    assert Product((Signs(1), Box(1, 0.0, 1.0))).grid(3).tolist() == [
        [1, 0], [-1, 0], [1, 0.5], [-1, 0.5], [1, 1], [-1, 1]]  # fmt: skip
    assert Points([[3.0], [4.0]]).corners().tolist() == [[3.0], [4.0]]
    assert np.all(np.isfinite(Box(1, -1.7e308, 1.7e308).grid(5)))


def test_steps_divide_all_vectors():
    mixed = Product((Bits(1), Points([[0.75, 6.0], [0.0, 10.0]]), Box(1, 0.0, 1.0)))
    assert mixed.steps().tolist() == [1.0, 0.25, 2.0, 0.0]
    assert Points([[0.0], [0.0]]).steps().tolist() == [math.inf]
    assert Points([[5e-324], [1.0]]).steps().tolist() == [5e-324]


# Subclasses ----------------------------------------------------------------------------------------


class Wider(Box):
    """Says what a box says, and holds more."""

    def _contains(self, x, room):
        return np.all(x < 9, axis=-1)


class More(Bits):
    """Holds more than bits."""


class Fewer(Space):
    """Holds less than a space."""

    def _contains(self, x, room):
        return np.all(x > 0, axis=-1)


def test_subclasses_do_not_pass_for_their_class():
    assert not Wider(2, 0.0, 1.0).issubset(Box(2, 0.0, 1.0))
    assert not Bits(2).issubset(Fewer(2))
    assert not Fewer(2).is_space
    assert Space(2).is_space
    assert Space(2, "complex").is_space
    assert not Product((Space(1), Space(1, "complex"))).is_space
    assert More(2).steps().tolist() == [0.0, 0.0]
    assert product([More(1), More(1)]) == Product((More(1), More(1)))
    assert product([More(1), Bits(1)]) != Bits(2)
