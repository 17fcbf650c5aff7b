"""Gaussian and Hamiltonian classifiers against posteriors from elsewhere, and refusals of polynomials."""

# Wrong arguments are part of the point here.
# pyright: reportArgumentType=false

import functools
import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from jax.scipy.stats import multivariate_normal

import deepconstruct as dc
from deepconstruct._arithmetic.softmax import softmax_error
from deepconstruct.activations import ReLU, Softmax
from deepconstruct.network import flat_layers
from marks import slow_among
from rationals import fractions


def symbols(names):
    import sympy  # here, since it is slow to import

    return sympy.symbols(names)


@functools.cache
def iris(classes):
    """Measurements, and the means, covariances and shares of two or five classes of flowers."""
    from sklearn.datasets import load_iris  # here, since it is slow to import

    flowers = load_iris(return_X_y=True)
    x, species = np.asarray(flowers[0]), np.asarray(flowers[1])
    label = (species == 0).astype(int)
    if classes == 5:
        # Two of the species, split at the median of their sepals.
        medians = np.array([np.inf, *(np.median(x[species == s, 0]) for s in (1, 2))])
        label = 2 * species - (species > 0) + (x[:, 0] > medians[species])
    parts = [x[label == k] for k in range(classes)]
    assert min(map(len, parts)) > 20
    return (
        x,
        np.array([part.mean(axis=0) for part in parts]),
        np.array([np.cov(part.T) for part in parts]),
        np.array([len(part) / len(x) for part in parts]),
    )


def posteriors(x, means, covariances, prior):
    """By JAX's densities."""
    logs = [
        multivariate_normal.logpdf(x, m, c) + math.log(p) for m, c, p in zip(means, covariances, prior, strict=True)
    ]
    return np.asarray(jax.nn.softmax(jnp.stack(logs, axis=-1), axis=-1))


def box_points(construction, rng, count=150):
    """Points of the box, its corners and faces among them, as floats of the dtype."""
    high = construction.claim.domain.box()[1]
    faces = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=len(high))))
    x = np.concatenate([rng.uniform(-1, 1, (count, len(high))), faces]) * high
    return x.astype(construction.claim.dtype).astype(float)


def assert_keeps_its_claim(construction, x, posterior, rng, slack=0.0):
    """At `x`, and at inputs moved by the whole radius and by a thousandth of it."""
    claim = construction.claim
    wanted = posterior(x)
    error = np.abs(np.asarray(construction(x), float) - wanted).max()
    assert error <= claim.error.absolute + slack
    steps = (
        rng.choice([-1.0, 1.0], x.shape)
        * rng.choice([1.0, 1e-3], (len(x), 1))
        * claim.robustness.radius
        * (1 - 2.0**-10)
    )
    moved = (x + steps).astype(claim.dtype).astype(float)
    error = np.abs(np.asarray(construction(moved), float) - wanted).max(axis=1)
    allowed = [claim.error.absolute + claim.allowance(delta) for delta in np.abs(moved - x).max(axis=1)]
    assert claim.robustness.radius > 0
    assert (error <= np.array(allowed) + slack).all()


# Gaussian -----------------------------------------------------------------------------------------


@pytest.mark.promotes
@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 5])
def test_flowers_have_the_posteriors_of_jax(classes):
    x, means, covariances, prior = iris(classes)
    built = dc.gaussian_classifier(means, covariances, prior, dtype="float64")
    wanted = posteriors(x, means, covariances, prior)
    assert np.abs(np.asarray(built(x)) - wanted).max() <= 1e-10
    assert built.claim.error.absolute <= 1e-10
    assert dc.cost(built).neurons == 4 * classes
    assert dc.cost(built).depth == 1
    assert isinstance(flat_layers(built.network)[-1].activation, Softmax)
    # No class is out of reach: each is the likeliest somewhere.
    assert set(wanted.argmax(axis=1)) == set(range(classes))


