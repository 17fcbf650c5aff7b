"""Taylor series and ranges of smooth activations in balls, and discs on which they are bounded.

A function that is analytic on the disc of radius `rho` about `c` and at most `peak` in modulus there has
Taylor coefficients of at most `peak / rho^k` (Cauchy). All numbers here are balls of Arb, so that nothing
is lost to rounding; which discs are free of poles, and the peaks on them, follow from the formulas beside them.
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Iterator
from functools import lru_cache, singledispatch
from typing import Any

import numpy as np

from ..._arithmetic.intervals import activation_range
from ..._flint import flint
from ...activations import GELU, AbstractActivation, Exp, Identity, Power, Sigmoid, SiLU, Sin, Softplus, Square, Tanh
from ..polynomials.monomials import Unknown

SMOOTH = (GELU, Exp, Sigmoid, SiLU, Sin, Softplus, Tanh)
POLYNOMIAL = (Identity, Power, Square)
TERMS = 96
_BITS = 320
# Beyond this reach the terms of a series that never ends are much larger than their sum.
_FARTHEST = 6.0
# Intervals are cut into so many pieces, or into pieces of this length, over the steepness of a sigmoid.
_PIECES, _MOST_PIECES, _LENGTH = 32, 2048, 0.25
# Where the disc is bounded by poles, shares of their distance that are tried as its radius.
_SHARES = (19, 16, 12)


@contextlib.contextmanager
def balls(terms: int = TERMS) -> Iterator[Any]:
    """Arb with enough bits that what cancels between units of a gate still leaves a hundred of them."""
    module = flint()
    bits, cap = module.ctx.prec, module.ctx.cap
    module.ctx.prec, module.ctx.cap = _BITS, terms
    try:
        yield module
    finally:
        module.ctx.prec, module.ctx.cap = bits, cap


def upper(ball: Any) -> float:
    """A float that is at least the modulus of a ball; infinite where that isn't finite."""
    value = float(ball.abs_upper())
    return math.nextafter(value, math.inf) if math.isfinite(value) else math.inf


def degree(activation: AbstractActivation) -> int | None:
    """The degree of a polynomial, `None` for any other activation."""
    if isinstance(activation, Power):
        return activation.n
    return {Identity: 1, Square: 2}.get(type(activation))


@singledispatch
def _of(activation: AbstractActivation, z: Any, module: Any) -> Any:
    """The activation of a power series with balls as coefficients."""
    raise TypeError(f"{activation.name()} has no series in balls")


@singledispatch
def discs(activation: AbstractActivation, center: Any, reach: float, module: Any) -> list[tuple[Any, Any]]:
    """Pairs `(radius, peak)` of discs about `center`; those that needn't end are tried from `reach` on."""
    raise TypeError(f"{activation.name()} has no discs")


def _logistic(z: Any) -> Any:
    try:
        return 1 / (1 + (-z).exp())
    except ValueError:  # far out the ball of the exponential function is so wide that it holds -1
        raise Unknown("logistic functions aren't known that far out") from None


def _logistic_peak(height: Any, module: Any) -> Any:
    """`|1 + exp(-w)|` is at least 1 for `|Im w| <= pi / 2`, and at least `sin |Im w|` from there to `pi`."""
    return 1 / height.max(module.arb.pi() / 2).sin()


def _up_to_poles(distance: Any) -> list[Any]:
    return [distance * share / 20 for share in _SHARES]


def _unending(reach: float, module: Any) -> list[Any]:
    if reach > _FARTHEST:
        return []
    return [module.arb(max(reach, 2.0**-40)) * 2**k for k in range(1, 9)]


@_of.register
def _(activation: Sigmoid, z, module):
    return _logistic(activation.inverse_temperature * z)


@discs.register
def _(activation: Sigmoid, center, reach, module):
    beta = module.arb(activation.inverse_temperature)  # poles where beta z = i pi
    return [(rho / beta, _logistic_peak(rho, module)) for rho in _up_to_poles(module.arb.pi())]


@_of.register
def _(activation: Tanh, z, module):
    return 2 * _logistic(2 * z) - 1


@discs.register
def _(activation: Tanh, center, reach, module):
    return [(rho / 2, 1 + 2 * _logistic_peak(rho, module)) for rho in _up_to_poles(module.arb.pi())]


@_of.register
def _(activation: Softplus, z, module):
    return (1 + z.exp()).log()


@discs.register
def _(activation: Softplus, center, reach, module):
    height = (1 + center.exp()).log()  # its derivative is the logistic function
    return [(rho, height + rho * _logistic_peak(rho, module)) for rho in _up_to_poles(module.arb.pi())]


@_of.register
def _(activation: SiLU, z, module):
    return z * _logistic(z)


