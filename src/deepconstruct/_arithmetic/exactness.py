"""When a network on a finite grid computes without rounding, in any order.

If input `j` of a unit is a multiple of a power of two `q_j` and its weight one of `r_j`, every product
and partial sum is a multiple of `step = min_j q_j r_j`. Where the moduli also sum up to less than
`step 2^p`, with `p` the digits of the dtype, each of them is a float and nothing rounds; where `step` is
a normal number and the moduli don't exceed the largest float, nothing is flushed to zero or overflows.
Every unit has a grid of its own: one that is scaled by a power of two has a scaled one.
"""

import dataclasses
import itertools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._bias import bias_vector
from ..activations import AbstractActivation, Identity, Power, ReLU, Square, Step, groups
from ..domains import AbstractDomain
from ..domains.floats import quanta
from ..linear import AbstractLinear, Butterfly, Composed, DirectSum, SignPatterns, SignProduct, Stack
from ..linear.queries import concrete_entries
from ..network import Layer, Network, flat_layers
from .trust import is_known

_ACTIVATIONS = (Identity, ReLU, Step, Square, Power)
_LARGEST_PATTERNS = 12
_DOUBLE = 53


def is_exact_on(network: Network, domain: AbstractDomain) -> bool:
    """Whether no operation of the network rounds, overflows or is flushed on any vector of the domain.

    The vectors must be floats of the network's dtype themselves. Proved, or `False`.
    """
    return exact_digits(network, domain) is not None


def exact_digits(network: Network, domain: AbstractDomain) -> int | None:
    """How many binary digits the sums of a network need at most, if nothing rounds on the domain; else `None`."""
    found = _grid(domain, network.dtype)
    if found is None or not is_known(network, _ACTIVATIONS):
        return None
    return _digits(flat_layers(network), _units(*found), network.dtype)


def is_exact_after_step(network: Network) -> bool:
    """Whether nothing rounds behind the first layer of step units, whatever the input."""
    if not is_known(network, _ACTIVATIONS):
        return False
    layers = flat_layers(network)
    for index, layer in enumerate(layers):
        if type(layer.activation) is Step:
            bits = _units(np.ones(layer.out_size), np.zeros(layer.out_size), np.ones(layer.out_size))
            return _digits(layers[index + 1 :], bits, network.dtype) is not None
    return False


@dataclasses.dataclass(frozen=True)
class _Units:
    """What the units of a layer hold: multiples of `step` (infinite where only 0 is held) in `[low, high]`.

    While they are summed up, partial sums lie in `[-fall, rise]`, in any order: those are the sums of all
    negative and of all positive terms. Of complex units both parts are such multiples, and
    `high = -low` bounds the sum of their moduli.
    """

    step: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fall: np.ndarray
    rise: np.ndarray

    @property
    def moduli(self) -> np.ndarray:
        """The largest modulus of any partial sum."""
        return np.maximum(self.fall, self.rise)

    def part(self, start: int, stop: int) -> "_Units":
        return _Units(*(getattr(self, field.name)[start:stop] for field in dataclasses.fields(self)))


def _units(step: np.ndarray, low: np.ndarray, high: np.ndarray) -> _Units:
    return _Units(step, low, high, np.maximum(-low, 0), np.maximum(high, 0))


