"""Taylor series of activations: coefficients against 70 digits, and bounds that hold on complex discs."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special

from deepconstruct._arithmetic import custom, power_series
from deepconstruct._arithmetic.taylor import TERMS, coefficients, disc, expand
from deepconstruct.activations import (
    GELU,
    AbstractActivation,
    Custom,
    Exp,
    Power,
    ReLU,
    Sigmoid,
    SiLU,
    Sin,
    Softmax,
    Softplus,
    Square,
    Step,
    Tanh,
)

DIGITS = mpmath.workdps(70)
CENTERS = [-2.292431669561, 0.0, 0.75, 3.5]


def logistic(z):
    return 1 / (1 + mpmath.exp(-z))


def gelu_by_tanh(z):
    return z * logistic(2 * mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf("0.044715") * z**3))


EXACT = {
    "sigmoid(1)": (Sigmoid(), logistic),
    "sigmoid(10)": (Sigmoid(10.0), lambda z: logistic(10 * z)),
    "tanh": (Tanh(), mpmath.tanh),
    "softplus": (Softplus(), lambda z: mpmath.log(1 + mpmath.exp(z))),
    "silu": (SiLU(), lambda z: z * logistic(z)),
    "exp": (Exp(), mpmath.exp),
    "sin": (Sin(), mpmath.sin),
    "gelu(tanh)": (GELU(approximate=True), gelu_by_tanh),
    "gelu(erf)": (GELU(approximate=False), lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2),
}
SMOOTH = pytest.mark.parametrize("name", list(EXACT))
AROUND = pytest.mark.parametrize("center", CENTERS)


@functools.cache
def exact_coefficients(name: str, center: float, radius: float, terms: int = TERMS) -> list:
    """By Cauchy's integral on a circle, as a sum over equally spaced points: exact but for `(r / R)^(N - k)`."""
    function = EXACT[name][1]
    count, circle = 384, radius / 2.5
    with DIGITS:
        roots = [mpmath.expjpi(mpmath.mpf(2 * j) / count) for j in range(count)]
        # Values at conjugate points are conjugate.
        half = [mpmath.mpc(function(mpmath.mpf(center) + circle * root)) for root in roots[: count // 2 + 1]]
        values = half + [mpmath.conj(half[count - j]) for j in range(count // 2 + 1, count)]
        columns = (mpmath.fdot(values, [roots[-j * k % count] for j in range(count)]) for k in range(terms))
        return [column.real / count / mpmath.mpf(circle) ** k for k, column in enumerate(columns)]


@pytest.mark.default_cases(6)
@AROUND
@SMOOTH
def test_errors_of_coefficients_stay_below_the_slack(name, center):
    series = expand(EXACT[name][0], center)
    exact = exact_coefficients(name, center, series.radius)
    assert len(series.coefficients) == TERMS
    with DIGITS:
        off = [abs(mpmath.mpf(got) - value) for got, value in zip(series.coefficients.tolist(), exact, strict=True)]
        assert all(error <= bound for error, bound in zip(off, series.slack.tolist(), strict=True))


@pytest.mark.default_cases(4)
@AROUND
@SMOOTH
def test_coefficients_obey_cauchys_estimate_on_the_disc(name, center):
    radius, peak = disc(EXACT[name][0], center)
    exact = exact_coefficients(name, center, radius)
    assert all(abs(value) <= peak / mpmath.mpf(radius) ** k for k, value in enumerate(exact))


@pytest.mark.default_cases(4)
@AROUND
@SMOOTH
def test_the_tail_bounds_the_terms_that_are_left_out(name, center):
    series = expand(EXACT[name][0], center)
    exact = exact_coefficients(name, center, series.radius, TERMS + 40)
    for share in (0.1, 0.5, 0.9):
        h = mpmath.mpf(share * series.radius)
        rest = sum(abs(value) * h**k for k, value in enumerate(exact) if k >= TERMS)
        assert 0 < rest <= series.tail(float(h))


def complex_value(act: AbstractActivation, z: np.ndarray) -> np.ndarray:
    match act:
        case GELU(approximate=False):
            return z * scipy.special.erfc(-z / math.sqrt(2)) / 2
        case GELU():
            return z * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))) / 2
        case Sigmoid():
            return 1 / (1 + np.exp(-act.inverse_temperature * z))
        case SiLU():
            return z / (1 + np.exp(-z))
        case Softplus():
            # The branch that is real on the real line: the principal one jumps.
            return z / 2 + np.log(2 * np.cosh(z / 2))
        case Tanh():
            return np.tanh(z)
        case Exp():
            return np.exp(z)
        case _:
            return np.sin(z)


@pytest.mark.parametrize("center", [-6.0, -2.5, -0.7, 0.0, 0.4, 1.1, 2.9, 6.0])
@SMOOTH
def test_the_peak_bounds_the_modulus_on_the_disc(name, center):
    act = EXACT[name][0]
    radius, peak = disc(act, center)
    angles = np.linspace(0, 2 * np.pi, 721)
    for share in (0.3, 0.7, 0.9, 1.0):
        values = complex_value(act, center + share * radius * np.exp(1j * angles))
        assert np.abs(values).max() <= peak * (1 + 1e-12)


def real_values(name: str, center: float, h: float) -> tuple[np.ndarray, np.ndarray]:
    z = center + np.linspace(-h, h, 401)
    return z, np.real(complex_value(EXACT[name][0], z))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.8, 0.95])
