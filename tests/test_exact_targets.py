"""Exact values of targets: against their definitions in fractions, and balls against 50 digits."""

import dataclasses
import itertools
import math
import time
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.targets import (
    DFT,
    BitsToSigns,
    BooleanClassifier,
    BooleanFunction,
    Composed,
    FanOut,
    Fractal,
    GaussianClassifier,
    HamiltonianClassifier,
    Iterated,
    Parallel,
    Parity,
    Polynomial,
    Product,
    Realified,
    SignsToBits,
)

THIRD = Fraction(1, 3)
BITS = np.array(list(itertools.product([0, 1], repeat=4)))
DOUBLE = dc.Target("double", lambda x: 2 * x)
CUBIC = Polynomial(2, ((((2, 1), 0.1), ((0, 0), -3.0)), (((0, 3), 1.0),), ()))


def listed(target, x):
    return target.exact(x).tolist()


@pytest.mark.parametrize(
    "target,x,wanted",
    [
        (Parity(3), [[1, 0, 1], [1, 1, 1]], [[0], [1]]),
        (Parity(2), [[THIRD, 1]], [[THIRD + 1]]),
        (Parity(2), [[0.75, 1.5]], [[Fraction(1, 4)]]),
        (Parity(2, "signs"), [[-1, 1], [THIRD, -3]], [[-1], [-1]]),
        (Product(3), [[0.1, 10, 1]], [[10 * Fraction(0.1)]]),
        (Product(4), [[10**9] * 4], [[10**36]]),  # beyond 64 bits
        (Product(2), np.array([[2**62, 4]]), [[2**64]]),
        (Parity(2), np.array([[2**63 - 1, 2**63 - 1]]), [[0]]),
        (BitsToSigns(2), [[0, 1]], [[1, -1]]),
        (BitsToSigns(2), np.array([[2**62, THIRD]], object), [[1 - 2**63, THIRD]]),
        (SignsToBits(2), [[1, -1]], [[0, 1]]),
        (SignsToBits(2), [[THIRD, 2]], [[THIRD, Fraction(-1, 2)]]),
        (BooleanFunction([0, 0.1, 0.2, 3]), [[1, 0], [0, 1], [1, 1]], [[Fraction(0.1)], [Fraction(0.2)], [3]]),
        (BooleanFunction([[1, 2], [3, 4]]), [[1.0]], [[3, 4]]),
        (CUBIC, [[2, 3]], [[12 * Fraction(0.1) - 3, 27, 0]]),
        (CUBIC, [[THIRD, 0.5]], [[Fraction(0.1) * THIRD**2 / 2 - 3, Fraction(1, 8), 0]]),
        (Composed(Product(2), Parallel((Parity(2), Product(1)), (2, 1))), [[1, 0, THIRD]], [[THIRD]]),
        (FanOut((Product(2), BitsToSigns(2))), [[THIRD, 2]], [[2 * THIRD, THIRD, -3]]),
        (Iterated(BitsToSigns(1), 3), [[THIRD]], [[1 - 2 * (1 - 2 * (1 - 2 * THIRD))]]),
        (Fractal(dc.systems.cantor(), 3), [[0.0], [0.5], [0.75], [2]], [[0], [1], [0], [0]]),
    ],
    ids=lambda value: value.name if isinstance(value, dc.targets.AbstractTarget) else "",
)
def test_rational_values_by_hand(target, x, wanted):
    assert target.exactness == "rational"
    assert listed(target, x) == wanted


def test_numbers_of_all_types_are_taken_as_they_are():
    tenth = Product(1)
    for kind in ("float16", "bfloat16", "float32", "float64"):
        value = jnp.asarray([[0.1]], kind)
        assert listed(tenth, value) == listed(tenth, np.asarray(value)) == [[Fraction(float(value[0, 0]))]]
    wide = np.longdouble(1) / 3
    assert listed(tenth, np.array([[wide]])) == [[Fraction(*wide.as_integer_ratio())]]
    for x in (np.array([[True]]), np.array([[1]], np.uint64), [[np.float32(1)]], [[np.int8(1)]], jnp.ones((1, 1))):
        assert listed(tenth, x) == [[1]]
    assert listed(tenth, np.array([[2**64 - 1]], np.uint64)) == [[2**64 - 1]]


@pytest.mark.parametrize("shape", [(2,), (0, 2), (3, 1, 2)], ids=str)
@pytest.mark.parametrize(
    "target",
    [
        Parity(2),
        Product(2),
        CUBIC,
        BooleanFunction([1, 2, 3, 4.5]),
        BitsToSigns(2),
        SignsToBits(2),
        Fractal(dc.systems.vicsek(), 2),
        Parallel((Parity(1), Product(1)), (1, 1)),
        FanOut((Parity(2), CUBIC)),
    ],
    ids=lambda target: target.name,
)
def test_leading_axes_are_kept(target, shape):
    x = np.ones(shape, int)
    assert target.exact(x).shape == target(x).shape


