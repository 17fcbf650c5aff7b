"""One gate: an activation, a bias and a scale, with a bound of its error."""

import dataclasses
import math
from functools import cached_property

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.custom import seen_rounding
from ..._arithmetic.power_series import Taylor
from ..._arithmetic.rounding import growth, unit_roundoff
from ...activations import GELU, AbstractActivation, Custom, Power, Sigmoid, Square
from ...linear.signs import LEAST_HELD
from ...network import UNITS_HELD
from .patterns import Patterns, leading_orders, mean_power, moments, pair_truncation

# Covers the rounding of these computations themselves.
_SLACK = 1 + 2.0**-40

# High powers of larger sums would overflow.
_FARTHEST = 2.0**10


@dataclasses.dataclass(frozen=True)
class GateError:
    """Bounds of what a gate errs by on `[-1, 1]^n`: truncation over the reals, and rounding."""

    truncation: float
    rounding: float

    @property
    def total(self) -> float:
        return self.truncation + self.rounding


@dataclasses.dataclass(frozen=True, eq=False)
class Gate:
    """Units `f(center + scale * pattern)` whose weighted sum is the product of inputs in `[-1, 1]`.

    Attributes:
        activation: `f`.
        patterns: the patterns.
        taylor: the expansion of `f` about the bias that is stored.
        scale: `h`; each unit sees sums of `h x_i`.
        dtype: the name of the dtype of the weights.
        ordered: whether the units are summed as `SignPatterns` and `SignProduct` do; otherwise in
            any order.
    """

    activation: AbstractActivation
    patterns: Patterns
    taylor: Taylor
    scale: float
    dtype: str
    ordered: bool

    @property
    def u(self) -> float:
        """The unit roundoff of the weights."""
        return unit_roundoff(self.dtype)

    @property
    def tiny(self) -> float:
        """The least normal number: whatever is smaller may be flushed to zero."""
        return float(jnp.finfo(self.dtype).tiny)

    @property
    def center(self) -> float:
        return self.taylor.center

    @property
    def cancels(self) -> bool:
        """Whether orders of the truncation are bounded together, so that signs count.

        In circuits they aren't: there the bound has to grow convexly with the inputs.
        """
        known = len(self.taylor.coefficients) > self.patterns.n + 4
        return self.ordered and self.patterns.kind == "signs" and known

    @cached_property
    def leading(self) -> float:
        """`n! a_n h^n`: what the product is multiplied by before it is divided off."""
        n = self.patterns.n
        return math.factorial(n) * float(self.taylor.coefficients[n]) * self.scale**n

    @property
    def weight(self) -> float:
        """The modulus of the units' weights, with its sign, for inputs of up to 1."""
        return 1 / (self.patterns.repeats * self.leading)

    def error(self, inflation: float = 1.0) -> GateError:
        """Bounds for inputs in `[-inflation, inflation]^n`."""
        return GateError(self.truncation(inflation), self.rounding(inflation))

    def truncation(self, inflation: float = 1.0) -> float:
        """How far the gate is off the product over the reals."""
        if not self.reaches(inflation):
            return math.inf
        n, remainder = self.patterns.n, self.remainder(inflation)
        if self.cancels and n == 2:
            return (pair_truncation(self.pair_coefficients(), inflation) + remainder) * _SLACK
        sizes = np.abs(self.taylor.coefficients) * self._powers(inflation)
        if self.cancels:
            terms = self.taylor.coefficients
            first, second = (terms[n + k] / terms[n] * (self.scale * inflation) ** k for k in (2, 4))
            both = leading_orders(n, float(first), float(second)) * inflation**n
            return (both + float(sizes[n + 5 :].sum()) + remainder) * _SLACK
        sizes[n] = 0.0  # the order n is the product itself
        return (float(sizes.sum()) + remainder) * _SLACK

    def pair_coefficients(self) -> np.ndarray:
        """Of `F` in the error `F(u + v) - F(u - v)` of a gate for two numbers, at even orders."""
        even = self.taylor.coefficients[::2] / (4 * self.taylor.coefficients[2])
        orders = 2 * np.arange(len(even))
        return np.where(orders >= 4, even * self.scale ** (orders - 2.0), 0.0)

    def remainder(self, inflation: float) -> float:
        """What the tail of the series and errors of its coefficients add."""
        reach = self.patterns.n * self.scale * inflation
        tail = self.patterns.mass * self.taylor.tail(reach) / abs(self.leading)
        return float(self.taylor.slack @ self._powers(inflation)) + tail

    def _powers(self, inflation: float) -> np.ndarray:
        """What a coefficient of 1 at each order adds to the result, at most."""
        count = len(self.taylor.coefficients)
        reach = self.patterns.n * self.scale * inflation
        return moments(self.patterns, count) * reach ** np.arange(count) / abs(self.leading)

    def reaches(self, inflation: float) -> bool:
        """Whether the expansion covers inputs of up to `inflation`, and the product shows in it at all."""
        return self.patterns.n * self.scale * inflation < min(self.taylor.radius, _FARTHEST) and self.leading != 0

    def rounding(self, inflation: float = 1.0, *, additions: int | None = None, spread: float = 1.0) -> float:
        """What evaluation in floating point adds, under the claims' model.

        Where inputs are themselves sums, `additions` is how many terms a unit adds in all, and
        `spread` by how much the moduli of the terms exceed the inputs.
        """
        n, u = self.patterns.n, self.u
        if not self.reaches(inflation):
            return math.inf
        reach = n * self.scale * inflation
        evaluation, height, shift = self._per_unit(reach, n if additions is None else additions, spread)
        readout = self._readout(reach, height)
        units = (evaluation + shift + readout) * self.patterns.mass / abs(self.leading)
        # The weights themselves (scales, readout, their product), relative to the result.
        return (units + (n + 4) * u * inflation**n) * _SLACK

    def _per_unit(self, reach: float, terms: int, spread: float) -> tuple[float, float, float]:
        """Rounding of an evaluation, height of the units, and what pre-activations are off by in them."""
        n, u = self.patterns.n, self.u
        if isinstance(self.activation, Square | Power) and self.center == 0:
            # Few units are near the largest: the mean over all patterns counts, largest at a corner.
            height = mean_power(n) * (reach / n) ** n
            shift = growth(terms + 1, u) * spread * n * height + n * reach ** (n - 1) * (terms + 1) * self.tiny
            return 2 * u * self.activation.ulps() * height + n * self.tiny, height, shift
        modulus = abs(self.center) + reach
        # Where the order isn't known, the bias may take part in every addition.
        with_bias = 1 if self.ordered else terms
        off = with_bias * _half_ulp(abs(self.center) + spread * reach, u) + growth(terms + 1, u) * spread * reach
        off += (terms + 1) * self.tiny
        if isinstance(self.activation, Sigmoid) and math.frexp(self.activation.inverse_temperature)[0] != 0.5:
            off += 2 * u * modulus  # rounding of the inverse temperature, and of its product
        shift = off * self.taylor.slope(reach)
        height = self.taylor.height(reach) + shift
        evaluation = evaluation_rounding(self.activation, modulus, height, u)
        if isinstance(self.activation, Custom):
            # Of a user's function more than what its `ulps` allow for may be seen.
            evaluation = max(evaluation, 2 * seen_rounding(self.activation, self.dtype, self.center, reach))
        return evaluation + self.tiny, height, shift

    def _readout(self, reach: float, height: float) -> float:
        """Rounding of the weighted sum, relative to weights that add up to 1."""
        n, u = self.patterns.n, self.u
        if not self.ordered:
            # In any order; terms of both signs balance, so partial sums reach half of all at most.
            share = 1.0 if self.patterns.kind == "subsets" else 0.5
            return growth(self.patterns.units, u) * share * height + u * height + self.tiny
        # Neighbors, which differ by one sign, are subtracted first; where there are many signs, some
        # are run through one after another.
        additions = n if n <= UNITS_HELD else n + 2 ** (n - LEAST_HELD)
        return growth(additions, u) * min(height, self.taylor.slope(reach) * reach / n) + additions * self.tiny


def evaluation_rounding(activation: AbstractActivation, modulus: float, height: float, u: float) -> float:
    """The error of one activation at arguments up to `modulus`, whose values are up to `height`."""
    if isinstance(activation, Custom):
        # An unknown function may cancel: count on nothing better than its argument.
        height = max(height, modulus)
    if isinstance(activation, GELU) and modulus > 0.5:
        return 2 * activation.ulps() * _half_ulp(modulus, u)
    return 2 * activation.ulps() * _half_ulp(height, u)


def _half_ulp(value: float, u: float) -> float:
    """Half the spacing of floats of up to `value`."""
    return math.ldexp(u, math.frexp(value)[1] - 1) if value else 0.0