@pytest.mark.parametrize("classes", [2, 5])
def test_all_flowers_lie_in_the_default_bound(classes):
    x, means, covariances, prior = iris(classes)
    built = dc.gaussian_classifier(means, covariances, prior)
    assert bool(np.all(np.asarray(built.claim.domain.contains(x))))


def made(n, classes, seed=0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(classes, n, n))
    covariances = factors @ np.swapaxes(factors, 1, 2) + 0.5 * np.eye(n)
    return rng.normal(size=(classes, n)), covariances, rng.uniform(0.2, 1, classes)


@pytest.mark.parametrize("n,classes", [(1, 2), (2, 3), (3, 2), (7, 5)])
def test_the_default_bound_covers_six_deviations(n, classes):
    means, covariances, prior = made(n, classes)
    low, high = dc.gaussian_classifier(means, covariances, prior).claim.domain.box()
    deviations = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
    assert np.all(means + 6 * deviations <= high)
    assert np.all(means - 6 * deviations >= low)
    assert np.all(high <= (np.abs(means) + 6 * deviations).max(axis=0) + 1)


@pytest.mark.default_cases(1)
@pytest.mark.promotes
@pytest.mark.parametrize("n,classes", slow_among([(1, 2), (2, 3), (3, 2)], [(3, 2)]))
@pytest.mark.parametrize(
    "activation,dtype", [("square", "float64"), ("square", "float32"), ("sigmoid", "float64"), ("tanh", "float64")]
)
def test_gaussian_classifiers_keep_their_claims(activation, dtype, n, classes):
    means, covariances, prior = made(n, classes)
    built = dc.gaussian_classifier(means, covariances, prior, activation=activation, dtype=dtype)
    rng = np.random.default_rng(0)
    # The posteriors of JAX round too, by much less than a claim for so large a box.
    assert_keeps_its_claim(
        built, box_points(built, rng), lambda x: posteriors(x, means, covariances, prior / prior.sum()), rng, 1e-14
    )
    hidden = built.network.layers[0].out_size
    # A square is one unit, or two and a constant one, which those of its bias share.
    assert hidden == classes * n if activation == "square" else 2 * classes * n < hidden <= 3 * classes * n


def test_a_shared_covariance_is_one_for_each_class():
    means, covariances, prior = made(3, 4)
    shared = dc.gaussian_classifier(means, covariances[0], prior, dtype="float64")
    each = dc.gaussian_classifier(means, np.stack([covariances[0]] * 4), prior, dtype="float64")
    assert shared.claim == each.claim
    x = box_points(shared, np.random.default_rng(0), 20)
    assert np.array_equal(shared(x), each(x))


def exact_posterior(means, covariances, x):
    """Of two classes in the plane with equal shares: Hamiltonians and determinants as fractions."""
    m, c, points = fractions(means), fractions(covariances), fractions(x)
    energies, volumes = [], []
    for mean, covariance in zip(m, c, strict=True):
        (a, b), (_, d) = covariance
        determinant = a * d - b * b
        u, v = (points - mean).T
        energies.append((d * u * u - 2 * b * u * v + a * v * v) / (2 * determinant))
        volumes.append(determinant)
    odds = (energies[0] - energies[1]).astype(float) + 0.5 * math.log(volumes[0] / volumes[1])
    return np.stack([scipy.special.expit(-odds), scipy.special.expit(odds)], axis=-1)


def boundary_points(posterior, rng, high, count=40):
    """Points where both classes are about as likely, by bisection: there errors show most."""
    a, b = rng.uniform(-1, 1, (2, 400, len(high))) * high
    start = posterior(a)[:, 0] > 0.5
    across = start != (posterior(b)[:, 0] > 0.5)
    a, b, start = a[across][:count], b[across][:count], start[across][:count]
    for _ in range(52):
        middle = (a + b) / 2
        same = ((posterior(middle)[:, 0] > 0.5) == start)[:, None]
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    return a


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5])
def test_claims_hold_for_narrow_covariances(condition):
    # Eigenvectors and inverses round the more the narrower a covariance is; the claim has to know.
    rng = np.random.default_rng(0)
    turns = [np.linalg.qr(rng.normal(size=(2, 2)))[0] for _ in range(2)]
    covariances = np.array([(turn * [1.0, 1 / condition]) @ turn.T for turn in turns])
    covariances = (covariances + np.swapaxes(covariances, 1, 2)) / 2
    means = rng.normal(size=(2, 2)) / 10
    built = dc.gaussian_classifier(means, covariances, dtype="float64")
    x = boundary_points(lambda x: exact_posterior(means, covariances, x), rng, built.claim.domain.box()[1])
    assert len(x) >= 10
    error = np.abs(np.asarray(built(x)) - exact_posterior(means, covariances, x)).max()
    assert error <= built.claim.error.absolute


