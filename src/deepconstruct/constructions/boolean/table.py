"""One hidden layer of ANDs for a table, and a bound of its errors."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.exactness import is_exact_on
from ..._arithmetic.logistic import logistic
from ..._arithmetic.rounding import growth, holds_grid, unit_roundoff
from ..._checks import check_choice
from ..._static import to_jax
from ...activations import Identity, ReLU, Sigmoid
from ...construction import Robustness
from ...domains import Bits
from ...linear import Dense, Sparse
from ...linear.signs import bit_table
from ...network import Label, Layer, Network
from .conjunction import Conjunction

# Up to this many bits the errors of sigmoid units are added up input by input.
_ENUMERATED = 10

_UP = 1 + 2.0**-20

# Bounds are computed in double precision, too.
_LARGEST = 1e300


@dataclasses.dataclass(frozen=True)
class Terms:
    """ANDs with their weights: `constant + weights @ ands(x)`.

    Attributes:
        signs: shape `(units, n)`: 1 where a bit must be set, -1 where it must not, 0 where it
            doesn't matter.
        weights: shape `(outputs, units)`.
        constant: shape `(outputs,)`.
        is_exact: whether in double precision these sums are the table itself, bit for bit.
    """

    signs: np.ndarray
    weights: np.ndarray
    constant: np.ndarray
    is_exact: bool = True

    @property
    def mass(self) -> float:
        """The largest sum of moduli of the weights of an output."""
        with np.errstate(over="ignore"):
            return float(np.abs(self.weights).sum(axis=1).max(initial=0.0))

    @property
    def one_at_a_time(self) -> bool:
        """Whether on bits one unit at most is active (and beside them `n + 1`)."""
        return bool(np.any(self.signs < 0)) or not len(self.signs)

    def fits(self, dtype: Any, *, moved: bool = False) -> bool:
        """Whether partial sums stay within the range of a dtype in any order, on bits or beside them."""
        largest = min(float(jnp.finfo(dtype).max), _LARGEST)
        return self.largest_sum * ((self.signs.shape[1] + 2) if moved else 1) <= largest

    @property
    def largest_sum(self) -> float:
        """What partial sums of an output reach on bits, in any order."""
        if self.one_at_a_time:
            return float(np.abs(self.weights).max(initial=0.0))
        with np.errstate(over="ignore"):
            return 1.25 * (self.mass + float(np.abs(self.constant).max()))  # rounding included


def terms_of(owner: str, table: np.ndarray, basis: str) -> Terms:
    """The ANDs of a table in the basis that was asked for."""
    check_choice(owner, "basis", basis, ("moebius", "minterm"))
    return moebius_terms(table) if basis == "moebius" else minterm_terms(table)


def moebius_terms(table: np.ndarray) -> Terms:
    """One AND for each non-empty set of bits with a non-zero coefficient."""
    n = len(table).bit_length() - 1
    with np.errstate(over="ignore", invalid="ignore"):
        coefficients = moebius(table)
        is_exact = np.array_equal(zeta(coefficients), table)
    sets = bit_table(n)
    kept = np.any(coefficients != 0, axis=1) & np.any(sets, axis=1)
    return Terms(sets[kept], coefficients[kept].T, coefficients[0], is_exact)


def minterm_terms(table: np.ndarray) -> Terms:
    """One AND for each input with a non-zero value."""
    n = len(table).bit_length() - 1
    kept = np.any(table != 0, axis=1)
    return Terms((2 * bit_table(n) - 1)[kept], table[kept].T, np.zeros(table.shape[1]))


def moebius(table: np.ndarray) -> np.ndarray:
    """`h_S = sum_{T subset S} (-1)^(|S| - |T|) f(T)`, by `n 2^(n-1)` subtractions a column."""
    return _butterflies(table, np.subtract)


def zeta(coefficients: np.ndarray) -> np.ndarray:
    """`f(T) = sum_{S subset T} h_S`, the inverse."""
    return _butterflies(coefficients, np.add)


def _butterflies(table: np.ndarray, combine: np.ufunc) -> np.ndarray:
    values = np.array(table, np.float64)
    step = 1
    while step < len(values):
        blocks = values.reshape(-1, 2, step, values.shape[1])
        blocks[:, 1] = combine(blocks[:, 1], blocks[:, 0])
        step *= 2
    return values


def check_range(owner: str, terms: Terms, table: np.ndarray, dtype: np.dtype) -> None:
    """Refuse tables whose sums leave the range of the dtype, or whose ANDs it can't count."""
    n = terms.signs.shape[1]
    if not holds_grid(dtype, 0.5, n + 1.0):
        raise ValueError(f"{owner}: {dtype.name} can't count {n} bits; use dtype='float32'")
    if terms.fits(dtype):
        return
    ways = ["scale the table down"]
    if not terms.one_at_a_time and minterm_terms(table).fits(dtype):
        ways.append("use basis='minterm'")
    if dtype != np.float64 and terms.fits("float64"):
        ways.append("use dtype='float64'")
    raise ValueError(
        f"{owner}: sums of up to {terms.largest_sum:.3g} leave the range of {dtype.name}; {', or '.join(ways)}"
    )


