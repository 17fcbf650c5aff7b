"""The lower bound of flat products: its conditions, and the determinant against the matrix built directly."""

# Builders take activations by name.
# pyright: reportArgumentType=false

import functools
import itertools
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import bounds
from deepconstruct.activations import GELU, Custom, Exp, Power, ReLU, Sigmoid, SiLU, Sin, Softplus, Square, Tanh
from deepconstruct.linear import Dense, as_matrix


@functools.cache
def product(n: int, **options) -> dc.Construction:
    return dc.flat_product(n, dtype="float64", **options)


def weights_of(construction: dc.Construction) -> tuple[np.ndarray, np.ndarray, float]:
    hidden, readout = construction.network.layers
    bias = 0.0 if hidden.bias is None else float(np.asarray(hidden.bias.values)[0])  # pyright: ignore
    rows = np.asarray(as_matrix(hidden.linear))  # pyright: ignore[reportAttributeAccessIssue]
    return rows, np.asarray(as_matrix(readout.linear))[0], bias  # pyright: ignore[reportAttributeAccessIssue]


def subsets(n: int) -> list[tuple[int, ...]]:
    return [chosen for size in range(n + 1) for chosen in itertools.combinations(range(n), size)]


def moment_matrix(rows, weights, exact: bool = False) -> list[list]:
    """`H[S, T] = sum_j w_j prod_{i in S} a_ij prod_{i in T} a_ij`, entry by entry."""
    number = Fraction if exact else float
    rows = [[number(float(a)) for a in row] for row in rows]
    weights = [number(float(w)) for w in weights]
    sets = subsets(len(rows[0]))
    products = [[math.prod((row[i] for i in chosen), start=number(1)) for row in rows] for chosen in sets]
    return [[sum(w * a * b for w, a, b in zip(weights, s, t, strict=True)) for t in products] for s in products]


def exact_determinant(matrix: list[list[Fraction]]) -> Fraction:
    """By elimination over the rationals."""
    matrix, result = [row.copy() for row in matrix], Fraction(1)
    for k in range(len(matrix)):
        pivot = next((i for i in range(k, len(matrix)) if matrix[i][k]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != k:
            matrix[k], matrix[pivot], result = matrix[pivot], matrix[k], -result
        result *= matrix[k][k]
        for i in range(k + 1, len(matrix)):
            share = matrix[i][k] / matrix[k][k]
            matrix[i] = [a - share * b for a, b in zip(matrix[i], matrix[k], strict=True)]
    return result


# The determinant ----------------------------------------------------------------------------------


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("activation", ["sigmoid", "exp"])
def test_the_log_determinant_is_that_of_the_matrix_built_directly(n, activation):
    rows, weights, _ = weights_of(product(n, activation=activation))
    # Scaling the inputs by s multiplies the determinant by s^(n 2^n), and keeps NumPy's elimination accurate.
    scale = np.abs(rows).max()
    _, log = np.linalg.slogdet(np.array(moment_matrix(rows / scale, weights), float))
    expected = log + n * 2**n * math.log(scale)
    assert bounds.determinant(product(n, activation=activation)).log_determinant == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "exp"])