# Hamiltonian --------------------------------------------------------------------------------------

HAMILTONIANS = {
    "two lines": [{(1,): 1.0}, {(1,): -2.0, (0,): 0.5}],
    "quartics": [{(4, 0): 1.0, (0, 2): 0.5}, {(2, 2): -1.0}, {(1, 0): 1.0, (0, 3): 0.3}],
    "constants and zero": [{(0, 0): 1.0}, {(0, 0): -1.0}, {(1, 1): 0.0}, {(1, 1): 2.0}, {(0, 1): 1.0}],
    "Ising": [{(1, 1, 0): -1.0, (0, 1, 1): -1.0}, {(1, 0, 1): 1.0, (1, 1, 1): 0.5}],
}


def gibbs(hamiltonians, prior):
    """`softmax(-H - mu)` in NumPy."""

    def posterior(x):
        energies = [sum(c * np.prod(x ** np.array(e), axis=-1) for e, c in terms.items()) for terms in hamiltonians]
        energies = [np.broadcast_to(energy, len(x)) for energy in energies]
        return scipy.special.softmax(np.log(prior) - np.stack(energies, axis=-1), axis=-1)

    return posterior


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("hamiltonians", HAMILTONIANS.values(), ids=HAMILTONIANS.keys())
@pytest.mark.parametrize("activation,dtype", [("square", "float64"), ("square", "float32"), ("gelu", "float64")])
def test_hamiltonian_classifiers_keep_their_claims(hamiltonians, activation, dtype):
    rng = np.random.default_rng(1)
    prior = rng.uniform(0.1, 1, len(hamiltonians))
    built = dc.hamiltonian_classifier(hamiltonians, prior, bound=1.5, activation=activation, dtype=dtype)
    assert isinstance(built.claim.target, dc.targets.HamiltonianClassifier)
    assert built.claim.target.prior == pytest.approx(prior / prior.sum(), rel=1e-15)
    assert_keeps_its_claim(built, box_points(built, rng), gibbs(hamiltonians, prior), rng, 1e-15)


def test_classes_are_equally_likely_by_default():
    built = dc.hamiltonian_classifier([{(2,): 1.0}] * 3, dtype="float64")
    assert np.allclose(built([[0.3], [-1.0]]), 1 / 3, rtol=1e-15)


def test_products_are_shared_by_all_classes():
    one = dc.polynomial({(1, 1): 1.0, (2, 0): 1.0})
    all_classes = dc.hamiltonian_classifier([{(1, 1): 2.0}, {(1, 1): -1.0, (2, 0): 1.0}, {(2, 0): 3.0}])
    assert dc.cost(all_classes).neurons == dc.cost(one).neurons


def test_gaussians_are_hamiltonian_classifiers():
    gauss = dc.gaussian_classifier([[1.0], [-1.0]], [[1.0]], [0.25, 0.75], bound=2.0, dtype="float64")
    quadratic = [{(2,): 0.5, (1,): -1.0, (0,): 0.5}, {(2,): 0.5, (1,): 1.0, (0,): 0.5}]
    gibbs_form = dc.hamiltonian_classifier(quadratic, [1, 3], bound=2.0, dtype="float64")
    x = np.linspace(-2, 2, 41)[:, None]
    assert np.allclose(gauss(x), gibbs_form(x), rtol=0, atol=1e-14)