def mpf(value):
    import mpmath

    return mpmath.mpf(value.numerator) / value.denominator


def holds(ball, value):
    """Whether a real ball holds a number known to 60 digits, and is narrow."""
    import mpmath

    middle, radius = (mpmath.mpf(part.mid().str(70, radius=False)) for part in (ball, ball.rad()))
    room = mpmath.mpf(10) ** -58 * (1 + abs(value))
    return abs(middle - value) <= radius + room and radius <= mpmath.mpf(10) ** -45 * (1 + abs(value))


@pytest.fixture
def digits():
    mpmath = pytest.importorskip("mpmath")
    pytest.importorskip("flint")
    with mpmath.workdps(60):
        yield mpmath


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_transforms_to_50_digits(n, norm, inverse, digits):
    x = [Fraction(k * k + 1, 7) for k in range(n)]
    target = DFT(n, norm, inverse)
    scale = {"backward": 1 / mpf(Fraction(n)) if inverse else 1, "ortho": 1 / digits.sqrt(n)}
    factor = scale.get(norm, 1 if inverse else 1 / mpf(Fraction(n)))
    found, stacked = target.exact([x])[0], Realified(target).exact([[*x, *x]])[0]
    sign = 2 if inverse else -2
    for k in range(n):
        roots = [digits.expjpi(sign * mpf(Fraction(j * k, n))) for j in range(n)]
        wanted = factor * sum(mpf(value) * root for value, root in zip(x, roots, strict=True))
        assert holds(found[k].real, wanted.real)
        assert holds(found[k].imag, wanted.imag)
        wanted = wanted * digits.mpc(1, 1)
        assert holds(stacked[k], wanted.real)
        assert holds(stacked[n + k], wanted.imag)
    assert target.exactness == Realified(target).exactness == "balls"


def test_complex_numbers_and_transforms_of_transforms(digits):
    twice = Composed(DFT(3), DFT(3, inverse=True))
    found = twice.exact(np.array([[1 + 2j, 0.5, -1j]]))[0]
    for ball, wanted in zip(found, (1 + 2j, 0.5, -1j), strict=True):
        assert holds(ball.real, digits.mpf(complex(wanted).real))
        assert holds(ball.imag, digits.mpf(complex(wanted).imag))


def softmax(digits, logits):
    odds = [digits.exp(value) for value in logits]
    return [value / sum(odds) for value in odds]


def test_probabilities_to_50_digits(digits):
    table = np.array([[0.1, 2.0, -700.0], [800.0, 0.0, 3.0]])
    boolean = BooleanClassifier(table)
    for row in (0, 1):
        wanted = softmax(digits, [digits.mpf(value) for value in table[row]])
        assert all(map(holds, boolean.exact([[row]])[0], wanted))
    energies = Polynomial(1, ((((2,), 0.5),), (((1,), -0.3),)))
    x = Fraction(1, 7)
    wanted = [digits.log(digits.mpf(0.3)) - mpf(x**2) / 2, digits.log(digits.mpf(0.7)) + mpf(Fraction(0.3) * x)]
    found = HamiltonianClassifier(energies, (0.3, 0.7)).exact([[x]])[0]
    assert all(map(holds, found, softmax(digits, wanted)))


def test_normal_classes_to_50_digits(digits):
    means = [[0.1, 0.2, 0.3], [1.0, -1.0, 0.0]]
    covariances = [[[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.7]], np.eye(3).tolist()]
    target, x, logits = GaussianClassifier(means, covariances, [0.25, 0.75]), (0.3, -0.7, 1.1), []
    for mean, covariance, prior in zip(means, covariances, (0.25, 0.75), strict=True):
        matrix = digits.matrix(covariance)
        off = digits.matrix([digits.mpf(a) - digits.mpf(b) for a, b in zip(x, mean, strict=True)])
        form = (off.T * digits.inverse(matrix) * off)[0]
        logits.append(digits.log(digits.mpf(prior)) - digits.log(digits.det(matrix)) / 2 - form / 2)
    assert all(map(holds, target.exact([x])[0], softmax(digits, logits)))
    assert np.allclose(target(np.array(x)), [float(p.mid()) for p in target.exact(x)])


