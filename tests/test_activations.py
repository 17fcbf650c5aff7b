"""Activations: their values, rounding, slopes and intervals, against NumPy in higher precision."""

# Modules that define equality by value are hashable, and wrong arguments are the point of some tests.
# pyright: reportUnhashable=false, reportArgumentType=false

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from deepconstruct._arithmetic.intervals import activation_range
from deepconstruct._arithmetic.softmax import softmax_error
from deepconstruct.activations import (
    GELU,
    AbstractActivation,
    Concatenate,
    Custom,
    Exp,
    Identity,
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

LONG = np.longdouble
PI = LONG("3.14159265358979323846264338327950288")


def logistic(z):
    return 1 / (1 + np.exp(-z))


def normal_tail(z: np.ndarray) -> np.ndarray:
    """The normal distribution function, by a series of positive terms: `1/2 + phi(z) (z + z^3/3 + z^5/15 + ...)`."""
    size = np.abs(z)
    total, term, k = np.zeros_like(size), size.copy(), 1
    while np.any(term > total * LONG(2) ** -70):
        total, k = total + term, k + 2
        term = term * size * size / k
    half = total * np.exp(-size * size / 2) / np.sqrt(2 * PI)
    return LONG(0.5) + np.sign(z) * half


def gelu_by_tanh(z):
    return z * (1 + np.tanh(np.sqrt(2 / PI) * (z + LONG("0.044715") * z**3))) / 2


# NumPy functions that keep the precision of their argument.
REFERENCES = {
    Sigmoid(): logistic,
    Sigmoid(2.0): lambda z: logistic(2 * z),
    Tanh(): np.tanh,
    Softplus(): lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
    Exp(): np.exp,
    GELU(approximate=True): gelu_by_tanh,
    GELU(approximate=False): lambda z: z * normal_tail(z),
    SiLU(): lambda z: z * logistic(z),
    Sin(): np.sin,
    Square(): lambda z: z * z,
    Power(1): lambda z: z,
    Power(2): lambda z: z * z,
    Power(3): lambda z: z * z * z,
    Power(7): lambda z: z**7,
}
NAMES = [act.name() for act in REFERENCES]
ALL = pytest.mark.parametrize("act", list(REFERENCES), ids=NAMES)


@functools.cache
def arguments(dtype: str) -> np.ndarray:
    """Arguments in [-8, 8]: evenly spread, close to 0 by orders of magnitude, and zeros of the sine."""
    rng = np.random.default_rng(0)
    near = rng.choice([-1, 1], 50_000) * 2.0 ** rng.uniform(-12, 3, 50_000)
    return np.concatenate([np.linspace(-8, 8, 200_001), near, np.pi * np.arange(-2, 3)]).astype(dtype)


@functools.cache
def reference(act: AbstractActivation, dtype: str) -> np.ndarray:
    wide = LONG if dtype == "float64" else np.float64
    if isinstance(act, GELU) and not act.approximate and wide is np.float64:
        return arguments(dtype).astype(wide) * scipy.special.ndtr(arguments(dtype).astype(wide))
    return REFERENCES[act](arguments(dtype).astype(wide))


def errors_in_ulps(act: AbstractActivation, dtype: str) -> np.ndarray:
    exact = reference(act, dtype)
    got = np.asarray(jax.jit(act)(jnp.asarray(arguments(dtype))))
    assert got.dtype == dtype
    # GELU counts in units of its argument: where the distribution function is small, it cancels.
    counted = arguments(dtype) if isinstance(act, GELU) else exact.astype(dtype)
    units = np.maximum(np.spacing(np.abs(counted)), np.finfo(dtype).tiny)
    return np.abs(got - exact) / units


@pytest.mark.default_cases(8)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@ALL
def test_one_evaluation_rounds_as_little_as_claims_allow_for(act, dtype):
    assert errors_in_ulps(act, dtype).max() <= act.ulps()


def test_the_two_forms_of_gelu_are_two_functions():
    z = np.linspace(-6, 6, 1001)
    exact = z * scipy.special.ndtr(z)
    assert np.allclose(GELU(approximate=False)(jnp.asarray(z)), exact, rtol=0, atol=1e-15)
    apart = np.abs(np.asarray(GELU(approximate=True)(jnp.asarray(z))) - exact).max()
    assert 4e-4 < apart < 5e-4
    assert GELU() == GELU(approximate=True)


@pytest.mark.parametrize("act", [Sigmoid(), Softplus(), SiLU(), Tanh()], ids=lambda act: act.name())
def test_large_arguments_neither_overflow_nor_lose_the_tail(act):
    z = np.array([-800.0, -80.0, -20.0, 20.0, 80.0, 800.0])
    exact = REFERENCES[act](z.astype(LONG))
    assert np.allclose(act(jnp.asarray(z)), exact.astype(float), rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 13])