def _joined(parts: list[_Units]) -> _Units:
    names = [field.name for field in dataclasses.fields(_Units)]
    return _Units(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class _Rounds(Exception):
    """A number came up that may not be a float."""


def _digits(layers: tuple[Layer, ...], units: _Units, dtype: Any) -> int | None:
    """Follow the units through the layers."""
    walk = _Walk(dtype)
    try:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            walk.check(units.step, units.moduli, floats=True)
            for layer in layers:
                units = walk.through(layer, units)
            for first, second in itertools.pairwise(layers):
                walk.check_pair(first.linear, second.linear)
    except _Rounds:
        return None
    return walk.digits


class _Walk:
    """The way of units through layers; `digits` is the most that a number needed so far."""

    def __init__(self, dtype: Any):
        info = jnp.finfo(dtype)
        self.precision, self.least, self.most = info.nmant + 1, float(info.tiny), float(info.max)
        self.is_complex = bool(jnp.issubdtype(dtype, jnp.complexfloating))
        self.digits = 1

    def check(self, step: np.ndarray, moduli: np.ndarray, *, floats: np.ndarray | bool = False) -> None:
        """Leave where multiples of `step` up to `moduli` aren't all floats that are normal, or 0.

        Some may be known to be `floats`, as those are that are copied, with a power of two as their factor.
        Moduli are sums in double precision. Where these are rounded they are too large to fit: the first
        number that doesn't fit is one of the grid, and rounding is monotone.
        """
        ratio = np.where((moduli == 0) | floats, 1.0, moduli / step)
        # The least power of two that doesn't fit is a float as well, but in double precision the next number is it too.
        fits = ratio < 2.0**self.precision if self.precision >= _DOUBLE else ratio <= 2.0**self.precision
        if not np.all(fits & (moduli <= self.most) & ((step >= self.least) | (moduli == 0))):
            raise _Rounds
        self.digits = max(self.digits, math.frexp(float(ratio.max(initial=1.0)))[1])

    def check_stored(self, values: np.ndarray) -> None:
        """Leave where a number may be flushed to zero when it is read."""
        if any(np.any((part != 0) & (np.abs(part) < self.least)) for part in _parts(values)):
            raise _Rounds

    def check_pair(self, first: AbstractLinear, second: AbstractLinear) -> None:
        """Leave where the products of the weights of two stages, which may run as one, aren't normal numbers."""
        if isinstance(first, Butterfly) and isinstance(second, Butterfly):
            sizes = [_sizes(concrete_entries(stage)[2]) for stage in (first, second)]
            least, most = (float(np.prod([end(size, initial=1.0) for size in sizes])) for end in (np.min, np.max))
            if least < self.least or most > self.most:
                raise _Rounds

    def through(self, layer: Layer, units: _Units) -> _Units:
        """What the units of a layer hold, from what those before it do."""
        units = self.biased(bias_vector(layer.bias), self.mapped(layer.linear, units))
        parts, start = [], 0
        for activation, width in groups(layer.activation, layer.out_size):
            parts.append(self.active(activation, units.part(start, start + width)))
            start += width
        return _joined(parts)

    def mapped(self, linear: AbstractLinear, units: _Units) -> _Units:
        """A linear map as it is run: factor by factor, part by part."""
        if isinstance(linear, Composed):
            return self.mapped(linear.outer, self.mapped(linear.inner, units))
        if isinstance(linear, Stack):
            return _joined([self.mapped(part, units) for part in linear.parts])
        if isinstance(linear, DirectSum):
            spans = itertools.pairwise([0, *itertools.accumulate(part.in_size for part in linear.parts)])
            parts = zip(linear.parts, spans, strict=True)
            return _joined([self.mapped(part, units.part(*span)) for part, span in parts])
        if isinstance(linear, SignPatterns) and linear.n > _LARGEST_PATTERNS:
            raise _Rounds  # its entries would fill the memory
        if isinstance(linear, SignProduct):  # the sum comes before the weight
            self.check(units.step.min(keepdims=True), np.maximum(-units.low, units.high).sum(keepdims=True))
        return self.summed(*concrete_entries(linear), units, linear.out_size)

    def summed(self, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, units: _Units, size: int) -> _Units:
        """Sums of products of weights and units."""
        self.check_stored(values)
        held = np.maximum(-units.low, units.high)
        kept = held[cols] != 0
        rows, cols, values = rows[kept], cols[kept], values[kept]
        grids, sizes, step = _quanta(values), _sizes(values), np.full(size, np.inf)
        np.minimum.at(step, rows, grids * units.step[cols])
        if self.is_complex:
            mass = np.bincount(rows, sizes * held[cols], size)
            sums = _Units(step, -mass, mass, mass, mass)
        else:
            weights = values.astype(np.float64)
            ends = np.stack([weights * units.low[cols], weights * units.high[cols]])
            low, high = ends.min(axis=0), ends.max(axis=0)
            terms = (low, high, np.maximum(-low, 0), np.maximum(high, 0))
            sums = _Units(step, *(np.bincount(rows, term, size) for term in terms))
        copies = (np.bincount(rows, minlength=size) == 1) & (np.bincount(rows, sizes != grids, size) == 0)
        self.check(step, sums.moduli, floats=copies)
        return sums

    def biased(self, bias: Any, units: _Units) -> _Units:
        """The sums with the biases, which may be added to them at any place."""
        if bias is None:
            return units
        values = np.asarray(bias)
        self.check_stored(values)
        step = np.minimum(units.step, _quanta(values))
        if self.is_complex:
            mass = units.rise + _sizes(values)
            sums = _Units(step, -mass, mass, mass, mass)
        else:
            values = values.astype(np.float64)
            fall, rise = units.fall + np.maximum(-values, 0), units.rise + np.maximum(values, 0)
            sums = _Units(step, units.low + values, units.high + values, fall, rise)
        self.check(step, sums.moduli, floats=values == 0)
        return sums

    def active(self, activation: AbstractActivation, units: _Units) -> _Units:
        """What units hold behind their activation."""
        step, low, high = units.step, units.low, units.high
        if self.is_complex and isinstance(activation, Step | ReLU):
            raise _Rounds  # complex numbers have no order
        if isinstance(activation, Step):
            return _units(np.ones_like(step), (low > 0).astype(float), (high > 0).astype(float))
        if isinstance(activation, ReLU):
            return _units(step, np.maximum(low, 0), np.maximum(high, 0))
        if isinstance(activation, Square | Power):
            power = activation.n if isinstance(activation, Power) else 2
            # The powers between the first and the last lie between them.
            step, most = step**power, np.maximum(-low, high) ** power
            self.check(step, most)
            return _units(step, -most if power % 2 or self.is_complex else np.zeros_like(most), most)
        return _units(step, low, high)


def _grid(domain: AbstractDomain, dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Step, lowest and highest value of every coordinate, if all vectors are floats of `dtype`; else `None`."""
    steps = domain.steps() if domain.fits(dtype) else np.zeros(1)
    return (steps, *domain.box()) if np.all(steps > 0) else None


def _parts(values: np.ndarray) -> list[np.ndarray]:
    """Real and imaginary parts, in double precision."""
    if np.iscomplexobj(values):
        return [np.real(values).astype(np.float64), np.imag(values).astype(np.float64)]
    return [values.astype(np.float64)]


def _sizes(values: np.ndarray) -> np.ndarray:
    """The moduli; of complex numbers the sum of those of both parts."""
    return sum((np.abs(part) for part in _parts(values)), start=np.zeros(values.shape))


def _quanta(values: np.ndarray) -> np.ndarray:
    """The largest powers of two of which the values are multiples (of which both parts are); infinite for 0."""
    return np.minimum.reduce([quanta(part) for part in _parts(values)])
