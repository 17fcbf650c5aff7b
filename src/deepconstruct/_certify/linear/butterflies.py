"""Fast Fourier transforms stage by stage, without their matrix.

For `n = 2^L` the transform is `F = B_L ... B_1 P`, a theorem of Cooley and Tukey, with the bit reversal `P` and

    B_s = I_{n / 2^s} (x) [[I, D], [I, -D]],   D = diag(w^0, ..., w^(2^(s-1) - 1)),  w = exp(-2 pi i / 2^s),

each `sqrt(2)` times a unitary matrix. A network of `L` maps `W_s` is compared with these factors, each scaled by a
power of `sqrt(2)`. With `d_s = |W_s - c_s B_s| / (c_s sqrt(2))` in the 2-norm

    |W_L ... W_1 - F| <= |F| (prod_s (1 + d_s) - 1),

and all singular values of `F` are the same. Where the entries of `W_s` lie decides whether it is such a network, so
a permutation that it has absorbed is checked to be the bit reversal.
"""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from ..._arithmetic.rounding import block_norm
from ...linear import AbstractLinear
from ...linear.butterfly import bit_reversal
from ...linear.queries import concrete_entries
from ...network import Network, flat_layers
from ...network.queries import layer_sequence
from ...targets import DFT, AbstractTarget, Realified
from .roots import PAIR_SLACK, roots


@dataclasses.dataclass(frozen=True)
class Stages:
    """What a network of stages is off a transform.

    Attributes:
        difference: bounds `|W - F| / |F|` in the 2-norm, over the reals.
        suspects: inputs, those first in which most of it shows.
    """

    difference: float
    suspects: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class _Entries:
    """Entries of a matrix that aren't 0, row by row; `low` is to be added to `values`."""

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    low: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, low: np.ndarray) -> "_Entries":
        kept = np.flatnonzero(values)
        kept = kept[np.lexsort((cols[kept], rows[kept]))]
        return cls(rows[kept], cols[kept], values[kept], low[kept])

    def is_like(self, other: "_Entries") -> bool:
        return np.array_equal(self.rows, other.rows) and np.array_equal(self.cols, other.cols)


def transform_of(target: AbstractTarget) -> DFT | None:
    """The transform that a target is, maybe in real numbers; `None` if it is none of a power of two from 2."""
    found = target.target if type(target) is Realified else target
    return found if type(found) is DFT and found.n > 1 and found.n & (found.n - 1) == 0 else None


def has_stages(network: Network, target: AbstractTarget) -> bool:
    """Whether a network looks like the stages of a target's transform, as far as sizes tell."""
    transform, layers, size = transform_of(target), layer_sequence(network), network.in_size
    if transform is None or len(layers) != transform.n.bit_length() - 1:
        return False
    return all(layer.linear.in_size == layer.linear.out_size == size for layer in layers)


def read_stages(network: Network, target: AbstractTarget) -> Stages | None:
    """Compare the maps of a network with the factors of a transform; `None` where their entries lie elsewhere."""
    transform = transform_of(target)
    assert transform is not None
    maps, differences, powers, growth = [], [], 0, 0.0
    for s, layer in enumerate(flat_layers(network), start=1):
        stored = _stored(layer.linear)
        power = _power(stored)
        factor = None if power is None else _factor(transform, s, power, real=type(target) is Realified)
        if power is None or factor is None or not stored.is_like(factor):
            return None
        difference = (stored.values - factor.values) - factor.low
        growth += math.log1p(_share(stored, difference, power, network.in_size))
        maps.append(stored)
        differences.append(difference)
        powers += power
    if powers != _power_of(transform):
        return None
    suspects = np.argsort(-_shown(maps, differences, network.in_size), kind="stable")
    return Stages(math.expm1(growth * (1 + 2.0**-48)) * (1 + 2.0**-48), suspects)


def _stored(linear: AbstractLinear) -> _Entries:
    rows, cols, values = concrete_entries(linear)
    double = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
    return _Entries.of(rows, cols, double, np.zeros(len(double)))


def _power(stored: _Entries) -> int | None:
    """The power of `sqrt(2)` by which a stage is scaled, by the norm of its first row."""
    norm = float(np.linalg.norm(stored.values[stored.rows == 0]))
    return round(2 * math.log2(norm)) - 1 if 2.0**-500 < norm < 2.0**500 else None


def _power_of(transform: DFT) -> int:
    """The power of `sqrt(2)` by which a transform is scaled."""
    stages = transform.n.bit_length() - 1
    if transform.norm == "ortho":
        return -stages
    return -2 * stages if (transform.norm == "backward") == transform.inverse else 0


def _factor(transform: DFT, s: int, power: int, *, real: bool) -> _Entries:
    """`c_s B_s`, the first with its columns permuted; in real numbers it is `[[Re, -Im], [Im, Re]]`."""
    n, half = transform.n, 2 ** (s - 1)
    scale = 2.0 ** ((power + power % 2) // 2)
    tables = [part * scale for part in roots(2 * half, halved=power % 2 == 1)]
    if not transform.inverse:
        tables = [part.conj() for part in tables]
    block, place = np.divmod(np.arange(n), 2 * half)
    is_lower, inner = np.divmod(place, half)
    first = 2 * half * block + inner
    cols = np.concatenate([first, first + half])
    if s == 1:
        cols = bit_reversal(n)[cols]
    # A root and its negative are half a turn apart.
    index = np.concatenate([np.zeros(n, int), inner + half * is_lower])
    rows, (values, low) = np.tile(np.arange(n), 2), (table[index] for table in tables)
    return _Entries.of(*_realified(n, rows, cols, values, low)) if real else _Entries.of(rows, cols, values, low)


def _realified(n: int, rows: np.ndarray, cols: np.ndarray, values: np.ndarray, low: np.ndarray) -> Iterator[np.ndarray]:
    yield np.concatenate([rows, rows, rows + n, rows + n])
    yield np.concatenate([cols, cols + n, cols, cols + n])
    for part in (values, low):
        real, imag = np.real(part), np.imag(part)
        yield np.concatenate([real, -imag, imag, real])


def _share(stored: _Entries, difference: np.ndarray, power: int, size: int) -> float:
    """`|W_s - c_s B_s| / (c_s sqrt(2))`, from above.

    The difference is rounded twice, by a share of itself. What pairs of doubles leave is up to `PAIR_SLACK c_s`
    in each part, of which a row and a column have at most four.
    """
    found = block_norm(stored.rows, stored.cols, difference, (size, size)) * (1 + 2.0**-48)
    return (found / 2.0 ** (power / 2) / math.sqrt(2) + 4 * PAIR_SLACK) * (1 + 2.0**-48)


def _shown(maps: list[_Entries], differences: list[np.ndarray], size: int) -> np.ndarray:
    """Bounds of what all differences make of every input, summed up over the outputs."""
    shown = np.zeros(size)
    for stored, difference in zip(reversed(maps), reversed(differences), strict=True):
        terms = shown[stored.rows] * np.abs(stored.values) + np.abs(difference)
        shown = np.bincount(stored.cols, terms, size)
    return shown
