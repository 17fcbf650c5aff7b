"""Taylor series of activations with bounds of what is left out.

A function that is analytic on the disc of radius `rho` about `c`, and at most `peak` in modulus
there, has coefficients of at most `peak / rho^k` (Cauchy), so that all terms from order `K` on sum
to at most `peak (h / rho)^K / (1 - h / rho)` within `h` of `c`. Coefficients are computed in double
precision; what that loses is covered by a share of Cauchy's bound.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import lru_cache, singledispatch

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.jet import jet

from .._checks import double_precision
from ..activations import (
    GELU,
    AbstractActivation,
    Custom,
    Exp,
    Power,
    Sigmoid,
    SiLU,
    Sin,
    Softplus,
    Square,
    Tanh,
)
from .logistic import logistic
from .power_series import exponential, integral, logistic_of, multiply, variable

TERMS = 96

# Rounding of the coefficients, as a share of Cauchy's bound; tested against 60 digits.
_SLACK = 2.0**-50

# The logistic function has its poles at distance pi from the real line: stay within this much.
_LOGISTIC_RADIUS = 2.75


@dataclasses.dataclass(frozen=True, eq=False)
class Taylor:
    """The expansion of an activation about `center`, valid within `radius` of it.

    Attributes:
        center: the point.
        coefficients: the first terms, by order.
        slack: bounds of their errors.
        radius: how far from the center `tail` holds (exclusive).
        tail: `tail(h)` bounds what is left out within `h` of the center.
        proved: whether `tail` is a bound, or merely hoped to be small.
    """

    center: float
    coefficients: np.ndarray
    slack: np.ndarray
    radius: float
    tail: Callable[[float], float]
    proved: bool = True

    def moduli(self) -> np.ndarray:
        """Upper bounds of the moduli of the coefficients."""
        return np.abs(self.coefficients) + self.slack

    def height(self, h: float) -> float:
        """A bound of the modulus of the function within `h` of the center."""
        return float(self.moduli() @ h ** np.arange(len(self.coefficients))) + self.tail(h)

    def slope(self, h: float) -> float:
        """A bound of the modulus of the derivative within `h` of the center.

        Cauchy's estimate on a disc of radius `step` gives the tail's derivative from its height.
        """
        orders = np.arange(1, len(self.coefficients))
        step = (min(self.radius, 2 * h + 1) - h) / 2
        return float((orders * self.moduli()[1:]) @ h ** (orders - 1)) + self.tail(h + step) / step


def expand(activation: AbstractActivation, center: float, *, order: int = 1) -> Taylor:
    """The Taylor series of an activation about one point.

    Of a user's function only bounds of derivatives of at least `order` count.

    Raises:
        TypeError: an activation that isn't smooth, or not known to be.
    """
    if isinstance(activation, Custom):
        return _expand_custom(activation, center, order)
    radius, peak = disc(activation, center)
    terms = coefficients(activation, np.array([center]), TERMS)[:, 0]
    if math.isinf(radius):  # a polynomial
        slack = 0.0 if float(center).is_integer() else _SLACK
        return Taylor(center, terms, slack * np.abs(terms), radius, lambda h: 0.0)
    with np.errstate(over="ignore"):  # a bound of 0 then
        cauchy = peak / radius ** np.arange(TERMS, dtype=float)

    def tail(h: float) -> float:
        ratio = h / radius
        return peak * ratio**TERMS / (1 - ratio) if ratio < 1 else math.inf

    return Taylor(center, terms, _SLACK * cauchy, radius, tail)


@singledispatch
def coefficients(activation: AbstractActivation, centers: np.ndarray, terms: int) -> np.ndarray:
    """Taylor coefficients `(terms, len(centers))` about every center.

    Raises:
        TypeError: an activation that isn't smooth, or not known to be.
    """
    raise TypeError(f"{activation.name()} has no Taylor series that this library knows")


@singledispatch
def disc(activation: AbstractActivation, center: float) -> tuple[float, float]:
    """`(radius, peak)`: the activation is at most `peak` in modulus on that complex disc about `center`."""
    raise TypeError(f"{activation.name()} has no Taylor series that this library knows")


def _logistic_peak(radius: float) -> float:
    # |1 + exp(-w)| is at least 1 for |Im w| <= pi / 2, and at least sin |Im w| up to pi.
    return 1 / math.sin(max(radius, math.pi / 2))


# How many derivatives of a user's function are taken, by the fast way and by the slow one.
_CUSTOM_TERMS, _NESTED_TERMS = 14, 8


def _expand_custom(activation: Custom, center: float, least: int) -> Taylor:
    """As far as JAX differentiates; behind that Lagrange's remainder where a derivative is bounded,
    else a guess: that coefficients go on to fall as they did.
    """
    terms = coefficients(activation, np.array([center]), TERMS)[:, 0]
    bounds = {order: bound for order, bound in activation.derivative_bounds if least <= order <= len(terms)}
    if not bounds:
        return _guessed(center, terms)
    order = max(bounds)
    factor = bounds[order] / math.factorial(order)
    return Taylor(center, terms[:order], _custom_slack(terms[:order]), math.inf, lambda h: factor * h**order)


def _guessed(center: float, terms: np.ndarray) -> Taylor:
    peak = float(np.abs(terms).max()) or 1.0
    falls = [(peak / abs(float(a))) ** (1 / k) for k, a in enumerate(terms) if k and a]
    radius, order = min(falls, default=1.0), len(terms)

    def tail(h: float) -> float:
        return peak * (h / radius) ** order / (1 - h / radius) if h < radius else math.inf

    return Taylor(center, terms, _custom_slack(terms), radius, tail, proved=False)


def _custom_slack(terms: np.ndarray) -> np.ndarray:
    return 2.0**-44 * np.maximum(np.abs(terms), 2.0**-8 * np.abs(terms).max())


@coefficients.register
def _(activation: Custom, centers, terms):
    with double_precision():
        try:
            derivatives = _derivatives(activation.function, np.asarray(centers, np.float64))
        except (jax.errors.JAXTypeError, TypeError, AttributeError) as error:
            raise TypeError(f"{activation.name()}: the function must be written in JAX, elementwise: {error}") from None
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, len(derivatives))]))
    return (derivatives / factorials[:, None])[:terms]


def _derivatives(function: Callable, points: np.ndarray) -> np.ndarray:
    """Derivatives of order 0, 1, ... by Taylor mode, or nested, and fewer, where it lacks a rule."""
    try:
        return np.asarray(_by_taylor_mode(function)(points))
    except (NotImplementedError, KeyError, jax.errors.UnexpectedTracerError):
        return np.asarray(_by_nesting(function)(points))


@lru_cache(maxsize=64)
def _by_taylor_mode(function: Callable) -> Callable:
    def derivatives(points: jax.Array) -> jax.Array:
        series = [jnp.ones_like(points), *[jnp.zeros_like(points)] * (_CUSTOM_TERMS - 2)]
        value, higher = jet(function, (points,), (series,))
        return jnp.stack([value, *higher])

    return jax.jit(derivatives)


@lru_cache(maxsize=64)
def _by_nesting(function: Callable) -> Callable:
    orders = [function]
    for _ in range(_NESTED_TERMS - 1):
        orders.append(_derivative(orders[-1]))
    return jax.jit(lambda points: jnp.stack([order(points) for order in orders]))


def _derivative(function: Callable) -> Callable:
    return lambda z: jax.jvp(function, (z,), (jnp.ones_like(z),))[1]


@coefficients.register
def _(activation: Sigmoid, centers, terms):
    beta = activation.inverse_temperature
    return logistic_of(beta * variable(centers, terms), logistic(beta * centers))


@disc.register
def _(activation: Sigmoid, center):
    return _LOGISTIC_RADIUS / activation.inverse_temperature, _logistic_peak(_LOGISTIC_RADIUS)


@coefficients.register
def _(activation: Tanh, centers, terms):
    result = 2 * logistic_of(2 * variable(centers, terms), logistic(2 * centers))
    result[0] = np.tanh(centers)
    return result


@disc.register
def _(activation: Tanh, center):
    return _LOGISTIC_RADIUS / 2, 1 + 2 * _logistic_peak(_LOGISTIC_RADIUS)


@coefficients.register
def _(activation: Softplus, centers, terms):
    return integral(logistic_of(variable(centers, terms), logistic(centers)), np.logaddexp(0, centers))


@disc.register
def _(activation: Softplus, center):
    rise = _LOGISTIC_RADIUS * _logistic_peak(_LOGISTIC_RADIUS)  # its derivative is the logistic function
    return _LOGISTIC_RADIUS, float(np.logaddexp(0, center)) + rise


@coefficients.register
def _(activation: SiLU, centers, terms):
    z = variable(centers, terms)
    return multiply(z, logistic_of(z, logistic(centers)))


@disc.register
def _(activation: SiLU, center):
    return _LOGISTIC_RADIUS, (abs(center) + _LOGISTIC_RADIUS) * _logistic_peak(_LOGISTIC_RADIUS)


@coefficients.register
def _(activation: Exp, centers, terms):
    return exponential(variable(centers, terms))


@disc.register
def _(activation: Exp, center):
    return 4.0, math.exp(center + 4.0)


@coefficients.register
def _(activation: Sin, centers, terms):
    cycle = np.stack([np.sin(centers), np.cos(centers), -np.sin(centers), -np.cos(centers)])
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, terms)]))
    return cycle[np.arange(terms) % 4] / factorials[:, None]


@disc.register
def _(activation: Sin, center):
    return 4.0, math.cosh(4.0)


_CUBIC, _SQRT_2_OVER_PI = 0.044715, math.sqrt(2 / math.pi)


@coefficients.register
def _(activation: GELU, centers, terms):
    z = variable(centers, terms)
    if activation.approximate:
        inner = 2 * _SQRT_2_OVER_PI * (z + _CUBIC * multiply(z, multiply(z, z)))
        return multiply(z, logistic_of(inner, logistic(inner[0])))
    density = exponential(-multiply(z, z) / 2) / math.sqrt(2 * math.pi)
    tails = np.array([math.erfc(-c / math.sqrt(2)) / 2 for c in centers])
    return multiply(z, integral(density, tails))


@disc.register
def _(activation: GELU, center):
    if not activation.approximate:
        radius = 3.0
        rise = radius * math.exp(radius**2 / 2) / math.sqrt(2 * math.pi)  # |phi(x + i y)| <= phi(0) exp(y^2 / 2)
        return radius, (abs(center) + radius) * (1 + rise)
    # tanh(x + i y) is at most tan(y) in modulus for pi / 4 <= |y| < pi / 2, and the argument of tanh
    # moves by at most `shift` on the disc.
    limit, radius = 1.3, 2.0

    def shift(r: float) -> float:
        return _SQRT_2_OVER_PI * (r * (1 + 3 * _CUBIC * center**2) + 3 * _CUBIC * abs(center) * r**2 + _CUBIC * r**3)

    while shift(radius) > limit:
        radius *= 0.98
    return radius, (abs(center) + radius) * (1 + math.tan(limit)) / 2


@coefficients.register
def _(activation: Square, centers, terms):
    return coefficients(Power(2), centers, terms)


@disc.register
def _(activation: Square, center):
    return math.inf, math.inf


@coefficients.register
def _(activation: Power, centers, terms):
    orders = range(min(activation.n + 1, terms))
    rows = [math.comb(activation.n, k) * centers ** (activation.n - k) for k in orders]
    return np.concatenate([np.stack(rows), np.zeros((max(terms - len(rows), 0), len(centers)))])


@disc.register
def _(activation: Power, center):
    return math.inf, math.inf
