"""Polynomials and quadratic forms: exact over the rationals with squares, within their claims otherwise."""

import itertools
import math
import re

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.constructions.polynomials.scheduling import schedule
from marks import slow_among
from rationals import error_within, evaluate, evaluate_polynomial, fractions

SMOOTH = ("sigmoid", "tanh", "gelu", "softplus", "exp")


def random_terms(rng, variables, *, degree=7, kind: type = float):
    """Up to 12 terms of random exponents and coefficients."""
    terms = {}
    for _ in range(rng.integers(1, 13)):
        chosen = rng.integers(0, variables, rng.integers(0, degree + 1))
        terms[tuple(np.bincount(chosen, minlength=variables).tolist())] = float(kind(rng.normal()))
    return terms


def widths(construction):
    """The hidden layers, counted."""
    return [layer.out_size for layer in construction.network.layers[:-1]]


def terms_of(construction):
    """The terms of a polynomial's claim."""
    assert isinstance(construction.claim.target, dc.targets.Polynomial)
    return dict(construction.claim.target.outputs[0])


def points(rng, bounds, count=60):
    """Points of a box, its corners, the middles of its faces and its center among them."""
    faces = np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=len(bounds))))
    return np.concatenate([rng.uniform(-1, 1, (count, len(bounds))), faces]) * bounds


def assert_keeps_its_claim(construction, x, rng):
    """The claim holds at `x`, and at inputs moved by the whole radius and by a thousandth of it."""
    directions = rng.choice([-1.0, 0.0, 1.0], x.shape) * rng.choice([1.0, 1e-3], (len(x), 1))
    moved = x + directions * construction.claim.robustness.radius * (1 - 2.0**-10)
    moved = moved.astype(construction.claim.dtype).astype(float)
    wanted = evaluate_polynomial(construction.claim.target, x)
    assert construction.claim.robustness.radius > 0
    assert error_within(construction, x, wanted) <= 0
    assert error_within(construction, x, wanted, moved) <= 0


# Exactness ----------------------------------------------------------------------------------------


def assert_is_the_polynomial(terms, variables, rng, dtype, bound):
    built = dc.polynomial(terms, variables=variables, bound=bound, dtype=dtype)
    x = rng.normal(size=(3, variables)) * 3
    assert (evaluate(built, x) == evaluate_polynomial(built.claim.target, x)).all(), terms


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("variables", [1, 2, 3, 4])
def test_squares_compute_fifty_random_polynomials_exactly(variables):
    rng = np.random.default_rng(variables)
    for _ in range(50):
        assert_is_the_polynomial(random_terms(rng, variables), variables, rng, "float64", rng.uniform(0.1, 5))


@pytest.mark.parametrize("variables", [1, 2, 3, 4])
def test_squares_of_float32_are_exact_for_float32_coefficients(variables):
    rng = np.random.default_rng(variables)
    for _ in range(10):
        assert_is_the_polynomial(random_terms(rng, variables, kind=np.float32), variables, rng, "float32", 1.0)


def test_the_exact_evaluation_notices_a_changed_weight():
    built = dc.polynomial({(2,): 0.3, (1,): 1.0}, dtype="float64")
    changed = eqx.tree_at(
        lambda network: network.layers[0].linear.values, built.network, replace_fn=lambda w: w * (1 + 2.0**-52)
    )
    assert (evaluate(changed, [[0.7]]) != evaluate(built, [[0.7]])).all()


@pytest.mark.default_cases(6)
@pytest.mark.parametrize(
    "terms,variables",
    [
        ({}, 3),
        ({(0, 0): 0.0, (1, 5): 0.0}, None),
        ({(0,): -3.5}, None),
        ({(1, 0): 3.5, (0, 1): -2.0, (0, 0): 0.1}, None),
        ({(0, 1, 0): 1.0}, None),
        ({3: 0.1, 1: -2, 0: 7}, None),
    ],
    ids=["no terms", "zeros", "constant", "linear", "one variable of three", "bare exponents"],
)
@pytest.mark.parametrize("activation", ["square", "sigmoid"])
def test_degenerate_polynomials(terms, variables, activation):
    built = dc.polynomial(terms, variables=variables, activation=activation, dtype="float64")
    assert_keeps_its_claim(built, points(np.random.default_rng(0), np.ones(built.in_size)), np.random.default_rng(1))