def test_sympy_hamiltonians_share_their_variables():
    x, y = symbols("x y")
    built = dc.hamiltonian_classifier([x**2, x * y], variables=(y, x), dtype="float64")
    expected = gibbs([{(0, 2): 1.0}, {(1, 1): 1.0}], [0.5, 0.5])(np.array([[0.25, -0.5]]))
    assert np.allclose(built([[0.25, -0.5]]), expected, rtol=1e-14)


# Softmax ------------------------------------------------------------------------------------------


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("classes", [2, 3, 17])
@pytest.mark.parametrize("error", [1e-9, 1e-3, 0.5, 4.0, 50.0])
def test_softmax_errors_are_bounded_by_half_of_those_of_the_logits(classes, error):
    rng = np.random.default_rng(classes)
    logits = rng.normal(size=(2000, classes)) * rng.choice([0.0, 1.0, 10.0], (2000, 1))
    worst = 0.0
    for signs in (rng.choice([-1.0, 1.0], logits.shape), np.eye(classes)[rng.integers(0, classes, 2000)] * 2 - 1):
        change = scipy.special.softmax(logits + error * signs, axis=1) - scipy.special.softmax(logits, axis=1)
        worst = max(worst, np.abs(change).max())
    assert worst <= softmax_error(error, classes, 0.0) + 1e-15
    if classes == 2 and error <= 1e-3:
        assert worst >= 0.9 * softmax_error(error, classes, 0.0)  # attained where both are as likely


@pytest.mark.parametrize("classes", [2, 5, 100])
def test_softmax_rounding_is_bounded(classes):
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=(3000, classes)) * rng.choice([0.1, 3.0, 30.0], (3000, 1))).astype("float32")
    rounded = np.asarray(jax.jit(Softmax())(logits), float)
    assert rounded.dtype == np.float64
    assert np.abs(rounded - scipy.special.softmax(logits.astype(float), axis=1)).max() <= softmax_error(
        0.0, classes, 2.0**-24
    )
    assert softmax_error(1e9, classes, 2.0**-24) == 1.0


# Errors -------------------------------------------------------------------------------------------

ONE, PLANE = {(1,): 1.0}, [[1.0, 2.0], [0.0, 0.0]]


def line(z):
    return 3 * z


def poly(terms, **options):
    return lambda: dc.polynomial(terms, **options)


def gauss(*arguments, **options):
    return lambda: dc.gaussian_classifier(*arguments, **options)


