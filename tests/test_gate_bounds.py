"""The error bounds of gates: truncation against extended precision, orders that cancel, and what is chosen."""

# Modules that define equality by value are hashable.
# pyright: reportUnhashable=false

import dataclasses
import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.taylor import coefficients
from deepconstruct.activations import GELU, Exp, Power, Sigmoid, SiLU, Sin, Softplus, Square, Tanh
from deepconstruct.constructions.gates import Patterns, Richardson, choose, choose_richardson, floor
from deepconstruct.constructions.gates.choice import gate_at
from deepconstruct.constructions.gates.patterns import OPPOSING, leading_orders, mean_power, pair_truncation
from marks import slow_among

LONG = np.longdouble


def logistic(z):
    return 1 / (1 + np.exp(-z))


SMOOTH = {
    Sigmoid(): logistic,
    Tanh(): np.tanh,
    Softplus(): lambda z: np.log1p(np.exp(z)),
    SiLU(): lambda z: z * logistic(z),
    Exp(): np.exp,
    Sin(): np.sin,
    Sigmoid(4.0): lambda z: logistic(4 * z),
}


def inputs(n, count=400):
    """Random points of the box, its corners, and points on the diagonal and the axes."""
    generator = np.random.default_rng(n)
    corners = np.array(list(itertools.product([-1.0, 1.0], repeat=n)))
    steps = np.linspace(0, 1, 65)[:, None]
    return np.concatenate([generator.uniform(-1, 1, (count, n)), corners, steps * np.ones(n), steps * np.eye(n)[0]])


def evaluated(gate, function, x):
    """The gate over the reals (nearly: in extended precision), without any network."""
    table, signs = gate.patterns.table()
    z = LONG(gate.center) + LONG(gate.scale) * (x.astype(LONG) @ table.T.astype(LONG))
    n = gate.patterns.n
    value = (function(z) * signs).sum(axis=1) * LONG(1 / (gate.patterns.repeats * math.factorial(n)))
    if gate.patterns.kind == "subsets":
        value += (-1) ** n * function(LONG(gate.center)) / math.factorial(n)
    return value / (LONG(float(gate.taylor.coefficients[n])) * LONG(gate.scale) ** n)


@pytest.mark.default_cases(6)
@pytest.mark.parametrize(
    "n,kind", [(1, "signs"), (2, "signs"), (3, "signs"), (5, "signs"), (2, "subsets"), (3, "subsets")]
)
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda activation: activation.name())
def test_truncation_is_bounded_and_tight(activation, n, kind):
    gate = choose(activation, Patterns(n, kind), "float32", ordered=kind == "signs")
    assert gate is not None
    x = inputs(n)
    measured = float(np.abs(evaluated(gate, SMOOTH[activation], x) - x.astype(LONG).prod(axis=1)).max())
    noise = 1e-18 / gate.scale**n  # of extended precision itself
    assert measured <= gate.truncation() + noise
    # A copy by softplus is exact but for the rounding of its coefficients.
    assert gate.truncation() <= 4 * measured + noise + 1e-14 * (n == 1)


@pytest.mark.parametrize("activation,n", [(SiLU(), 2), (Tanh(), 1), (Tanh(), 3), (Sin(), 2), (Sin(), 4)])
def test_truncation_of_symmetric_gates_is_bounded(activation, n):
    gate = choose(activation, Patterns(n, "fixed"), "float64")
    assert gate is not None
    gate = dataclasses.replace(gate, scale=2.0**-4)
    x = inputs(n)
    measured = float(np.abs(evaluated(gate, SMOOTH[activation], x) - x.prod(axis=1)).max())
    assert 0.2 * gate.truncation() <= measured <= gate.truncation()


@pytest.mark.parametrize("inflation", [1.0, 1.0625, 1.5])
def test_truncation_holds_beyond_the_box(inflation):
    gate = choose(Sigmoid(), Patterns(2), "float32")
    assert gate is not None
    x = inflation * inputs(2)
    assert np.abs(evaluated(gate, logistic, x) - x.prod(axis=1)).max() <= gate.truncation(inflation)