@pytest.mark.parametrize("terms", [{(0, 0): 2.5}, {(1, 0): 1.0, (0, 0): -1.0}, {(0, 0): 0.0}])
def test_degrees_zero_and_one_need_no_neuron(terms):
    cost = dc.cost(dc.polynomial(terms))
    assert (cost.neurons, cost.depth, cost.layers) == (0, 0, 1)


# Claims -------------------------------------------------------------------------------------------


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("variables", slow_among([1, 3, 4], [4]))
@pytest.mark.parametrize("activation,dtype", [*((name, "float64") for name in ("square", *SMOOTH)), ("exp", "float32")])
def test_random_polynomials_keep_their_claims(activation, dtype, variables):
    rng = np.random.default_rng(variables)
    terms, bounds = random_terms(rng, variables), rng.choice([0.25, 1.0, 3.0], variables)
    built = dc.polynomial(terms, variables=variables, bound=bounds.tolist(), activation=activation, dtype=dtype)
    assert not built.claim.is_estimate
    assert_keeps_its_claim(built, points(rng, bounds).astype("float32").astype(float), rng)


def test_an_activation_of_ones_own_is_an_estimate_that_holds():
    built = dc.polynomial({(2, 1): 1.0, (1, 0): 2.0}, activation=lambda z: jnp.exp(-z), dtype="float64")
    assert built.claim.is_estimate
    rng = np.random.default_rng(0)
    assert_keeps_its_claim(built, points(rng, np.ones(2)), rng)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("activation", ["square", "sigmoid"])
@pytest.mark.parametrize("degree,bound", slow_among([(13, 1e-3), (4, 1e-10), (2, 1e-20)], [(13, 1e-3)]))
def test_claims_cover_underflow(activation, degree, bound):
    # The model of the claims lets results be flushed to zero, and CPUs do so.
    built = dc.polynomial({(degree,): 1.0}, bound=bound, activation=activation, dtype="float32")
    x = np.linspace(-bound, bound, 101)[1:-1, None].astype("float32").astype(float)
    assert error_within(built, x, evaluate_polynomial(built.claim.target, x)) <= 0


@pytest.mark.parametrize("degree,bound,dtype", [(40, 1e10, "float64"), (14, 1e3, "float32")])
def test_a_range_beyond_the_floats_is_refused(degree, bound, dtype):
    with pytest.raises(ValueError, match=r"polynomial: |weights must be finite"):
        dc.polynomial({(degree,): 1.0}, bound=bound, dtype=dtype)


def test_bounds_are_those_of_each_variable():
    built = dc.polynomial({(2, 1): 1.0}, bound=(0.5, 4.0))
    assert [side.tolist() for side in built.claim.domain.box()] == [[-0.5, -4.0], [0.5, 4.0]]
    assert built.claim.codomain.box()[1].tolist() == [1.0]
    assert built.claim.robustness.radius < 0.5
    same = dc.polynomial({(2, 1): 1.0}, bound=np.array([0.5, 4.0]))
    assert same.claim == built.claim


# Cost ---------------------------------------------------------------------------------------------

COUNTED = {
    "x y": ({(1, 1): 1.0}, 2, 4),
    "x^2": ({(2,): 1.0}, 1, 3),
    "x^2 + y^2, one constant unit": ({(2, 0): 1.0, (0, 2): 1.0}, 2, 5),
    "x^3 copies x": ({(3,): 1.0}, 5, 9),
    "x^4": ({(4,): 1.0}, 2, 6),
    "x y z copies z": ({(1, 1, 1): 1.0}, 6, 10),
    "(x y)^2": ({(2, 2): 1.0}, 3, 7),
    "x y + x runs a sum": ({(1, 1): 1.0, (1, 0): 5.0}, 4, 6),
    "x y z + x y shares x y": ({(1, 1, 1): 1.0, (1, 1, 0): 1.0}, 8, 12),
}