def test_the_log_determinant_is_that_over_the_rationals(n, activation):
    rows, weights, _ = weights_of(product(n, activation=activation))
    value = exact_determinant(moment_matrix(rows, weights, exact=True))
    log = math.log(abs(value.numerator)) - math.log(value.denominator)
    assert bounds.determinant(product(n, activation=activation)).log_determinant == pytest.approx(
        log, rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_different_scales_of_the_inputs_are_accounted_for(n):
    rows, weights, _ = weights_of(product(n, activation="exp"))
    rows, weights = rows * np.linspace(0.5, 4.0, n), weights / np.linspace(0.5, 4.0, n).prod()
    layers = (dc.Layer(Dense(jnp.asarray(rows)), activation=Exp()), dc.Layer(Dense(jnp.asarray(weights[None]))))
    found = bounds.determinant(dc.Network(layers))
    value = exact_determinant(moment_matrix(rows, weights, exact=True)) if n <= 3 else None
    assert found.holds
    # The weights undo the scales: the matrix of a product does not depend on them.
    assert found.log_determinant == pytest.approx(0.0, abs=1e-9 * 2**n)
    assert value is None or float(abs(value)) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("n", range(1, 11))
def test_the_certificate_holds_with_the_determinant_of_the_formula(n):
    found = bounds.determinant(product(n))
    assert found.holds
    assert found.units == 2**n
    assert found.below < 2.0**-20
    bias = weights_of(product(n))[2]
    expected = bounds.flat_product(n, Sigmoid(), bias=bias)
    assert found.log_determinant == pytest.approx(expected.log_determinant, rel=1e-9)


def test_the_certificate_takes_single_precision_and_bare_networks():
    found = bounds.determinant(dc.flat_product(4, dtype="float32").network)
    assert found.holds
    assert found.units == 16


@pytest.mark.parametrize(
    "n,options",
    [
        *((n, {"activation": "power"}) for n in (1, 2, 3, 5, 8)),
        *((n, {"output_bias": True}) for n in (1, 2, 3, 5, 8)),
        (2, {"activation": "silu", "symmetric": True}),
        (3, {"activation": "tanh", "symmetric": True}),
        (4, {"activation": "softplus", "symmetric": True}),
    ],
)  # fmt: skip
def test_the_certificate_fails_for_networks_with_fewer_units(n, options):
    found = bounds.determinant(product(n, **options))
    assert not found.holds
    assert found.units < 2**n


def test_the_certificate_fails_for_other_functions():
    rng = np.random.default_rng(0)
    layers = (dc.Layer(Dense(jnp.asarray(rng.normal(size=(16, 3)))), activation=Tanh()),
              dc.Layer(Dense(jnp.asarray(rng.normal(size=(1, 16))))))  # fmt: skip
    assert not bounds.determinant(dc.Network(layers)).holds


def test_a_network_that_ignores_an_input_has_no_certificate():
    layers = (dc.Layer(Dense(jnp.zeros((4, 2))), activation=Tanh()), dc.Layer(Dense(jnp.ones((1, 4)))))
    found = bounds.determinant(dc.Network(layers))
    assert not found.holds
    assert found.log_determinant == -math.inf


# The bound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_the_log_determinant_is_that_of_factorial_times_taylor_coefficient(n):
    found = bounds.flat_product(n, Sin(), bias=1.0)
    derivative = [math.sin(1.0), math.cos(1.0), -math.sin(1.0), -math.cos(1.0)]
    assert found.derivatives == pytest.approx([derivative[k % 4] for k in range(n + 1)], rel=1e-12)
    taylor = derivative[n % 4] / math.factorial(n)
    assert found.log_determinant == pytest.approx(-(2**n) * math.log(math.factorial(n) * abs(taylor)), rel=1e-12)


# Orders up to 8 that vanish at 0.
VANISHING = [
    (Sigmoid(), (2, 4, 6, 8)),
    (Sigmoid(10.0), (2, 4, 6, 8)),
    (Tanh(), (0, 2, 4, 6, 8)),
    (Softplus(), (3, 5, 7)),
    (GELU(approximate=True), (0, 3, 5, 7)),
    (GELU(approximate=False), (0, 3, 5, 7)),
    (SiLU(), (0, 3, 5, 7)),
    (Sin(), (0, 2, 4, 6, 8)),
    (Exp(), ()),
    (Square(), (0, 1, 3, 4, 5, 6, 7, 8)),
    (Power(8), (0, 1, 2, 3, 4, 5, 6, 7)),
]


@pytest.mark.parametrize("act,vanishing", VANISHING)
def test_orders_that_vanish_at_zero_are_found(act, vanishing):
    found = bounds.flat_product(8, act, bias=0.0)
    assert found.vanishing == vanishing
    assert found.applies == (not found.vanishing)
    assert found.units == (256 if found.applies else 1)
    assert math.isinf(found.log_determinant) != found.applies


SMOOTH = [act for act, _ in VANISHING if not isinstance(act, Square | Power)]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("act", SMOOTH, ids=lambda act: act.name())
def test_smooth_activations_need_all_units_at_some_bias(act, n):
    found = bounds.flat_product(n, act)
    assert found.applies
    assert found.units == 2**n
    assert found.n == n
    assert found.activation == act.name()
    assert math.isfinite(found.log_determinant)


@pytest.mark.parametrize("n,act", [(3, Square()), (3, Power(2)), (5, Power(3)), (3, Custom(lambda z: 3 * z, "line"))])
def test_polynomials_of_lower_degree_have_no_bound_at_any_bias(n, act):
    found = bounds.flat_product(n, act)
    assert not found.applies
    assert found.units == 1
    assert math.isfinite(found.bias)


def test_the_bound_takes_an_activation_of_your_own():
    assert bounds.flat_product(4, Custom(jnp.arctan, "arctan")).units == 16
    assert bounds.flat_product(4, Custom(jnp.arctan, "arctan"), bias=0.0).vanishing == (0, 2, 4)


def test_orders_that_are_not_known_are_not_taken_to_be_non_zero():
    # JAX gives eight derivatives of arctan.
    with pytest.raises((TypeError, ValueError), match="derivatives"):
        bounds.flat_product(9, Custom(jnp.arctan, "arctan"))


def test_the_bound_names_the_conditions_under_which_it_holds():
    conditions = " ".join(bounds.flat_product(2, Sigmoid()).conditions)
    assert all(word in conditions for word in ("output bias", "common bias", "small input weights"))


@pytest.mark.parametrize("error,message,ask", [
    (ValueError, "bounds.flat_product: n must be at least 1; got 0", lambda: bounds.flat_product(0, Sigmoid())),
    (TypeError, "bounds.flat_product: n must be an integer; got 2.5", lambda: bounds.flat_product(2.5, Sigmoid())),
    (TypeError, "bounds.flat_product: bias must be a number; got 'x'",
     lambda: bounds.flat_product(2, Sigmoid(), bias="x")),
    (TypeError, "relu has no Taylor series that this library knows", lambda: bounds.flat_product(2, ReLU())),
    (TypeError, "bounds.determinant: expected a Network or Construction; got int", lambda: bounds.determinant(3)),
    (ValueError, "bounds.determinant: expected one hidden layer, and a linear readout of one number",
     lambda: bounds.determinant(dc.product_tree(4))),
    (ValueError, "bounds.determinant: expected one hidden layer, and a linear readout of one number",
     lambda: bounds.determinant(dc.parallel(product(2), product(2)))),
    (ValueError, "bounds.determinant: at most 10 inputs, as the matrix has 4.n entries; got 11",
     lambda: bounds.determinant(dc.flat_product(11))),
])  # fmt: skip
def test_bad_arguments_are_refused_by_name(error, message, ask):
    with pytest.raises(error, match=message):
        ask()