@pytest.mark.slow
def test_every_target_of_the_catalog_has_exact_values_near_its_wide_ones():
    pytest.importorskip("flint")
    for entry in dc.catalog.ENTRIES.values():
        claim = entry.build(entry.sizes[0]).claim
        assert claim.target.exactness is not None
        if claim.target.exactness == "rational" or claim.domain.size < 10:
            size = claim.domain.size
            x = np.resize([1.0, 0.0, 1.0], (2, size)) if claim.domain.cardinality else np.full((2, size), 0.0625)
            x = 2 * x - 1 if isinstance(claim.domain, dc.domains.Signs) else x
            found, wide = claim.target.exact(x), claim.target.wide(x)
            assert found.shape == wide.shape
            numbers = np.vectorize(lambda v: complex(v) if hasattr(v, "imag") else float(v.mid()), otypes=[complex])
            assert np.allclose(numbers(found), wide, rtol=1e-12, atol=1e-12)


@dataclasses.dataclass(frozen=True)
class Wrong(Parity):
    """Another function than that of its base class."""

    def _evaluate(self, x):
        return 0 * x[..., :1]


@pytest.mark.parametrize(
    "target",
    [
        DOUBLE,
        Wrong(3),
        Composed(Parity(1), DOUBLE),
        Composed(DOUBLE, Parity(1)),
        Parallel((Parity(1), DOUBLE), (1, 1)),
        FanOut((DOUBLE, Parity(1))),
        Iterated(DOUBLE, 2),
        Realified(DOUBLE),
        Composed(Parity(2), BooleanClassifier(np.eye(2))),  # the parity of balls
        Composed(BooleanFunction([0, 1]), DFT(1)),
        Iterated(BooleanClassifier(np.eye(2)), 2),
        FanOut((Wrong(3), Parity(3))),
    ],
    ids=lambda target: type(target).__name__,
)
def test_what_has_no_exact_values_says_so(target):
    assert target.exactness is None
    with pytest.raises(TypeError, match="no exact values: it is evaluated in floating point"):
        target.exact([[1, 0, 1]])


def test_a_subclass_of_a_joint_answers_for_itself():
    @dataclasses.dataclass(frozen=True)
    class Late(Composed):
        def _evaluate(self, x):
            return x

    assert Late(Parity(1), Parity(1)).exactness is None
    assert Composed(Late(Parity(1), Parity(1)), Parity(1)).exactness is None


@pytest.mark.parametrize("x", [[[math.nan, 0]], [[math.inf, 0]], np.array([[np.nan, 1]]), np.array([[1, np.inf]])])
def test_numbers_must_be_finite(x):
    with pytest.raises(ValueError, match="finite numbers"):
        Product(2).exact(x)


@pytest.mark.parametrize("x", ["10", ["1", "0"], [[None, 1]], np.array([["a", "b"]]), [[b"1", 0]]])
def test_numbers_must_be_numbers(x):
    with pytest.raises((TypeError, ValueError), match=r"expected (an array of )?numbers"):
        Product(2).exact(x)
    with pytest.raises(ValueError, match="last axis"):
        Product(2).exact(1)


@pytest.mark.parametrize("x", [[[2, 0]], [[0.5, 0]], [[-1, 0]], [[THIRD, 1]]])
def test_tables_are_about_bits(x):
    with pytest.raises(ValueError, match="bits, 0 and 1"):
        BooleanFunction([0, 1, 1, 0]).exact(x)
    with pytest.raises(ValueError, match="expected 1 bits; got 2"):
        BooleanFunction([0, 1]).exact([[0, 1]])


@pytest.mark.parametrize("tolerance", [-0.25, 0.0, 0.125])
def test_fractals_follow_all_cells(tolerance):
    # Cells of this triangle touch: a corner lies in several.
    system = dc.systems.sierpinski_triangle()
    x = [[Fraction(i, 12), Fraction(j, 12)] for i in range(-12, 13, 3) for j in range(-12, 13, 3)]
    found = Fractal(system, 3, tolerance).exact(x)[:, 0]
    if tolerance == 0:
        assert np.array_equal(found, system.exact_depth(x, 3) == 3)
    matrices, centers = system.cells(3)
    for point, inside in zip(np.array(x, float), found.tolist(), strict=True):
        u = np.linalg.solve(matrices, (point - centers)[..., None])[..., 0]
        excess = np.abs(u).max(axis=1).min() - 1
        assert bool(inside) == (excess <= tolerance) or abs(excess - tolerance) < 1e-9 or tolerance > 0


def test_many_bits_at_once_are_quick():
    x = np.asarray(dc.domains.Bits(16).enumerate(np.arange(2**16)))
    began = time.perf_counter()
    found = Parity(16).exact(x)
    assert found.dtype == np.int64
    assert np.array_equal(found[:, 0], x.sum(axis=1) % 2)
    assert time.perf_counter() - began < 0.5