def network(terms: Terms, unit: Conjunction, dtype: Any) -> Network:
    """The hidden layer of ANDs, and the readout."""
    rows, cols = np.nonzero(terms.signs)
    signs = terms.signs[rows, cols].astype(float)
    needed = (terms.signs > 0).sum(axis=1)
    hidden = Sparse(rows, cols, to_jax(signs, dtype), terms.signs.shape)
    constant = to_jax(terms.constant, dtype) if np.any(terms.constant) else None
    return Network(
        (
            Layer(hidden, to_jax(unit.slack - needed, dtype), unit.activation, Label("and")),
            Layer(Dense(to_jax(terms.weights, dtype)), constant, Identity(), Label("readout")),
        )
    )


def errors(terms: Terms, unit: Conjunction, net: Network, table: np.ndarray) -> tuple[float, Robustness]:
    """Errors on bits (infinite where sums are too long for the dtype), and off them."""
    n, u = terms.signs.shape[1], unit_roundoff(net.dtype)
    sizes, fan = np.abs(terms.weights), np.abs(terms.signs).sum(axis=1)
    whole = float((sizes.sum(axis=1) + np.abs(terms.constant)).max())
    rounds = _rounding(net.dtype)
    exact = terms.is_exact and _is_stored(terms, net) and is_exact_on(net, Bits(n))
    error = error_bound(terms, unit, net.dtype, exact=exact)
    summing, counting = growth(len(terms.signs) + 2, u), growth(n + 3, u)
    lost = rounds.flushed(len(terms.signs)) + rounds.tiny * (n + 4) * terms.mass
    if not math.isfinite(summing + counting) or not terms.fits(net.dtype, moved=True):
        return error, Robustness()
    if isinstance(unit.activation, ReLU):
        gain = float((sizes @ fan).max()) if np.all(terms.signs >= 0) else _neighbors(table, n)
        off = counting * (2 * n + 2) * terms.mass + summing * 3 * whole + lost
        return error, Robustness(1 / n, gain * _UP, off)
    radius = 1 / (4 * n)
    if isinstance(unit.activation, Sigmoid):
        # Each unit errs convexly in what its sum is off by, up to half of the slope.
        rise = np.array([unit.error(k * radius) - unit.error() for k in fan])
        off = summing * 2 * whole + unit.activation.inverse_temperature / 4 * counting * (2 * n + 2) * terms.mass + lost
        return error, Robustness(radius, float((sizes @ rise).max(initial=0.0)) / radius * _UP, off)
    # A step tells its sums apart while they are off by less than 1/4 and rounding by less than the rest.
    return error, Robustness(radius if counting * (2 * n + 2) < 0.25 else 0.0)