@pytest.mark.parametrize("n", [3, 4, 6])
@pytest.mark.parametrize("first,second", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -0.2), (-0.7, 0.05), (0.3, -0.02)])
def test_two_leading_orders_are_bounded_together(n, first, second):
    generator = np.random.default_rng(0)
    y = np.concatenate(
        [generator.uniform(0, 1, (20_000, n)), inputs(n) ** 2, np.linspace(0, 1, 99)[:, None] * np.ones(n)]
    )
    total, squares = y.sum(axis=1), (y**2).sum(axis=1)
    low = (n + 1) * (n + 2) * total / 6
    high = math.prod(range(n + 1, n + 5)) * (squares / 120 + (total**2 - squares) / 72)
    measured = (np.sqrt(y.prod(axis=1)) * np.abs(first * low + second * high)).max()
    assert measured <= leading_orders(n, first, second) <= 2.5 * measured + 1e-12


def test_the_orders_are_those_of_the_sum_over_signs():
    # prod s (s.x)^k over all patterns, against the formulas that the bound rests on.
    x = np.array([0.3, -0.7, 0.9])
    signs = np.array(list(itertools.product([-1, 1], repeat=3)))
    weights, sums, y = signs.prod(axis=1), signs @ x, x**2
    wanted = {3: 6.0, 5: 6 * 20 * y.sum() / 6, 7: 6 * 840 * ((y**2).sum() / 120 + (y.sum() ** 2 - (y**2).sum()) / 72)}
    for k, value in wanted.items():
        assert (weights * sums**k).mean() / x.prod() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("coefficients", [[0, 0, 1.0], [0, 0, -1.0, 1.0], [0, 0, 0.7, -1.7, 1.0], [0, 0, 0, 0.0]])
@pytest.mark.parametrize("inflation", [1.0, 1.25])
def test_the_pair_bound_is_the_range(coefficients, inflation):
    t = np.linspace(0, 2 * inflation, 100_001)
    values = sum(c * t ** (2 * k) for k, c in enumerate(coefficients))
    found = pair_truncation(np.array(coefficients, float), inflation)
    assert np.ptp(values) <= found <= 1.05 * np.ptp(values) + 1e-3 * max(map(abs, coefficients))


def test_opposing_orders_are_those_of_least_range():
    z = np.linspace(0, 1, 4001)
    (p,), (r, q) = OPPOSING[2], OPPOSING[3]
    for found, others in (
        (z**2 * (p + z), [z**2 * (p + d + z) for d in (-0.01, 0.01)]),
        (
            z**2 * (r + q * z + z**2),
            [z**2 * (r + d + (q + e) * z + z**2) for d, e in itertools.product((-0.01, 0.01), repeat=2)],
        ),
    ):
        assert all(np.ptp(found) < np.ptp(other) for other in others)


@pytest.mark.parametrize(
    "n,kind", [(2, "signs"), (5, "signs"), (3, "fixed"), (4, "fixed"), (3, "subsets"), (1, "subsets")]
)
def test_moments_are_those_of_the_patterns(n, kind):
    patterns = Patterns(n, kind)
    table, signs = patterns.table()
    assert len(table) == patterns.units
    for k in range(n + 5):
        total = sum(
            int(sign) * int(row.sum()) ** k for row, sign in zip(table.astype(int), signs.astype(int), strict=True)
        )
        total += (-1) ** n * (kind == "subsets") * (k == 0)
        assert total == pytest.approx(patterns.moment(k) * n**k * patterns.repeats, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 16])
def test_mean_power_against_all_patterns(n):
    sums = np.abs(np.array([sum(row) for row in itertools.product([-1, 1], repeat=n)], float))
    assert mean_power(n) == pytest.approx((sums**n).mean(), rel=1e-12)


def test_mean_power_is_the_condition_of_exact_powers():
    shown = [(3, 1.25), (4, 1.67), (6, 3.1), (8, 6.2), (12, 26), (16, 119)]
    for n, condition in shown:
        assert mean_power(n) / math.factorial(n) == pytest.approx(condition, rel=0.02)