NOT_INTEGERS = "polynomial: exponents must be a tuple of integers of at least 0; got "
NOT_REAL = "polynomial: coefficients must be real numbers; got "
NOT_FINITE = "polynomial: coefficients must be finite; got "
BAD_BOUND = "bound must be positive and finite, one number or one for each of 1 variables; got "
BAD_MATRIX = "matrix must be square, real and finite"
NO_MEANS = r"means must have shape \(classes, n\) with two classes at least; got "
BAD_PRIOR = "prior must be 2 positive numbers, one a class; got "
NOT_SYMMETRIC = "gaussian_classifier: every covariance must be symmetric and positive definite; got one off by "
NOT_POSITIVE = "gaussian_classifier: every covariance must be symmetric and positive definite; got eigenvalues down to "
FEW = "expected at least two polynomials in the same variables; got "
REFUSED = [
    (TypeError, "terms must map tuples of exponents to coefficients.*; got list", poly([1.0, 2.0])),
    (ValueError, r"every term needs one exponent a variable; got terms of \[1, 2\]", poly({1: 1.0, (1, 2): 1.0})),
    (ValueError, "one exponent a variable; got terms of .* and variables=2", poly(ONE, variables=2)),
    (ValueError, r"got terms of \[\] exponents and variables=None", poly({})),
    (ValueError, "a constant expression needs variables=", lambda: dc.polynomial(symbols("x") * 0 + 3)),
    *((ValueError, NOT_INTEGERS, poly({key: 1.0})) for key in [(-1,), (0.5,), (), "x"]),
    *((TypeError, NOT_REAL, poly({(1,): value})) for value in [1j, "a", None]),
    *((ValueError, NOT_FINITE, poly({(1,): value})) for value in [math.inf, math.nan, Fraction(10**400)]),
    (TypeError, NOT_REAL + "y", lambda: dc.polynomial(symbols("x") ** 2 + symbols("y"), variables=[symbols("x")])),
    *((ValueError, BAD_BOUND, poly(ONE, bound=value)) for value in [0, -1.0, math.inf, math.nan, (1.0, 1.0), ()]),
    *((TypeError, "bound must be a number, or one a variable; got ", poly(ONE, bound=value)) for value in ["a", None]),
    (ValueError, "activation must be one of .*elementwise JAX function; got 'cosine'", poly(ONE, activation="cosine")),
    (ValueError, "relu can't multiply: a smooth activation", poly(ONE, activation="relu")),
    (ValueError, "relu can't multiply: a smooth activation", poly(ONE, activation=ReLU())),
    (ValueError, "polynomial: no error bound holds for line in float64: the derivative of order 2 is 0; use",
     poly({2: 1.0}, activation=line, dtype="float64")),
    (ValueError, "tolerance must be finite and above 0; got 0", poly(ONE, tolerance=0)),
    (ValueError, "Polynomial: expected 2 exponents a term; got ", lambda: dc.targets.Polynomial(2, ((((1,), 1.0),),))),
    *((ValueError, BAD_MATRIX, lambda m=m: dc.quadratic_form(m))
      for m in [[[1.0, 2.0]], [1.0], np.zeros((0, 0))]),
    (ValueError, "quadratic_form: matrix must be finite; got NaN", lambda: dc.quadratic_form([[math.nan]])),
    (TypeError, "quadratic_form: matrix.* must be real; got complex numbers", lambda: dc.quadratic_form([[1j]])),
    *((TypeError, "quadratic_form: matrix must be an array of real numbers; got ", lambda m=m: dc.quadratic_form(m))
      for m in ["a", [[1.0], [1.0, 2.0]]]),
    # What Python itself would say of these names no argument.
    *(((TypeError, ValueError), "polynomial: .*variables", poly(terms, variables=value))
      for terms, value in [({}, 0), ({}, "x")]),
    (
        TypeError, "polynomial: variables of a sympy expression must be its symbols; got 2",
        lambda: dc.polynomial(symbols("x") * symbols("y"), variables=2),
    ),
    (ValueError, NO_MEANS, gauss([1.0, 2.0], np.eye(2))),
    (ValueError, NO_MEANS, gauss([[1.0, 2.0]], np.eye(2))),
    (ValueError, r"covariances must have shape \(2, 2, 2\) or \(2, 2\); got \(3, 3\)", gauss(PLANE, np.eye(3))),
    (ValueError, NOT_SYMMETRIC + "0.1", gauss(PLANE, [[1.0, 0.1], [0.0, 1.0]])),
    (ValueError, NOT_POSITIVE + "-1", gauss(PLANE, [[1.0, 2.0], [2.0, 1.0]])),
    (ValueError, NOT_POSITIVE + "0", gauss(PLANE, np.zeros((2, 2)))),
    (ValueError, "gaussian_classifier: covariances must be finite", gauss(PLANE, np.full((2, 2), math.nan))),
    *((ValueError, BAD_PRIOR, gauss(PLANE, np.eye(2), prior))
      for prior in [[1, 0], [1, 2, 3], [1, -1]]),
    (ValueError, "prior must be finite", gauss(PLANE, np.eye(2), [1, math.nan])),
    (TypeError, "prior must be an array of real numbers; got 'ab'", gauss(PLANE, np.eye(2), "ab")),
    (ValueError, "gaussian_classifier: means must ", gauss([[1.0, math.nan], [0.0, 0.0]], np.eye(2))),
    (ValueError, "gaussian_classifier: means must ", gauss(np.zeros((2, 0)), np.zeros((0, 0)))),
    (ValueError, "gaussian_classifier: a covariance is too close to singular for double precision; got ",
     gauss(PLANE, [[1.0, 1 - 1e-16], [1 - 1e-16, 1.0 + 1e-15]])),
    (ValueError, "gaussian_classifier: bound must be positive and finite", gauss(PLANE, np.eye(2), bound=-1.0)),
    (ValueError, FEW + "1 in 1 variables", lambda: dc.hamiltonian_classifier([ONE])),
    (ValueError, FEW + "0 in", lambda: dc.hamiltonian_classifier([])),
    (ValueError, FEW + "2 in 1, 2 variables", lambda: dc.hamiltonian_classifier([ONE, {(1, 1): 1.0}])),
    (ValueError, BAD_PRIOR, lambda: dc.hamiltonian_classifier([ONE, ONE], [-1, 2])),
    (ValueError, "hamiltonian_classifier: prior must be 2 numbers whose ratios double precision holds; got ",
     lambda: dc.hamiltonian_classifier([ONE, ONE], [5e-324, 1e300])),
    (ValueError, "gaussian_classifier: tolerance must be finite and above 0; got 0",
     lambda: dc.gaussian_classifier(PLANE, np.eye(2), tolerance=0)),
]  # fmt: skip


