"""How far one hidden layer, as it runs, is off itself over the reals, under the rounding model of claims.

With `h(V) = u 2^floor(log2 V)`, half the distance of floats up to `V`, a unit `f(b + w x)` errs by

    slope dz + ulps ulp(height),    dz = (terms - 1) additions of h(R) + one of h(|b| + R) + products + flushed,

where `R = sum |w_i x_i|`. In any order every addition may hold the bias: all are then of `h(|b| + R)`. Units are
read by sums in any order, whose partial sums are at most the larger one of what is positive and what is negative,
or in pairs, where each level adds `h` of the differences that it makes.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import are_powers_of_two, unit_roundoff
from ...activations import GELU, AbstractActivation, Identity, Sigmoid
from .balls import degree, ranges

# More than the few roundings of the sums below in double precision, which have at most 2^20 terms.
UP = 1 + 2.0**-30


@dataclasses.dataclass(frozen=True)
class Held:
    """Numbers over the reals lie in `[low, high]`; as floats they are off by at most `error`."""

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray

    @property
    def moduli(self) -> np.ndarray:
        """The largest moduli of the floats."""
        return np.maximum(-self.low, self.high) + self.error

    def part(self, start: int, stop: int) -> "Held":
        return Held(self.low[start:stop], self.high[start:stop], self.error[start:stop])


def joined(parts: Sequence[Held]) -> Held:
    """Several of them, one after another."""
    names = [field.name for field in dataclasses.fields(Held)]
    return Held(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclasses.dataclass(frozen=True)
class Format:
    """What the rounding model needs of a dtype."""

    u: float
    tiny: float
    most: float

    @classmethod
    def of(cls, dtype: Any) -> "Format":
        info = jnp.finfo(dtype)
        return cls(unit_roundoff(dtype), float(info.tiny), float(info.max))

    def half(self, moduli: Any) -> np.ndarray:
        """Half the distance of floats of up to these moduli; infinite beyond the largest float."""
        moduli = np.asarray(moduli, float)
        fits = moduli < self.most
        step = self.u * np.ldexp(1.0, np.frexp(np.where(fits, moduli, 1.0))[1] - 1)
        return np.where(fits, np.where(moduli > 0, np.maximum(step, self.tiny * self.u), 0.0), np.inf)

    def lost(self, weights: np.ndarray, moduli: np.ndarray) -> np.ndarray:
        """What products with weights below the normal numbers may be off by: these may be flushed to zero."""
        return np.where(np.abs(weights) < self.tiny, np.abs(weights) * moduli, 0.0)


@dataclasses.dataclass(frozen=True)
class Cell:
    """The box of all `|x_i - center_i| <= half_i`."""

    center: np.ndarray
    half: np.ndarray

    @property
    def moduli(self) -> np.ndarray:
        """The largest moduli."""
        return (np.abs(self.center) + self.half) * (1 + 2.0**-52)


@dataclasses.dataclass(frozen=True)
class Sums:
    """Pre-activations: over the reals in `[low, high]`, as floats off by at most `error`."""

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray

    def part(self, start: int, stop: int) -> "Sums":
        return Sums(self.low[start:stop], self.high[start:stop], self.error[start:stop])


def pre_activations(weights: np.ndarray, biases: np.ndarray, cell: Cell, form: Format, in_order: bool) -> Sums:
    """`b + w x` for floats of a cell, added up in any order, or in that of the inputs and the bias last."""
    sizes, used = np.abs(weights) * cell.moduli, weights != 0
    terms = used.sum(axis=1)
    grown = 1 + 2 * (terms + 2) * form.u  # what was rounded before is rounded again
    # Products may be lost to underflow here, too.
    whole = (np.abs(biases) + sizes.sum(axis=1) + terms * 2.0**-1070) * UP
    rounded, has_bias = form.half(whole * grown), biases != 0
    if in_order:
        partial = np.cumsum(sizes, axis=1) * grown[:, None] * UP + 2.0**-1060
        adds = used & (np.cumsum(used, axis=1) > 1)
        sums = np.where(adds, form.half(partial), 0.0).sum(axis=1) + np.where(has_bias, rounded, 0.0)
    else:
        sums = np.maximum(terms - 1 + has_bias, 0) * rounded
    error = (sums + products(weights, cell, form)) * UP
    error = np.where((whole + error < form.most) & ((terms + 2) * form.u <= 0.25), error, np.inf)
    middle, slack = biases + weights @ cell.center, whole * 2.0**-50 * (1 + weights.shape[1])
    reach = (np.abs(weights) @ cell.half) * UP + slack
    return Sums(middle - reach, middle + reach, error)


def products(weights: np.ndarray, cell: Cell, form: Format) -> np.ndarray:
    """What the products of units with their inputs round, and all that may be flushed to zero.

    Inputs, weights, biases, products and sums below the least normal number may be flushed.
    """
    sizes, moduli = np.abs(weights), cell.moduli
    rounded = form.u * (np.where(are_powers_of_two(weights), 0.0, sizes) @ moduli)
    flushed = form.lost(weights, moduli).sum(axis=1) + form.tiny * (
        sizes.sum(axis=1) + 2 * (weights != 0).sum(axis=1) + 2
    )
    return rounded + flushed


def activated(activations: Sequence[AbstractActivation], sums: Sums, form: Format) -> Held:
    """Units behind their activations."""
    columns = (part.tolist() for part in (sums.low, sums.high, sums.error))
    rows = [_unit(kind, low, high, error, form) for kind, low, high, error in zip(activations, *columns, strict=True)]
    low, high, error = (np.array(column) for column in zip(*rows, strict=True))
    return Held(low, high, np.where(np.maximum(-low, high) + error < form.most, error, np.inf))


def _unit(activation: AbstractActivation, low: float, high: float, off: float, form: Format) -> tuple[float, ...]:
    if isinstance(activation, Identity):
        return low, high, off
    modulus, scale = max(-low, high) + off, getattr(activation, "inverse_temperature", 1.0)
    if not form.tiny <= scale <= form.most or not scale * modulus < form.most:
        return -math.inf, math.inf, math.inf
    if isinstance(activation, Sigmoid) and not are_powers_of_two(scale):
        off += 2 * form.u * (1 + form.u) * modulus  # the inverse temperature, and its product
    # Rounded outwards: these are sums of two floats.
    wide = off * UP + modulus * 2.0**-52
    found = ranges(activation, low - wide, high + wide)
    error = found.slopes[1] * off + _evaluation(activation, modulus * UP, found.height, form)
    return found.low, found.high, error * UP


def _evaluation(activation: AbstractActivation, modulus: float, height: float, form: Format) -> float:
    """The error of one activation at floats up to `modulus`, with values up to `height`."""
    power = degree(activation)
    if power is not None:  # so many products, each of which may be flushed
        relative = math.expm1((power - 1) * math.log1p(form.u)) * UP
        return relative * height + 2 * power * form.tiny * max(modulus, 1.0) ** power
    if isinstance(activation, GELU) and modulus > 0.5:
        height = max(height, modulus)  # whose units are those of z there
    return 2 * activation.ulps() * float(form.half(height)) + 2 * form.tiny


def summed(weights: np.ndarray, constant: float, held: Held, form: Format) -> tuple[float, float, float]:
    """`(low, high, error)` of `constant + sum_k w_k h_k` in any order."""
    moduli = held.moduli
    sizes = np.abs(weights) * moduli
    terms = int((weights != 0).sum()) + (constant != 0)
    ends = np.sort(np.stack([weights * held.low, weights * held.high]), axis=0)
    passed = np.abs(weights) @ held.error
    # Any partial sum, as floats add it up.
    rise, fall = (
        np.maximum(end, 0).sum() + max(part, 0.0) for end, part in ((ends[1], constant), (-ends[0], -constant))
    )
    largest = (max(rise, fall) + passed) * (1 + 2 * (terms + 1) * form.u) * UP
    products = form.u * np.where(are_powers_of_two(weights), 0.0, sizes).sum()
    error = (passed + products) * (1 + 2 * terms * form.u) + max(terms - 1, 0) * float(form.half(largest))
    error += form.lost(weights, moduli).sum() + form.tiny * (np.abs(weights).sum() + 2 * terms + 2)
    slack = (sizes.sum() + abs(constant)) * 2.0**-30
    return float(ends[0].sum() + constant - slack), float(ends[1].sum() + constant + slack), float(error * UP)


def halved(weight: float, held: Held, differences: np.ndarray, form: Format) -> tuple[float, float, float]:
    """`(low, high, error)` of `weight` times the sum of units with the product of the signs, by halving.

    `differences[l]` bounds the moduli over the reals of what the first `l + 1` levels make (infinite if unknown).
    """
    bound, error = np.maximum(-held.low, held.high), held.error
    for known in differences:
        half = len(bound) // 2
        bound = np.minimum(bound[:half] + bound[half:], known)
        error = error[:half] + error[half:]
        error = (error + form.half((bound + error) * UP) + form.tiny) * UP
    size, off = float(bound[0]), float(error[0])
    scaled = abs(weight) * (size + off) * UP
    rounded = 0.0 if are_powers_of_two(weight) else float(form.half(scaled))
    rounded += 2 * form.tiny + float(form.lost(np.array(weight), np.array(size + off)))
    end = abs(weight) * size * UP
    return -end, end, (abs(weight) * off + rounded) * UP if scaled < form.most else math.inf


def mixed_differences(
    activations: Sequence[AbstractActivation], weights: np.ndarray, biases: np.ndarray, cell: Cell, sums: Sums
) -> np.ndarray:
    """Bounds of repeated differences of units that stand as the corners of a box, from the last axis on.

    If halving takes off the same vector `d` everywhere, `l` levels make a mixed difference, which is at most
    `|f^(l)|` times the product of the `|d x|`.
    """
    levels = len(weights).bit_length() - 1
    unknown = np.full(levels, np.inf)
    if any(activation != activations[0] for activation in activations) or np.any(biases != biases[0]):
        return unknown
    slopes = ranges(activations[0], float(sums.low.min()), float(sums.high.max()), levels).slopes
    table, size, found = weights, 1.0, []
    for level in range(levels):
        half = len(table) // 2
        steps = table[:half] - table[half:]
        if np.any(steps != steps[0]):
            return np.concatenate([found, unknown[level:]])
        size *= float((np.abs(steps[0]) * cell.moduli).sum()) * UP
        found.append(size * slopes[level + 1] * UP)
        table = table[:half]
    return np.array(found)