@pytest.mark.parametrize(
    "activation,center", [(Sigmoid(), -math.log(5 + 2 * 6**0.5)), (Softplus(), -math.log(2 + 3**0.5))]
)
def test_the_bias_is_near_the_zero_of_the_fourth_derivative_where_values_are_small(activation, center):
    for dtype, distance in (("float32", 0.02), ("float64", 1e-4)):
        gate = choose(activation, Patterns(2), dtype)
        assert gate is not None
        assert gate.center == pytest.approx(center, abs=distance)
        assert gate.center != pytest.approx(center, abs=1e-7)  # beside it, so that two orders cancel
        plain = gate_at(activation, Patterns(2), center, dtype)
        assert gate.truncation() < 0.3 * dataclasses.replace(plain, scale=gate.scale).truncation()


def test_orders_of_opposite_signs_cancel_in_the_chosen_gate():
    gate = choose(Sigmoid(), Patterns(3), "float64")
    assert gate is not None
    fifth, seventh = coefficients(Sigmoid(), np.array([gate.center]), 8)[[5, 7], 0]
    assert fifth * seventh < 0


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "activation",
    slow_among(
        [Sigmoid(), Tanh(), Softplus(), GELU(False), GELU(True), SiLU(), Exp(), Sin()],
        [Tanh(), GELU(False), SiLU(), Sin()],
    ),
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_eight_neurons_claim_less_than_four(activation, dtype):
    mixed = choose_richardson(activation, dtype)
    assert isinstance(mixed, Richardson)
    four = floor(activation, Patterns(2), dtype)
    assert mixed.error().total < four * (0.7 if dtype == "float32" else 0.1)


@pytest.mark.parametrize("activation", [Sigmoid(), Softplus(), Exp()])
def test_truncation_of_eight_neurons_is_bounded(activation):
    mixed = choose_richardson(activation, "float32")
    assert mixed is not None
    x = inputs(2)
    gates = [evaluated(gate, SMOOTH[activation], x) for gate in (mixed.gate, mixed.wide)]
    value = sum(LONG(share) * gate for share, gate in zip(mixed.shares, gates, strict=True))
    measured = float(np.abs(value - x.astype(LONG).prod(axis=1)).max())
    assert measured <= mixed.error().truncation <= 3 * measured


@pytest.mark.parametrize("activation", [Square(), Power(3), Power(8)])
def test_exact_powers_have_no_truncation(activation):
    n = 2 if isinstance(activation, Square) else activation.n
    gate = choose(activation, Patterns(n, "fixed"), "float32")
    assert gate is not None
    assert gate.truncation() == 0
    assert math.log2(gate.scale).is_integer()


@pytest.mark.slow
def test_a_share_of_one_gives_the_least_bound():
    for activation in (Sigmoid(), Exp(), SiLU()):
        for share in (0.25, 0.5, 2.0):
            other = choose(activation, Patterns(2), "float32", share=share)
            assert other is not None
            assert floor(activation, Patterns(2), "float32") <= other.error().total * (1 + 1e-9)


@pytest.mark.parametrize("beta", [0.5, 3.0, 10.0])
def test_gates_follow_the_inverse_temperature(beta):
    plain, scaled = (choose(Sigmoid(b), Patterns(2), "float64") for b in (1.0, beta))
    assert plain is not None
    assert scaled is not None
    assert scaled.center * beta == pytest.approx(plain.center, rel=1e-3)
    assert scaled.error().total == pytest.approx(plain.error().total, rel=0.6)  # some temperatures round


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype,size", [("float16", 0.1), ("bfloat16", 0.7)])
def test_half_precision_has_sound_claims_too(dtype, size):
    x = jnp.asarray(inputs(2), dtype)
    for activation in ("sigmoid", "softplus", "exp", "square"):
        gate = dc.multiplication_gate(activation=activation, dtype=dtype)
        measured = np.abs(np.asarray(gate(x), np.float64)[:, 0] - np.asarray(x, np.float64).prod(axis=1)).max()
        assert measured <= gate.claim.error.absolute <= size