@pytest.mark.parametrize("error,message,ask", REFUSED)
def test_wrong_arguments_are_refused_by_name(error, message, ask):
    with pytest.raises(error, match=message):
        ask()


def test_one_symbol_of_sympy_will_do():
    x = symbols("x")
    assert dc.polynomial(x**2, variables=x).claim == dc.polynomial({2: 1.0}).claim


def test_exponents_may_be_integers_of_numpy():
    assert dc.polynomial({(np.int64(2), np.int32(1)): 1.0}).claim == dc.polynomial({(2, 1): 1.0}).claim


# Nearly singular covariances ----------------------------------------------------------------------


@pytest.mark.parametrize("slant", [0.0, 9e-13])
@pytest.mark.parametrize("least", [1e-3, 1e-6, 1e-9])
def test_nearly_singular_covariances_are_within_their_claims(least, slant):
    c = 1 - least
    spread = np.array([[1, c], [c * (1 + slant), 1]])
    bound = 3 * math.sqrt(least)
    built = dc.gaussian_classifier([[0, 0], [bound / 2, 0]], [spread, np.eye(2)], bound=bound, dtype="float64")
    mean = built.claim.target.covariances.array[0]  # pyright: ignore[reportAttributeAccessIssue]
    assert np.array_equal(mean, mean.T)
    points = np.random.default_rng(0).uniform(-bound, bound, (20, 2))
    got = np.asarray(built(points))
    with mpmath.workdps(60):
        for x, probabilities in zip(points, got, strict=True):
            logs = []
            for center, own in (([0, 0], mean), ([bound / 2, 0], np.eye(2))):
                matrix = mpmath.matrix(own.tolist())
                off = mpmath.matrix(x.tolist()) - mpmath.matrix([float(v) for v in center])
                logs.append(-(off.T * matrix**-1 * off)[0] / 2 - mpmath.log(mpmath.det(matrix)) / 2)
            first = 1 / (1 + mpmath.exp(logs[1] - logs[0]))
            assert abs(float(first - mpmath.mpf(float(probabilities[0])))) <= built.claim.error.largest < 1e-6


def test_classifiers_take_a_tolerance_and_name_ways_that_reach_it():
    two = functools.partial(dc.gaussian_classifier, [[-1.0], [1.0]], [[1.0]])
    floor = two(dtype="float32").claim.error.largest
    assert two(tolerance=floor, dtype="float32").claim.error.largest <= floor
    with pytest.raises(
        ValueError, match=r"gaussian_classifier: tolerance .* is below the floor of .*dtype='float64' \("
    ):
        two(tolerance=floor / 100, dtype="float32")
    assert two(tolerance=floor / 100, dtype="float64").claim.error.largest <= floor / 100