@pytest.mark.parametrize("terms,square,smooth", COUNTED.values(), ids=COUNTED.keys())
def test_neurons_by_hand(terms, square, smooth):
    assert sum(widths(dc.polynomial(terms))) == square
    assert sum(widths(dc.polynomial(terms, activation="gelu"))) == smooth


def operations(terms, variables):
    """The operations of a polynomial, level by level."""
    return schedule([{key: value for key, value in terms.items() if value}], (1.0,) * variables).levels


def neurons_by_formula(levels):
    """What the docstring says, with squares and with another activation."""
    square = smooth = 0
    for level in levels:
        squares = sum(len(op) == 2 and op[0] == op[1] for op in level)
        products = sum(len(op) == 2 for op in level) - squares
        copies = len(level) - squares - products
        square += 2 * products + squares + 2 * copies
        smooth += 4 * products + 2 * squares + (squares > 0) + 2 * copies
    return square, smooth


@pytest.mark.parametrize("seed", range(8))
def test_neurons_by_formula(seed):
    terms = random_terms(np.random.default_rng(seed), 3)
    built = [dc.polynomial(terms, activation=name, dtype="float64") for name in ("square", "sigmoid")]
    assert tuple(sum(widths(part)) for part in built) == neurons_by_formula(operations(terms, 3))