def test_powers_of_small_integers_are_exact(n):
    z = np.arange(-5, 6)
    assert Power(n)(jnp.asarray(z, "float32")).tolist()[4:7] == [(-1) ** n, 0, 1]
    assert Power(n)(jnp.asarray(z, "float64")).tolist() == [int(value) ** n for value in z]


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_softmax_gives_probabilities_along_its_axis(axis, size):
    z = np.random.default_rng(0).normal(size=(size, 3) if axis == 0 else (3, size)) * 30
    expected = scipy.special.softmax(z, axis=axis)
    assert np.allclose(Softmax()(jnp.asarray(z), axis=axis), expected, rtol=1e-14, atol=0)


def softmax_errors(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = z.astype(LONG)
    odds = np.exp(wide - wide.max(axis=1, keepdims=True))
    exact = odds / odds.sum(axis=1, keepdims=True)
    return np.abs(np.asarray(jax.jit(Softmax())(jnp.asarray(z))) - exact), exact


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_rounds_as_little_as_claims_allow_for(dtype):
    # Differences of these are exact: claims count the rounding of others apart.
    z = np.random.default_rng(0).integers(-(2**13), 2**13, (20_000, 5)).astype(dtype) / 2**10
    off, exact = softmax_errors(z)
    assert (off / np.spacing(exact.astype(dtype))).max() <= Softmax().ulps()


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_what_claims_allow_a_softmax_readout_is_enough(classes, spread):
    z = np.random.default_rng(0).uniform(-spread, spread, (20_000, classes)).astype("float32")
    allowed = softmax_error(0.0, classes, 2.0**-24)
    assert softmax_errors(z)[0].max() <= allowed < 1e-5


def test_errors_of_logits_are_halved_by_a_softmax_at_most():
    rng = np.random.default_rng(0)
    z, off = rng.normal(size=(20_000, 4)), rng.choice([-1.0, 1.0], (20_000, 4)) * 1e-4
    moved = np.abs(scipy.special.softmax(z + off, axis=1) - scipy.special.softmax(z, axis=1))
    assert moved.max() <= softmax_error(1e-4, 4, 0.0)
    assert softmax_error(1e9, 4, 2.0**-24) == 1.0


def test_softmax_does_not_overflow():
    assert Softmax()(jnp.array([1e30, 0.0], "float32")).tolist() == [1.0, 0.0]


# Slopes -------------------------------------------------------------------------------------------


def measured_slope(act: AbstractActivation) -> float:
    z = np.linspace(-12, 12, 400_001)
    values = REFERENCES[act](z)
    return float((np.abs(np.diff(values)) / np.diff(z)).max())


@pytest.mark.default_cases(5)
@ALL
def test_no_slope_exceeds_the_lipschitz_constant(act):
    assert measured_slope(act) <= act.lipschitz() * (1 + 1e-9)


@pytest.mark.default_cases(6)
@ALL
def test_finite_lipschitz_constants_are_tight(act):
    if math.isfinite(act.lipschitz()):
        assert measured_slope(act) >= 0.99 * act.lipschitz()


@pytest.mark.parametrize("act", [Exp(), Square(), Power(2), Power(3)], ids=lambda act: act.name())
def test_unbounded_slopes_are_admitted(act):
    assert act.lipschitz() == math.inf


@pytest.mark.slow
def test_softmax_has_slope_one_half_in_the_max_norm():
    z = jnp.asarray(np.random.default_rng(0).normal(size=(500, 4)) * 3)
    sums = jnp.abs(jax.vmap(jax.jacobian(Softmax()))(z)).sum(axis=-1)
    assert float(sums.max()) <= Softmax().lipschitz()
    tie = jnp.abs(jax.jacobian(Softmax())(jnp.zeros(2))).sum(axis=-1)
    assert float(tie.max()) == pytest.approx(Softmax().lipschitz(), abs=1e-15)


# Your own -----------------------------------------------------------------------------------------


def test_a_custom_activation_is_the_function_it_wraps():
    act = Custom(jnp.arctan, "arctan")
    z = np.linspace(-3, 3, 7)
    assert np.allclose(act(jnp.asarray(z)), np.arctan(z), rtol=1e-15)
    assert act.name() == "arctan"
    assert Custom(jnp.arctan).name() == "custom"


def test_a_custom_activation_takes_its_slope_from_the_bound_of_the_first_derivative():
    assert Custom(jnp.arctan, "arctan", ((1, 1.0), (4, 5.0))).lipschitz() == 1.0
    assert Custom(jnp.arctan, "arctan", ((4, 5.0),)).lipschitz() == math.inf


def test_equal_custom_activations_are_equal_and_hashable():
    first, second = (Custom(jnp.arctan, "arctan", [[4, 5]]) for _ in range(2))
    assert first == second
    assert len({first, second}) == 1
    assert first != Custom(jnp.tanh, "arctan", ((4, 5.0),))


@pytest.mark.parametrize(
    "error,message,build",
    [
        (TypeError, "Custom: function must be callable; got 'tanh'", lambda: Custom("tanh")),
        (ValueError, "Custom: the order of a derivative must be at least 1; got 0",
         lambda: Custom(abs, "a", ((0, 1.0),))),
        (ValueError, "Custom: the bound of derivative 2 must be finite and at least 0; got -1",
         lambda: Custom(abs, "a", ((2, -1.0),))),
        (ValueError, "Power: n must be at least 1; got 0", lambda: Power(0)),
        (TypeError, r"Power: n must be an integer; got 2\.5", lambda: Power(2.5)),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(error, message, build):
    with pytest.raises(error, match=message):
        build()


# Intervals ----------------------------------------------------------------------------------------

FIXED_INTERVALS = [
    (-0.8, -0.7), (-1.5, -1.0), (-1.2784645427610738, 0.0), (-3.0, 3.0), (-2.0, -1.5), (0.5, 1.0), (-0.5, -0.1),
    (0.0, 0.0), (1.0, 2.0), (4.0, 5.0), (1.6, 4.6), (-5.0, -4.0), (0.0, 10.0), (-2.0, 1.0), (-9.0, -8.0), (7.0, 9.0),
]  # fmt: skip

RANGED = [
    *REFERENCES,
    Power(4),
    Sigmoid(10.0),
    Identity(),
    ReLU(),
    Step(),
]


@functools.cache
def intervals() -> tuple[np.ndarray, np.ndarray]:
    ends = np.sort(np.random.default_rng(1).uniform(-8, 8, (300, 2)), axis=1)
    ends = np.concatenate([ends, FIXED_INTERVALS])
    return ends[:, 0], ends[:, 1]


def samples(act: AbstractActivation) -> np.ndarray:
    low, high = intervals()
    shares = np.linspace(0, 1, 2001)[:, None]
    points = np.clip(low + shares * (high - low), low, high)
    return np.asarray(act(jnp.asarray(points)))


@pytest.mark.default_cases(8)
@pytest.mark.parametrize("act", RANGED, ids=lambda act: act.name())
def test_interval_rules_hold_all_values_and_little_else(act):
    bottom, top = activation_range(act, *intervals())
    values = samples(act)
    assert np.all(bottom <= values.min(axis=0))
    assert np.all(values.max(axis=0) <= top)
    width = np.maximum(np.abs(values).max(axis=0), 1e-3)
    assert np.all(values.min(axis=0) - bottom <= 1e-4 * width)
    assert np.all(top - values.max(axis=0) <= 1e-4 * width)


def test_the_interval_of_a_softmax_is_that_of_probabilities():
    low, high = activation_range(Softmax(), *intervals())
    assert np.all(low == 0)
    assert np.all(high == 1)


def test_the_interval_rule_of_a_mixed_layer_is_that_of_its_parts():
    mixed = Concatenate((SiLU(), Sin()), (1, 2))
    low, high = np.array([-2.0, 1.0, -1.0]), np.array([1.0, 2.0, 0.0])
    bottom, top = activation_range(mixed, low, high)
    assert bottom == pytest.approx([-0.27846454, math.sin(1.0), math.sin(-1.0)], abs=1e-8)
    assert top == pytest.approx([float(logistic(1.0)), 1.0, 0.0], abs=1e-8)


@pytest.mark.parametrize("act", RANGED, ids=lambda act: act.name())
def test_interval_rules_take_unbounded_intervals(act):
    low, high = np.array([-np.inf, -np.inf, 0.0]), np.array([np.inf, 0.0, np.inf])
    bottom, top = activation_range(act, low, high)
    values = np.asarray(act(jnp.linspace(-50.0, 50.0, 1001)[:, None]))
    assert np.all(bottom[:1] <= values.min())
    assert np.all(values.max() <= top[:1])
    assert not np.any(np.isnan([bottom, top]))
