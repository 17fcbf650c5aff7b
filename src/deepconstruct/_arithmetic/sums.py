"""What sums of products round, in any order, under the rounding model of claims."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..linear import AbstractLinear, Butterfly, SignPatterns, SignProduct
from ..linear.queries import concrete_entries
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
        from scipy.sparse import csr_array

        starts = np.searchsorted(self.rows, np.arange(self.shape[0] + 1))
        return (csr_array((values, self.cols, starts), shape=self.shape) @ columns.T).T


def weights_of(linear: AbstractLinear) -> Weights:
    """The entries of a map of one factor.

    Raises:
        TypeError: a map without a rule.
    """
    if isinstance(linear, Butterfly):
        raise TypeError("running bounds don't know how butterflies are merged")
    if isinstance(linear, SignPatterns) and linear.n > _LARGEST_PATTERNS:
        raise TypeError(f"running bounds take patterns of up to {_LARGEST_PATTERNS} signs; got {linear.n}")
    rows, cols, stored = concrete_entries(linear)
    order = np.argsort(rows, kind="stable")
    rows, cols, values = rows[order], cols[order], stored[order].astype(np.float64)
    return Weights(rows, cols, values, (linear.out_size, linear.in_size), isinstance(linear, SignProduct))


@dataclasses.dataclass(frozen=True)
class Rounded:
    """What the sums of a layer round: `error` of each, the `mass` of its terms and how many `terms` it has."""

    error: np.ndarray
    mass: np.ndarray
    terms: np.ndarray


def rounded_sums(weights: Weights, moduli: np.ndarray, before: np.ndarray, bias: np.ndarray, dtype: Any) -> Rounded:
    """Bounds for `W h + b` where floats `h` up to `moduli` are off by `before`: per unit, with `n` non-zero terms,

        error = |W| before + u sum |w| |h| over the w that aren't powers of two
                + ((1 + u)^(n - 1) - 1) (sum |w| |h| (1 + u) + |b|) + flushed,

    since in any order a term passes through `n - 1` additions at most, and zeros add without rounding. Infinite
    where a partial sum may overflow.
    """
    info, u = jnp.finfo(dtype), unit_roundoff(dtype)
    tiny, most = float(info.tiny), float(info.max)
    finite = np.all(np.isfinite(moduli) & np.isfinite(before), axis=1, keepdims=True) & np.all(np.isfinite(bias))
    moduli, before = np.where(finite, moduli, 0.0), np.where(finite, before, 0.0)
    sizes, held = np.abs(weights.values), (moduli > 0).astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        mass = weights.times(sizes, moduli)
        terms = weights.times((sizes != 0).astype(float), held) + (bias != 0)
        inexact = weights.times(np.where(np.frexp(sizes)[0] == 0.5, 0.0, sizes), moduli)
        growth = np.expm1(np.maximum(terms - 1, 0) * u)
        error = weights.times(sizes, before) + u * inexact + growth * (mass + u * inexact + np.abs(bias))
        error = error + _flushed(weights, moduli, held, bias, tiny)
        # Every sum below has at most `terms` of double precision's roundings, and there are a few more.
        error = error * (1 + 4 * (terms + 16) * _DOUBLE)
        largest = mass + np.abs(bias) + error
        if weights.sum_first:
            largest = np.maximum(largest, moduli.sum(axis=1, keepdims=True) * (1 + 2 * growth) * (1 + 2.0**-20))
        known = finite & ((terms + 1) * u <= 0.25) & (largest * (1 + 2.0**-20) < most)
    return Rounded(np.where(known, error, np.inf), mass, terms)


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
