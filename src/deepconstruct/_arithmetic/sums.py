"""What sums of products round, in any order, under the rounding model of claims."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..domains.floats import quanta
from ..linear import AbstractLinear, Butterfly, SignPatterns, SignProduct
from ..linear.queries import real_entries
from .rounding import unit_roundoff

_DOUBLE = 2.0**-53
# The entries of larger patterns of signs would fill the memory.
_LARGEST_PATTERNS = 12


@dataclasses.dataclass(frozen=True)
class Weights:
    """The entries of a plain map in double precision without its zeros, row by row.

    Where `sum_first`, a sum is multiplied by its weight, as that of `SignProduct`, else its terms are.
    """

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]
    sum_first: bool

    def times(self, values: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The product of the matrix that has `values` in these places with every row of `columns`."""
        return (self.matrix(values) @ columns.T).T

    def transposed(self) -> "Weights":
        """The entries column by column."""
        order = np.argsort(self.cols, kind="stable")
        shape = (self.shape[1], self.shape[0])
        return Weights(self.cols[order], self.rows[order], self.values[order], shape, self.sum_first)

    def matrix(self, values: np.ndarray) -> Any:
        """The sparse matrix that has `values` in these places."""
        from scipy.sparse import csr_array

        starts = np.searchsorted(self.rows, np.arange(self.shape[0] + 1))
        return csr_array((values, self.cols, starts), shape=self.shape)


def weights_of(linear: AbstractLinear) -> Weights:
    """The entries of a map of one factor.

    Raises:
        TypeError: a map without a rule.
    """
    if isinstance(linear, Butterfly):
        raise TypeError("running bounds don't know how butterflies are merged")
    if isinstance(linear, SignPatterns) and linear.n > _LARGEST_PATTERNS:
        raise TypeError(f"running bounds take patterns of up to {_LARGEST_PATTERNS} signs; got {linear.n}")
    return entries_of(linear)


def entries_of(linear: AbstractLinear) -> Weights:
    """The entries of any map of one factor, however it is run."""
    rows, cols, values = real_entries(linear)
    order = np.argsort(rows, kind="stable")
    rows, cols, values = rows[order], cols[order], values[order]
    return Weights(rows, cols, values, (linear.out_size, linear.in_size), isinstance(linear, SignProduct))


@dataclasses.dataclass(frozen=True)
class Rounded:
    """What the sums of a layer round: `error` of each, the `mass` of its terms and how many `terms` it has.

    Of sums that are `plain`, nothing rounds in double precision either; `step` is the grid of all of them.
    """

    error: np.ndarray
    mass: np.ndarray
    terms: np.ndarray
    plain: np.ndarray
    step: np.ndarray


def rounded_sums(
    weights: Weights,
    moduli: np.ndarray,
    before: np.ndarray,
    bias: np.ndarray,
    dtype: Any,
    *,
    step: np.ndarray | None = None,
    certain: np.ndarray | None = None,
) -> Rounded:
    """Bounds for `W h + b` where floats `h` up to `moduli` are off by `before`: per unit, with `n` non-zero terms,

        error = |W| before + u sum |w| |h| over the terms without a power of two
                + ((1 + u)^(n - 1) - 1) (sum |w| |h| (1 + u) + |b|) + flushed,

    since in any order a term passes through `n - 1` additions at most, and zeros add without rounding. Infinite
    where a partial sum may overflow, and 0 where all partial sums are floats: see `_fitting`.

    Over the reals, unit `j` is a multiple of the power of two `step[j]` (0 where none is known), and of size
    `moduli` where it is `certain`.
    """
    info, u = jnp.finfo(dtype), unit_roundoff(dtype)
    finite = np.all(np.isfinite(moduli) & np.isfinite(before), axis=1, keepdims=True) & np.all(np.isfinite(bias))
    moduli, before = np.where(finite, moduli, 0.0), np.where(finite, before, 0.0)
    certain = np.zeros(moduli.shape, bool) if certain is None else certain
    step = np.zeros(moduli.shape[1]) if step is None else step
    sizes, held = np.abs(weights.values), (moduli > 0).astype(float)
    # A product by a power of two is exact, whichever of its factors is one.
    uneven = np.where(certain & (before == 0) & (np.frexp(moduli)[0] == 0.5), 0.0, moduli)
    with np.errstate(all="ignore"):
        mass = weights.times(sizes, moduli)
        terms = weights.times((sizes != 0).astype(float), held) + (bias != 0)
        inexact = weights.times(np.where(np.frexp(sizes)[0] == 0.5, 0.0, sizes), uneven)
        growth = np.expm1(np.maximum(terms - 1, 0) * u)
        error = weights.times(sizes, before) + u * inexact + growth * (mass + u * inexact + np.abs(bias))
        error = error + _flushed(weights, moduli, held, bias, float(info.tiny))
        # Every sum below has at most `terms` of double precision's roundings, and there are a few more.
        error = error * (1 + 4 * (terms + 16) * _DOUBLE)
        sums = _Sums(moduli, mass, terms, inexact, bias, step, _grid(weights, bias, step))
        ones = np.ones(len(sizes))
        plain = _fitting(weights, sums, jnp.finfo("float64")) & (weights.times(ones, 1.0 * ~certain) == 0)
        exact = _fitting(weights, sums, info) & (weights.times(ones, 1.0 * (before > 0)) == 0)
        error = np.where(exact, 0.0, error)
        largest = mass + np.abs(bias) + error
        if weights.sum_first:
            largest = np.maximum(largest, moduli.sum(axis=1, keepdims=True) * (1 + 2 * growth) * (1 + 2.0**-20))
        known = finite & (exact | ((terms + 1) * u <= 0.25)) & (largest * (1 + 2.0**-20) < float(info.max))
    return Rounded(np.where(known, error, np.inf), mass, terms, plain & known, sums.grid)