@dataclasses.dataclass(frozen=True)
class Rounding:
    """The unit roundoff of a dtype, and its least normal number, below which results may be flushed to zero."""

    u: float
    tiny: float

    def flushed(self, terms: Any) -> Any:
        """What a sum of so many products loses: each weight, each product and each partial sum."""
        return self.tiny * (3 * np.asarray(terms) + 2)


def _rounding(dtype: Any) -> Rounding:
    return Rounding(unit_roundoff(dtype), float(jnp.finfo(dtype).tiny))


def error_bound(terms: Terms, unit: Conjunction, dtype: Any, *, exact: bool = False) -> float:
    """Truncation and rounding on bits: input by input where these are few; `exact` says that sums don't round."""
    rounds = _rounding(dtype)
    n, u = terms.signs.shape[1], rounds.u
    if n > _ENUMERATED or not len(terms.signs):
        summed, count = float((np.abs(terms.weights).sum(axis=1) + np.abs(terms.constant)).max()), len(terms.signs)
        rounding = 0.0 if exact else growth(count + _roundings(terms) + 2, u) * summed + rounds.flushed(count)
        return (unit.error() + _unit_rounding(unit, rounds)) * terms.mass + rounding * _UP
    needed = (terms.signs > 0).sum(axis=1)
    worst = 0.0
    for bits in np.array_split(bit_table(n), max(1, len(terms.signs) // 64)):
        sums = bits @ terms.signs.T.astype(float) - needed
        worst = max(worst, float(_errors(sums, terms, unit, rounds, exact=exact).max()))
    return worst * _UP + 2.0**-50 * unit.error() * terms.mass


def _unit_rounding(unit: Conjunction, rounds: Rounding) -> float:
    return unit.rounding(rounds.u) + (rounds.tiny if isinstance(unit.activation, Sigmoid) else 0.0)


def _errors(sums: np.ndarray, terms: Terms, unit: Conjunction, rounds: Rounding, *, exact: bool) -> np.ndarray:
    """The error of every output for inputs at which the units see `sums` (0 where they are active)."""
    active = sums >= 0
    truncation, heights, count = 0.0, active.astype(float), active.sum(axis=1, keepdims=True)
    if isinstance(unit.activation, Sigmoid):
        # 1 - S(z) = S(-z): the error of a unit to full relative precision, whichever side it is on.
        off = logistic(-unit.activation.inverse_temperature * np.abs(sums + 0.5))
        truncation = np.abs(np.where(active, -off, off) @ terms.weights.T)
        heights, count = np.where(active, 1.0, off), len(terms.weights.T)
        # Units are rounded relative to themselves, or flushed.
        truncation = truncation + rounds.tiny * np.abs(terms.weights).sum(axis=1)
    elif exact:
        return np.zeros(1)
    # Units that are 0 add nothing, and so no rounding. The Moebius coefficients were rounded themselves.
    moduli = heights @ np.abs(terms.weights).T
    rounding = growth(np.asarray(count) + _roundings(terms) + 2, rounds.u) * (moduli + np.abs(terms.constant))
    return truncation + unit.rounding(rounds.u) * moduli + rounding + rounds.flushed(count)


def _roundings(terms: Terms) -> int:
    """How many roundings of double precision the weights went through."""
    return 0 if terms.is_exact else terms.signs.shape[1]


def _is_stored(terms: Terms, net: Network) -> bool:
    """Whether the weights of the readout are floats of the dtype."""
    with np.errstate(over="ignore"):
        return all(
            np.array_equal(part.astype(net.dtype).astype(float), part) for part in (terms.weights, terms.constant)
        )


def _neighbors(table: np.ndarray, n: int) -> float:
    """Near a vertex only its own unit and those of its `n` neighbors are active."""
    sizes = np.abs(table)
    index = np.arange(len(table))
    total = sizes + sum(sizes[index ^ (1 << i)] for i in range(n))
    return float(n * total.max())


def majority(n: int) -> np.ndarray:
    """The table of the majority of `n` bits, an example; a tie is 0."""
    return (2 * np.bitwise_count(np.arange(2**n, dtype=np.uint64)) > n).astype(float)