@discs.register
def _(activation: SiLU, center, reach, module):
    return [(rho, (abs(center) + rho) * _logistic_peak(rho, module)) for rho in _up_to_poles(module.arb.pi())]


@_of.register
def _(activation: Exp, z, module):
    return z.exp()


@discs.register
def _(activation: Exp, center, reach, module):
    return [(rho, (center + rho).exp()) for rho in _unending(reach, module)]


@_of.register
def _(activation: Sin, z, module):
    return z.sin()


@discs.register
def _(activation: Sin, center, reach, module):
    return [(rho, rho.cosh()) for rho in _unending(reach, module)]


@_of.register
def _(activation: GELU, z, module):
    if activation.approximate:
        root = (2 / module.arb.pi()).sqrt()
        return z * _logistic(2 * root * (z + _cubic(module) * z * z * z))
    return z * (z * (-1 / module.arb(2).sqrt())).erfc() / 2


@discs.register
def _(activation: GELU, center, reach, module):
    pi = module.arb.pi()
    if not activation.approximate:
        # |phi(x + i y)| <= phi(0) exp(y^2 / 2), and Phi differs from that of the center by an integral of it.
        return [
            (rho, (abs(center) + rho) * (1 + rho * (rho * rho / 2).exp() / (2 * pi).sqrt()))
            for rho in _unending(reach, module)
        ]
    found, cubic, root = [], _cubic(module), (2 / pi).sqrt()
    for step in range(32):
        rho = 3 * (module.arb(3) / 4) ** step
        # The argument of the logistic function is real at the center, and moves by at most this on the disc.
        shift = 2 * root * (rho * (1 + 3 * cubic * center**2) + 3 * cubic * abs(center) * rho**2 + cubic * rho**3)
        if shift < pi:
            found.append((rho, (abs(center) + rho) * _logistic_peak(shift, module)))
    return found


def _cubic(module: Any) -> Any:
    return module.arb(44715) / 1_000_000


@_of.register
def _(activation: Identity, z, module):
    return z


@_of.register
def _(activation: Square, z, module):
    return z * z


@_of.register
def _(activation: Power, z, module):
    found = z
    for _ in range(activation.n - 1):
        found = found * z
    return found


def coefficients(activation: AbstractActivation, center: Any, terms: int, module: Any) -> list[Any]:
    """The first Taylor coefficients about a ball."""
    found = _of(activation, module.arb_series([center, 1], terms), module)
    return [found[k] for k in range(terms)]


@dataclasses.dataclass(frozen=True)
class Range:
    """What an activation does on an interval: its values lie in `[low, high]`, and `slopes[l]` bounds `|f^(l)|`."""

    low: float
    high: float
    slopes: tuple[float, ...]

    @property
    def height(self) -> float:
        return max(-self.low, self.high, 0.0)


@lru_cache(maxsize=512)
def ranges(activation: AbstractActivation, low: float, high: float, orders: int = 1) -> Range:
    """Values and derivatives on `[low, high]`, piece by piece; infinite where they aren't known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return Range(-math.inf, math.inf, (math.inf,) * (orders + 1))
    stretch = getattr(activation, "inverse_temperature", 1.0)
    count = math.ceil(min(max(stretch * (high - low) / _LENGTH, _PIECES), _MOST_PIECES))
    ends = np.linspace(low, high, count + 1).tolist()
    with balls(orders + 1) as module:
        pieces = [_on_piece(activation, *piece, orders, module) for piece in itertools.pairwise(ends)]
    slopes = tuple(map(max, zip(*(piece.slopes for piece in pieces), strict=True)))
    return Range(min(piece.low for piece in pieces), max(piece.high for piece in pieces), slopes)


def _on_piece(activation: AbstractActivation, low: float, high: float, orders: int, module: Any) -> Range:
    """In balls; where these are too wide, by what is known of whole intervals and of all slopes."""
    try:
        row = coefficients(activation, module.arb(low).union(module.arb(high)), orders + 1, module)
        slopes = [upper(value * math.factorial(k)) for k, value in enumerate(row)]
        if all(map(math.isfinite, slopes)):
            return Range(_below(row[0]), _above(row[0]), tuple(slopes))
    except Unknown:
        pass
    bottom, top = (float(end[0]) for end in activation_range(activation, np.array([low]), np.array([high])))
    return Range(bottom, top, (max(-bottom, top), activation.lipschitz(), *[math.inf] * orders)[: orders + 1])


def _above(ball: Any) -> float:
    value = float(ball.upper())
    return math.nextafter(value, math.inf) if math.isfinite(value) else math.inf


def _below(ball: Any) -> float:
    value = float(ball.lower())
    return math.nextafter(value, -math.inf) if math.isfinite(value) else -math.inf