def _grid(weights: Weights, bias: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The largest powers of two of which all sums are multiples, and 0 where none is known; infinite for no terms."""
    found = np.where(bias == 0, np.inf, quanta(bias))
    np.minimum.at(found, weights.rows, quanta(weights.values) * step[weights.cols])
    return found


@dataclasses.dataclass(frozen=True)
class _Sums:
    """What is known of sums: the sizes of units and of sums of terms, and the grids of both."""

    moduli: np.ndarray
    mass: np.ndarray
    terms: np.ndarray
    inexact: np.ndarray
    bias: np.ndarray
    step: np.ndarray
    grid: np.ndarray


def _fitting(weights: Weights, sums: _Sums, info: Any) -> np.ndarray:
    """Where all products and partial sums of units without errors are floats of a dtype, and normal or 0.

    They are multiples of the grid, and at most `mass + |b|`; or there is one term, and a power of two in it.
    Numbers that are sums of multiples of the grid, in double precision, are too large to fit where they are rounded.
    """
    least, digits, bias = float(info.tiny), info.nmant + 1, np.abs(sums.bias)
    small = (np.abs(weights.values) < least) | (sums.step[weights.cols] < least)
    normal = (sums.grid >= least) & (np.bincount(weights.rows, small, len(bias)) == 0) & ((bias == 0) | (bias >= least))
    fits = _within(sums.mass + bias, sums.grid, digits)
    if weights.sum_first:  # the sum comes before the weight
        total = sums.moduli.sum(axis=1, keepdims=True)
        return normal & fits & _within(total, sums.step.min(initial=np.inf), digits)
    return normal & (fits | ((sums.terms <= 1) & (sums.inexact == 0)))


def _within(total: np.ndarray, grid: Any, digits: int) -> np.ndarray:
    """Whether multiples of a grid up to a total are floats of so many digits."""
    ratio = np.where(total == 0, 1.0, total / grid)
    return ratio < 2.0**digits if digits >= 53 else ratio <= 2.0**digits


def _flushed(weights: Weights, moduli: np.ndarray, held: np.ndarray, bias: np.ndarray, tiny: float) -> np.ndarray:
    """What is lost below the normal numbers: inputs, weights and biases read as zero, products and sums written so.

    Twice what there is, for what is rounded behind it.
    """
    sizes = np.abs(weights.values)
    steps = 2 * np.maximum(sizes, 1.0) if weights.sum_first else 2.0
    lost = tiny * (weights.times(sizes + steps, held) + 2 * (bias != 0))
    subnormal = (sizes > 0) & (sizes < tiny)
    if np.any(subnormal):
        lost = lost + weights.times(np.where(subnormal, sizes, 0.0), moduli)
    return 2 * lost
