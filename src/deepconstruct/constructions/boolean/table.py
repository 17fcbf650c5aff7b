"""One hidden layer of ANDs for a table, and a bound of its errors."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.exactness import is_exact_on
from ..._arithmetic.logistic import logistic
from ..._arithmetic.rounding import gamma, unit_roundoff
from ..._checks import check_choice
from ...activations import Identity, ReLU, Sigmoid
from ...domains import Bits
from ...linear import Dense, Sparse
from ...linear.signs import bit_table
from ...network import Label, Layer, Network
from ..gates.accuracy import Accuracy
from .conjunction import Conjunction

# Up to this many bits the errors of sigmoid units are added up input by input.
_ENUMERATED = 10

_UP = 1 + 2.0**-20


@dataclasses.dataclass(frozen=True)
class Terms:
    """ANDs with their weights: `constant + weights @ ands(x)`.

    Attributes:
        signs: shape `(units, n)`: 1 where a bit must be set, -1 where it must not, 0 where it
            doesn't matter.
        weights: shape `(outputs, units)`.
        constant: shape `(outputs,)`.
    """

    signs: np.ndarray
    weights: np.ndarray
    constant: np.ndarray

    @property
    def mass(self) -> float:
        """The largest sum of moduli of the weights of an output."""
        return float(np.abs(self.weights).sum(axis=1).max(initial=0.0))


def terms_of(owner: str, table: np.ndarray, basis: str) -> Terms:
    """The ANDs of a table in the basis that was asked for."""
    check_choice(owner, "basis", basis, ("moebius", "minterm"))
    return moebius_terms(table) if basis == "moebius" else minterm_terms(table)


def moebius_terms(table: np.ndarray) -> Terms:
    """One AND for each non-empty set of bits with a non-zero coefficient."""
    n = len(table).bit_length() - 1
    coefficients = moebius(table)
    sets = bit_table(n)
    kept = np.any(coefficients != 0, axis=1) & np.any(sets, axis=1)
    return Terms(sets[kept], coefficients[kept].T, coefficients[0])


def minterm_terms(table: np.ndarray) -> Terms:
    """One AND for each input with a non-zero value."""
    n = len(table).bit_length() - 1
    kept = np.any(table != 0, axis=1)
    return Terms((2 * bit_table(n) - 1)[kept], table[kept].T, np.zeros(table.shape[1]))


def moebius(table: np.ndarray) -> np.ndarray:
    """`h_S = sum_{T subset S} (-1)^(|S| - |T|) f(T)`, by `n 2^(n-1)` subtractions a column."""
    values = np.array(table, np.float64)
    step = 1
    while step < len(values):
        blocks = values.reshape(-1, 2, step, values.shape[1])
        blocks[:, 1] -= blocks[:, 0]
        step *= 2
    return values


def network(terms: Terms, unit: Conjunction, dtype: Any) -> Network:
    """The hidden layer of ANDs, and the readout."""
    rows, cols = np.nonzero(terms.signs)
    signs = terms.signs[rows, cols].astype(float)
    needed = (terms.signs > 0).sum(axis=1)
    hidden = Sparse(rows, cols, jnp.asarray(signs, dtype), terms.signs.shape)
    constant = jnp.asarray(terms.constant, dtype) if np.any(terms.constant) else None
    return Network(
        (
            Layer(hidden, jnp.asarray(unit.slack - needed, dtype), unit.activation, Label("and")),
            Layer(Dense(jnp.asarray(terms.weights, dtype)), constant, Identity(), Label("readout")),
        )
    )


def accuracy(terms: Terms, unit: Conjunction, net: Network, table: np.ndarray) -> Accuracy:
    """Errors on bits, and off them."""
    n, u = terms.signs.shape[1], unit_roundoff(net.dtype)
    sizes, fan = np.abs(terms.weights), np.abs(terms.signs).sum(axis=1)
    whole = float((sizes.sum(axis=1) + np.abs(terms.constant)).max())
    error = _error(terms, unit, u, exact=_is_stored(terms, net) and is_exact_on(net, Bits(n)))
    if isinstance(unit.activation, ReLU):
        gain = float((sizes @ fan).max()) if np.all(terms.signs >= 0) else _neighbors(table, n)
        off = gamma(n + 2, u) * (2 * n + 2) * terms.mass + gamma(len(terms.signs) + 2, u) * 3 * whole
        return Accuracy(error, 1 / n, gain * _UP, off)
    radius = 1 / (4 * n)
    off = gamma(len(terms.signs) + 2, u) * 2 * whole
    if isinstance(unit.activation, Sigmoid):
        # Each unit errs convexly in what its sum is off by, up to half of the slope.
        rise = np.array([unit.error(k * radius) - unit.error() for k in fan])
        off += unit.activation.inverse_temperature / 4 * gamma(n + 3, u) * (2 * n + 2) * terms.mass
        return Accuracy(error, radius, float((sizes @ rise).max(initial=0.0)) / radius * _UP, off)
    return Accuracy(error, radius, 0.0, 0.0)


def _error(terms: Terms, unit: Conjunction, u: float, *, exact: bool) -> float:
    """Truncation and rounding on bits: input by input where these are few."""
    n = terms.signs.shape[1]
    if n > _ENUMERATED or not len(terms.signs):
        summed = float((np.abs(terms.weights).sum(axis=1) + np.abs(terms.constant)).max())
        rounding = 0.0 if exact else gamma(len(terms.signs) + 2, u) * summed
        return (unit.error() + unit.rounding(u)) * terms.mass + rounding * _UP
    needed = (terms.signs > 0).sum(axis=1)
    worst = 0.0
    for bits in np.array_split(bit_table(n), max(1, len(terms.signs) // 64)):
        sums = bits @ terms.signs.T.astype(float) - needed
        worst = max(worst, float(_errors(sums, terms, unit, u, exact=exact).max()))
    return worst * _UP + 2.0**-50 * unit.error() * terms.mass


def _errors(sums: np.ndarray, terms: Terms, unit: Conjunction, u: float, *, exact: bool) -> np.ndarray:
    """The error of every output for inputs at which the units see `sums` (0 where they are active)."""
    active = sums >= 0
    truncation, heights, count = 0.0, active.astype(float), active.sum(axis=1, keepdims=True)
    if isinstance(unit.activation, Sigmoid):
        # 1 - S(z) = S(-z): the error of a unit to full relative precision, whichever side it is on.
        off = logistic(-unit.activation.inverse_temperature * np.abs(sums + 0.5))
        truncation = np.abs(np.where(active, -off, off) @ terms.weights.T)
        heights, count = np.where(active, 1.0, off), len(terms.weights.T)
    elif exact:
        return np.zeros(1)
    # Units that are 0 add nothing, and so no rounding.
    moduli = heights @ np.abs(terms.weights).T
    roundings = (np.asarray(count) + 2) * u / (1 - (np.asarray(count) + 2) * u)
    return truncation + unit.rounding(u) * moduli + roundings * (moduli + np.abs(terms.constant))


def _is_stored(terms: Terms, net: Network) -> bool:
    """Whether the weights of the readout are floats of the dtype."""
    kind = np.float64 if net.dtype == np.float64 else np.float32
    if net.dtype not in (np.float32, np.float64):
        return False
    return all(np.array_equal(values.astype(kind), values) for values in (terms.weights, terms.constant))


def _neighbors(table: np.ndarray, n: int) -> float:
    """Near a vertex only its own unit and those of its `n` neighbors are active."""
    sizes = np.abs(table)
    index = np.arange(len(table))
    total = sizes + sum(sizes[index ^ (1 << i)] for i in range(n))
    return float(n * total.max())


def majority(n: int) -> np.ndarray:
    """The table of the majority of `n` bits, an example; a tie is 0."""
    return (2 * np.bitwise_count(np.arange(2**n, dtype=np.uint64)) > n).astype(float)
