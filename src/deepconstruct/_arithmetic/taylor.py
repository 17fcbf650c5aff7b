"""Taylor series of activations with bounds of what is left out.

A function that is analytic on the disc of radius `rho` about `c`, and at most `peak` in modulus
there, has coefficients of at most `peak / rho^k` (Cauchy), so that all terms from order `K` on sum
to at most `peak (h / rho)^K / (1 - h / rho)` within `h` of `c`. Coefficients are computed in double
precision; what that loses is covered by a share of Cauchy's bound.
"""

import math
from functools import singledispatch

import numpy as np

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
from .custom import custom_coefficients, expand_custom
from .logistic import logistic
from .power_series import Taylor, exponential, integral, logistic_of, multiply, variable

TERMS = 96

# Rounding of the coefficients, as a share of Cauchy's bound; tested against 60 digits.
_SLACK = 2.0**-50

# The logistic function has its poles at distance pi from the real line: stay within this much.
_LOGISTIC_RADIUS = 2.75


def expand(activation: AbstractActivation, center: float, *, order: int = 1) -> Taylor:
    """The Taylor series of an activation about one point.

    Of a user's function only bounds of derivatives of at least `order` count.

    Raises:
        TypeError: an activation that isn't smooth, or not known to be.
    """
    if isinstance(activation, Custom):
        return expand_custom(activation, center, order)
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


@coefficients.register
def _(activation: Custom, centers, terms):
    return custom_coefficients(activation, centers)[:terms]


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