@AROUND
@SMOOTH
def test_height_slope_and_tail_bound_sampled_values(name, center, share):
    series = expand(EXACT[name][0], center)
    h = share * series.radius
    z, values = real_values(name, center, h)
    height, slope = series.height(h), series.slope(h)
    rounding = 1e-13 * height
    assert np.abs(values).max() <= height + rounding
    assert np.abs(np.diff(values) / np.diff(z)).max() <= slope * (1 + 1e-6) + 1e-9
    summed = np.polynomial.polynomial.polyval(z - center, series.coefficients)
    assert np.abs(values - summed).max() <= series.tail(h) + rounding


@AROUND
@SMOOTH
def test_height_and_slope_are_tight_close_to_the_center(name, center):
    series = expand(EXACT[name][0], center)
    value, slope = np.abs(series.coefficients[:2])
    h = 1e-7
    assert series.height(h) == pytest.approx(value, rel=1e-5, abs=1e-6)
    assert series.slope(h) == pytest.approx(slope, rel=1e-4, abs=1e-5)


@SMOOTH
def test_nothing_is_promised_beyond_the_disc(name):
    series = expand(EXACT[name][0], 0.0)
    assert series.tail(series.radius) == math.inf
    assert series.tail(2 * series.radius) == math.inf


@SMOOTH
def test_many_centers_at_once_agree_with_one_at_a_time(name):
    act = EXACT[name][0]
    together = coefficients(act, np.array(CENTERS), 7)
    alone = [coefficients(act, np.array([center]), 7)[:, 0] for center in CENTERS]
    assert np.array_equal(together, np.stack(alone, axis=1))


@pytest.mark.parametrize("terms", [1, 2, 3, 10])
@SMOOTH
def test_fewer_terms_are_the_first_ones(name, terms):
    act, centers = EXACT[name][0], np.array([-0.7, 1.3])
    assert np.array_equal(coefficients(act, centers, terms), coefficients(act, centers, 20)[:terms])


# Polynomials --------------------------------------------------------------------------------------


@pytest.mark.parametrize("act,n", [(Square(), 2), (Power(1), 1), (Power(2), 2), (Power(3), 3), (Power(8), 8)])
@pytest.mark.parametrize("center", [0.0, 1.0, -3.0])
def test_powers_have_binomial_coefficients_and_no_tail(act, n, center):
    series = expand(act, center)
    expected = [math.comb(n, k) * center ** (n - k) for k in range(n + 1)]
    assert series.coefficients.tolist() == expected + [0.0] * (TERMS - n - 1)
    assert series.slack.max() == 0
    assert series.tail(1e9) == 0
    assert series.proved


@pytest.mark.parametrize("n", [2, 3, 5])
def test_powers_about_a_fraction_round_within_the_slack(n):
    center = 0.1
    series = expand(Power(n), center)
    with DIGITS:
        exact = [math.comb(n, k) * mpmath.mpf(center) ** (n - k) for k in range(n + 1)]
        off = [abs(value - got) for value, got in zip(exact, series.coefficients.tolist(), strict=False)]
        assert all(error <= bound for error, bound in zip(off, series.slack.tolist(), strict=False))


# Your own -----------------------------------------------------------------------------------------


def mish(z):
    return z * mpmath.tanh(mpmath.log(1 + mpmath.exp(z)))