def test_neurons_for_each_multiplication_are_slightly_more_than_four(record_property):
    rows = []
    for seed in range(20):
        variables = seed % 4 + 1
        levels = operations(random_terms(np.random.default_rng(seed), variables), variables)
        rows.append((sum(len(op) == 2 for level in levels for op in level), *neurons_by_formula(levels)))
    multiplications, square, smooth = np.sum(rows, axis=0)
    record_property("multiplications, neurons with squares, neurons with sigmoids", rows)
    # Copies and running sums are counted too; squares need less than products.
    assert 4 < smooth / multiplications < 5
    assert 2 < square / multiplications < 3


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17])
def test_depth_is_the_logarithm_of_the_degree(degree):
    depth = math.ceil(math.log2(degree)) if degree else 0
    assert len(widths(dc.polynomial({(degree,): 1.0, (0,): 1.0}))) == depth
    assert len(widths(dc.polynomial({(degree // 2, degree - degree // 2): 1.0}, activation="sigmoid"))) == depth


# sympy --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sympy():
    import sympy  # here, since it is slow to import

    return sympy


def test_sympy_expressions_take_their_symbols_by_name(sympy):
    x, y, z = sympy.symbols("x y z")
    built = dc.polynomial((x + y) ** 2 * z / 4 - 3, dtype="float64")
    assert terms_of(built) == {(2, 0, 1): 0.25, (1, 1, 1): 0.5, (0, 2, 1): 0.25, (0, 0, 0): -3.0}
    x = np.random.default_rng(0).uniform(-1, 1, (5, 3))
    assert evaluate(built, x)[:, 0].tolist() == [(a + b) ** 2 * c / 4 - 3 for a, b, c in fractions(x)]


def test_the_order_of_sympy_variables_is_kept(sympy):
    x, y, z = sympy.symbols("x y z")
    terms = terms_of(dc.polynomial(x**2 * y + 3 * z, variables=(z, y, x)))
    assert terms == {(0, 1, 2): 1.0, (1, 0, 0): 3.0}
    assert dc.polynomial(x**2, variables=[x, y]).in_size == 2
    assert dc.polynomial(sympy.Poly(x + y**2, x, y)).in_size == 2
    assert dc.polynomial(sympy.Integer(3), variables=(x, y))([1.0, 1.0]).tolist() == [3.0]


@pytest.mark.parametrize("expression", ["sin(x)", "1 / x + y", "sqrt(x)", "x**y"])
def test_sympy_expressions_that_are_not_polynomials_are_refused(expression, sympy):
    expression = sympy.sympify(expression)
    with pytest.raises(ValueError, match=r"polynomial: .* is not a polynomial in x"):
        dc.polynomial(expression)


# Quadratic forms ----------------------------------------------------------------------------------


def low_rank(n, rank, seed=0):
    factor = np.random.default_rng(seed).normal(size=(rank, n))
    return factor.T * np.where(np.arange(rank) % 2, -1, 1) @ factor


MATRICES = {
    **{f"n={n}": np.random.default_rng(n).normal(size=(n, n)) for n in (1, 2, 3, 5, 17)},
    **{f"rank {r} of 5": low_rank(5, r) for r in (1, 2, 4)},
    "zero": np.zeros((3, 3)),
    "antisymmetric": np.array([[0.0, 2.0], [-2.0, 0.0]]),
    "upper triangle": np.array([[1.0, 2.0, 3.0], [0, 4, 5], [0, 0, 6]]),
    "nearly singular": np.diag([1.0, 1e-14, 1e-10]),
    "large": 1e6 * low_rank(3, 3),
}


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
@pytest.mark.parametrize(
    "activation,dtype",
    slow_among([("square", "float32"), ("square", "float64"), ("sigmoid", "float64")], [("square", "float64")]),
)
def test_quadratic_forms_are_those_of_the_matrix(matrix, activation, dtype):
    rng = np.random.default_rng(0)
    built = dc.quadratic_form(matrix, activation=activation, dtype=dtype)
    x = rng.choice([-1.0, -0.5, 0.0, 0.25, 1.0], (30, len(matrix)))
    moved = (
        (x + rng.choice([-1.0, 1.0], x.shape) * built.claim.robustness.radius * (1 - 2.0**-10))
        .astype(dtype)
        .astype(float)
    )
    exact, weights = fractions(x), fractions(matrix)
    wanted = ((exact @ weights) * exact).sum(axis=1)[:, None]
    assert error_within(built, x, wanted) <= 0
    assert error_within(built, x, wanted, moved) <= 0


@pytest.mark.parametrize("rank", [0, 1, 2, 4, 5])
def test_quadratic_forms_need_a_neuron_for_each_rank(rank):
    matrix = low_rank(5, rank)
    assert widths(dc.quadratic_form(matrix)) == ([rank] if rank else [])
    assert widths(dc.quadratic_form(matrix, activation="tanh")) == ([2 * rank + 1] if rank else [])


# Tolerances ---------------------------------------------------------------------------------------


def offered(message):
    """The arguments that a refusal offers."""
    return [dict(re.findall(r"(\w+)='(\w+)'", way)) for way in re.findall(r"(?:use |, or )(.*?) \(error", message)]


REFUSED = [
    (lambda **options: dc.polynomial({(3,): 1.0, (1,): -2.0}, **options), (1e-6, 1e-11)),
    (lambda **options: dc.quadratic_form(low_rank(3, 2), **options), (1e-6, 1e-12)),
]


@pytest.mark.parametrize("build,tolerances", REFUSED, ids=["polynomial", "quadratic_form"])
def test_what_a_refused_tolerance_offers_reaches_it(build, tolerances):
    for tolerance, count in zip(tolerances, (2, 1), strict=True):
        asked = {"activation": "sigmoid", "dtype": "float32", "tolerance": tolerance}
        with pytest.raises(ValueError, match=r"is below the floor of .* for sigmoid\(1\) in float32; use ") as refusal:
            build(**asked)
        ways = offered(str(refusal.value))
        assert len(ways) >= count
        for way in ways:
            assert build(**{**asked, **way}).claim.error.absolute <= tolerance


@pytest.mark.parametrize("build", [build for build, _ in REFUSED], ids=["polynomial", "quadratic_form"])
def test_no_way_is_offered_where_there_is_none(build):
    with pytest.raises(ValueError, match="for square in float64; no other choice of arguments reaches it"):
        build(dtype="float64", tolerance=1e-18)


@pytest.mark.parametrize("matrix", [np.diag([1.0, 2.0**-46]), low_rank(17, 17)])
def test_tolerances_of_quadratic_forms_are_kept(matrix):
    # Also where what the eigenvectors lose is a good part of the error.
    plain = dc.quadratic_form(matrix, dtype="float64").claim.error.absolute
    for share in (0.5, 0.8, 0.9, 0.99, 0.999):
        try:
            claim = dc.quadratic_form(matrix, dtype="float64", tolerance=plain * share).claim
        except ValueError:
            continue
        assert claim.error.absolute <= plain * share
