"""The Taylor series of a user's function, as far as the function itself bears it out.

JAX differentiates whatever it is given: at a kink it takes one side, a rounded or clipped function has
derivatives that are 0, and a rule of one's own may be wrong. So a series is compared with the function
around its center, and holds only as far as the two agree; what a comparison in double precision can't
tell from rounding counts as an error.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.jet import jet

from .._checks import double_precision
from ..activations import Custom
from .power_series import Taylor

# How many derivatives of a user's function are taken, by the fast way and by the slow one.
_CUSTOM_TERMS, _NESTED_TERMS = 14, 8

# At how many points at once it is differentiated.
_PIECE = 64

# Distances from a center at which a function is looked at, over the largest one.
_DISTANCES = 2.0 ** (np.arange(-26 * 16, 1) / 16)

# A series that fails at a smaller share of the distance that its terms promise is none at all.
_LEAST_SHARE = 2.0**-10

# How many times a guessed tail may be too small.
_MOST_RAISED = 2.0**12

# Where bounds of derivatives say that a series holds everywhere, it is looked at up to here.
_FAR = 16.0

# Rounding of a function in double precision, relative to value, argument and terms: `Custom.ulps` of it.
_NOISE = 8 * 2.0**-52


# Is it a function of one number? ------------------------------------------------------------------


def check_function(owner: str, activation: Custom) -> None:
    """Refuse what isn't an elementwise JAX function, and bounds of derivatives that are visibly false.

    Raises:
        TypeError: a function that can't be hashed, or that JAX can't run or differentiate.
        ValueError: one that isn't elementwise or changes the dtype; false bounds of derivatives.
    """
    name = activation.name()
    try:
        hash(activation)
    except TypeError:
        raise TypeError(f"{owner}: {name} can't be hashed; wrap it: activation=lambda z: your_function(z)") from None
    points = np.linspace(-1.5, 1.5, 24).reshape(4, 6)
    try:
        whole, part = (_values(activation.function, z) for z in (points, points[1:3, 2:5]))
    except Exception as error:  # a user's function may raise anything
        raise _failing(owner, name, error) from None
    if whole.shape != points.shape or part.shape != (2, 3):
        raise ValueError(
            f"{owner}: {name} must be elementwise; it maps shapes {points.shape} and (2, 3) to {whole.shape} and "
            f"{part.shape}"
        )
    if whole.dtype != np.float64:
        raise ValueError(f"{owner}: {name} must keep the dtype of its input; it maps float64 to {whole.dtype.name}")
    if not np.allclose(whole[1:3, 2:5], part, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise ValueError(f"{owner}: {name} must be elementwise; its values depend on the other numbers in the array")
    try:
        coefficients = custom_coefficients(activation, np.linspace(-6, 6, 25))
    except Exception as error:
        raise _failing(owner, name, error) from None
    _check_bounds(owner, activation, coefficients)


def _failing(owner: str, name: str, error: Exception) -> TypeError:
    reason = str(error).split("\n")[0][:160]
    return TypeError(f"{owner}: {name} must be written in JAX, elementwise; it raised: {reason}")


def _check_bounds(owner: str, activation: Custom, coefficients: np.ndarray) -> None:
    centers = np.linspace(-6, 6, coefficients.shape[1])
    for order, bound in activation.derivative_bounds:
        if order >= len(coefficients):
            continue
        sizes = np.abs(coefficients[order]) * math.factorial(order)
        worst = int(np.argmax(np.nan_to_num(sizes, nan=np.inf)))
        if not sizes[worst] <= bound * (1 + 1e-6) + 1e-9:
            raise ValueError(
                f"{owner}: derivative_bounds of {activation.name()} say that the derivative of order {order} is at "
                f"most {bound:g}, but at {centers[worst]:g} it is {sizes[worst]:g}"
            )
        for center, terms in zip(centers, coefficients.T, strict=True):
            _check_remainder(owner, activation, float(center), terms, order, bound)


def _check_remainder(
    owner: str, activation: Custom, center: float, terms: np.ndarray, order: int, bound: float
) -> None:
    """Refuse a bound of a derivative that Lagrange's remainder breaks beside a center."""
    factor = bound / math.factorial(order)
    t, off, noise = _compared(activation.function, center, terms[:order], _FAR)
    wrong = ~(off <= factor * np.abs(t) ** order * (1 + 1e-6) + 64 * noise)
    if np.any(wrong):
        at = float(center + t[wrong][0])
        raise ValueError(
            f"{owner}: derivative_bounds of {activation.name()} say that the derivative of order {order} is at most "
            f"{bound:g}, but from {center:g} to {at:.6g} the function leaves its Taylor polynomial by more"
        )


# Expansion ----------------------------------------------------------------------------------------


def expand_custom(activation: Custom, center: float, least: int) -> Taylor:
    """As far as JAX differentiates; behind that Lagrange's remainder where a derivative is bounded,
    else a guess: that coefficients go on to fall as they did.

    A guess has the radius within which it agrees with the function, 0 at a kink.
    """
    terms = custom_coefficients(activation, np.array([center]))[:, 0]
    bounds = {order: bound for order, bound in activation.derivative_bounds if least <= order <= len(terms)}
    if not bounds:
        return _guessed(activation, center, terms, least)
    order = max(bounds)
    _check_remainder("expand", activation, center, terms, order, bounds[order])
    factor = bounds[order] / math.factorial(order)
    return Taylor(center, terms[:order], _slack(terms[:order]), math.inf, lambda h: factor * h**order)