OWN = {
    "arctan": (jnp.arctan, mpmath.atan, 8),  # JAX's Taylor mode has no rule for it: nested derivatives
    "mish": (jax.nn.mish, mish, 8),
    "tanh": (jnp.tanh, mpmath.tanh, 14),
    "bump": (lambda z: 1 / (1 + z * z), lambda z: 1 / (1 + z * z), 14),
    "gaussian": (lambda z: jnp.exp(-z * z), lambda z: mpmath.exp(-z * z), 14),
}


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", list(OWN))
def test_derivatives_of_your_own_function_are_found(name):
    function, exact, count = OWN[name]
    centers = np.array([-1.25, 0.0, 0.5])
    got = coefficients(Custom(function, name), centers, TERMS)
    assert got.shape == (count, 3)
    with DIGITS:
        columns = [mpmath.taylor(exact, mpmath.mpf(center), count - 1) for center in centers.tolist()]
    expected = np.array([[float(value) for value in column] for column in columns]).T
    assert np.allclose(got, expected, rtol=1e-12, atol=1e-13)


def test_taylor_mode_and_nested_derivatives_agree():
    points = np.linspace(-2, 2, 9)
    fast = np.asarray(custom._by_taylor_mode(jnp.tanh)(points))
    slow = np.asarray(custom._by_nesting(jnp.tanh)(points))
    assert np.allclose(fast[: len(slow)], slow, rtol=1e-12, atol=1e-10)


def test_derivatives_are_taken_in_64_bits_whatever_jax_does_otherwise():
    with jax.enable_x64(False):
        got = coefficients(Custom(jnp.sin, "sin"), np.array([0.1]), 4)[:, 0]
    assert got == pytest.approx([math.sin(0.1), math.cos(0.1), -math.sin(0.1) / 2, -math.cos(0.1) / 6], rel=1e-15)


@pytest.mark.parametrize("order", [3, 4, 6])
def test_a_bounded_derivative_gives_a_proved_remainder(order):
    series = expand(Custom(jnp.sin, "sin", ((order, 1.0),)), 0.7)
    assert series.proved
    assert len(series.coefficients) == order
    for h in (0.1, 1.0, 4.0):
        z = 0.7 + np.linspace(-h, h, 401)
        off = np.abs(np.sin(z) - np.polynomial.polynomial.polyval(z - 0.7, series.coefficients))
        assert off.max() <= series.tail(h) * (1 + 1e-12) + 1e-15
        assert np.abs(np.cos(z)).max() <= series.slope(h)
        assert np.abs(np.sin(z)).max() <= series.height(h)


def test_the_highest_bounded_derivative_is_taken():
    series = expand(Custom(jnp.sin, "sin", ((4, 1.0), (1, 1.0), (6, 1.0))), 0.0)
    assert len(series.coefficients) == 6
    assert series.tail(0.5) == pytest.approx(0.5**6 / 720)


@pytest.mark.parametrize("bounds", [(), ((40, 1.0),)])
def test_without_a_bound_that_can_be_used_nothing_is_proved(bounds):
    # JAX gives 14 derivatives: a bound of the 40th says nothing about the 15th.
    assert not expand(Custom(jnp.sin, "sin", bounds), 0.3).proved


@pytest.mark.parametrize("act", [ReLU(), Step(), Softmax()], ids=lambda act: act.name())
def test_activations_that_are_not_smooth_are_refused(act):
    with pytest.raises(TypeError, match="has no Taylor series that this library knows"):
        expand(act, 0.0)
    with pytest.raises(TypeError, match="has no Taylor series that this library knows"):
        coefficients(act, np.zeros(1), 3)


# Power series -------------------------------------------------------------------------------------


def test_power_series_operations_agree_with_their_closed_forms():
    z = power_series.variable(np.array([0.0, 0.5]), 6)
    factorials = np.array([math.factorial(k) for k in range(6)])
    assert np.allclose(power_series.exponential(z), np.exp([0.0, 0.5]) / factorials[:, None], rtol=1e-15)
    assert np.allclose(power_series.multiply(z, z)[:4, 1], [0.25, 1.0, 1.0, 0.0])
    assert power_series.integral(z, np.array([7.0, 8.0]))[:, 1].tolist() == [8.0, 0.5, 0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("terms", [1, 2, 3])
def test_power_series_may_be_short(terms):
    z = power_series.variable(np.array([1.0]), terms)
    assert z.shape == (terms, 1)
    assert power_series.multiply(z, z)[:, 0].tolist() == [1.0, 2.0, 1.0][:terms]