def _guessed(activation: Custom, center: float, terms: np.ndarray, least: int) -> Taylor:
    if not np.all(np.isfinite(terms)):
        return _nothing(center, len(terms))
    peak = float(np.abs(terms).max()) or 1.0
    falls = [(peak / abs(float(a))) ** (1 / k) for k, a in enumerate(terms) if k and a]
    radius, order = min(falls, default=1.0), len(terms)
    slack = _slack(terms)

    def guess(h: Any) -> Any:
        return peak * (h / radius) ** order / (1 - h / radius)

    t, off, noise = _compared(activation.function, center, terms, radius)
    sizes = np.abs(t)
    # Gates cancel orders below their own, so that errors of those coefficients aren't allowed for.
    off = off - np.polynomial.polynomial.polyval(sizes, np.where(np.arange(order) >= least - 1, slack, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        guessed = np.where(sizes < radius, guess(sizes), np.inf)
    raised = 2 * float(np.max((off - noise)[sizes <= radius / 2] / guessed[sizes <= radius / 2]))
    factor = raised if 1 < raised < _MOST_RAISED else 1.0
    trusted, rounding = _agreement(off <= factor * guessed + noise, noise, radius)
    if not trusted:
        return _nothing(center, order)

    def tail(h: float) -> float:
        return factor * float(guess(h)) + rounding if h < trusted else math.inf

    return Taylor(center, terms, slack, trusted, tail, proved=False)


def _nothing(center: float, count: int) -> Taylor:
    """The series of a function that has none there."""
    return Taylor(center, np.zeros(count), np.zeros(count), 0.0, lambda h: math.inf, proved=False)


def _slack(terms: np.ndarray) -> np.ndarray:
    return 2.0**-44 * np.maximum(np.abs(terms), 2.0**-8 * np.abs(terms).max())


def _agreement(agree: np.ndarray, noise: np.ndarray, radius: float) -> tuple[float, float]:
    """How far from a center series and function agree, and how well that can be seen there."""
    both = np.all(agree.reshape(-1, 2), axis=1)  # both signs of a distance, nearest first
    count = len(both) if np.all(both) else int(np.argmin(both))
    trusted = float(radius * _DISTANCES[count - 1]) if count else 0.0
    if trusted < _LEAST_SHARE * radius:
        return 0.0, math.inf
    return trusted, float(noise[: 2 * count].max())


def _compared(
    function: Callable, center: float, terms: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signed distances from a center, nearest first; how far function and polynomial are apart; rounding of that."""
    z = center + np.stack([radius * _DISTANCES, -radius * _DISTANCES], axis=1).ravel()
    t = z - center
    values = _values(function, z)
    with np.errstate(over="ignore", invalid="ignore"):
        off = np.abs(values - np.polynomial.polynomial.polyval(t, terms))
        mass = np.polynomial.polynomial.polyval(np.abs(t), np.abs(terms))
    noise = _NOISE * np.maximum(np.maximum(np.abs(values), np.abs(z)), mass)
    # Infinity and NaN agree with nothing.
    return t, np.where(np.isfinite(values), off, np.inf), np.where(np.isfinite(noise), noise, 0.0)


# Values, in double precision and in the network's -------------------------------------------------


def seen_rounding(activation: Custom, dtype: str, center: float, reach: float) -> float:
    """The largest error of the function in a dtype that is seen within `reach` of a center."""
    errors = _rounding_by_distance(activation.function, dtype, center)
    return float(errors[min(np.searchsorted(_FAR * _DISTANCES, reach), len(errors) - 1)])


@lru_cache(maxsize=1024)
def _rounding_by_distance(function: Callable, dtype: str, center: float) -> np.ndarray:
    z = (center + _FAR * np.stack([_DISTANCES, -_DISTANCES], axis=1)).astype(dtype)
    wide = _values(function, z.astype(np.float64).ravel())
    own = np.asarray(_compiled(function)(z.ravel())).astype(np.float64) if dtype != "float64" else wide
    with np.errstate(invalid="ignore"):
        errors = np.where(np.isfinite(wide) & np.isfinite(own), np.abs(own - wide), 0.0)
    return np.maximum.accumulate(errors.reshape(-1, 2).max(axis=1))


def _values(function: Callable, points: np.ndarray) -> np.ndarray:
    with double_precision():
        return np.asarray(_compiled(function)(np.asarray(points, np.float64)))


@lru_cache(maxsize=64)
def _compiled(function: Callable) -> Callable:
    # A function of its own, so that nothing is shared with a user's compiled one.
    return jax.jit(lambda z: jnp.asarray(function(z)))


# Derivatives --------------------------------------------------------------------------------------


def custom_coefficients(activation: Custom, centers: np.ndarray) -> np.ndarray:
    """As many Taylor coefficients as JAX gives, about every center."""
    with double_precision():
        try:
            derivatives = _derivatives(activation.function, np.asarray(centers, np.float64))
        except (jax.errors.JAXTypeError, TypeError, AttributeError) as error:
            raise TypeError(f"{activation.name()}: the function must be written in JAX, elementwise: {error}") from None
    factorials = np.cumprod(np.concatenate([[1.0], np.arange(1.0, len(derivatives))]))
    return derivatives / factorials[:, None]


def _derivatives(function: Callable, points: np.ndarray) -> np.ndarray:
    """Derivatives of order 0, 1, ... at all points, in pieces of one size: each size is compiled anew."""
    pieces = np.resize(points, (-(-len(points) // _PIECE), _PIECE))
    found = [_piece(function, piece) for piece in pieces]
    return np.concatenate(found, axis=1)[:, : len(points)]


def _piece(function: Callable, points: np.ndarray) -> np.ndarray:
    """By Taylor mode, or nested, and fewer, where it lacks a rule."""
    try:
        return np.asarray(_by_taylor_mode(function)(points))
    except Exception:  # rules that are missing or wrong raise of all kinds; what the function raises, it raises again
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
