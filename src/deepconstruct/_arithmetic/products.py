"""Whether the weights of two layers that become one are multiplied without rounding."""

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..domains.floats import quanta
from ..linear.composed import matches
from ..linear.queries import concrete_entries
from ..network import Layer, Repeat
from .intervals import bias_array

# Up to so many products are made one by one.
_MOST_PRODUCTS = 2**18
_MOST_INTEGERS = 2**15
_DOUBLE = 2.0**53

# Rows, columns and values.
_Entries = tuple[np.ndarray, np.ndarray, np.ndarray]


def multiplies_exactly(readout: Layer | Repeat, behind: Layer | Repeat, merged: Layer | Repeat) -> bool:
    """Whether weights and biases of a merged layer are the exact ones; `False` where that isn't known.

    Those are `W V` and `W c + b` for a readout `V, c` and what stands behind it, `W, b`: with a column for the
    biases, one product of matrices. Of very many it is only asked whether any could round.
    """
    if not (isinstance(readout, Layer) and isinstance(behind, Layer) and isinstance(merged, Layer)):
        return False
    size, count = readout.in_size, readout.out_size
    left, right, found = _with_column(behind, count), _with_column(readout, size), _with_column(merged, size)
    if any(np.iscomplexobj(part[2]) or not np.isfinite(part[2]).all() for part in (left, right, found)):
        return False
    rows, cols, values = right
    right = np.append(rows, count), np.append(cols, size), np.append(values, 1.0)
    per_wire = np.bincount(left[1], minlength=count + 1) * np.bincount(right[0], minlength=count + 1)
    if per_wire.sum() > _MOST_PRODUCTS:
        return _cannot_round(left, right, merged.linear.entries()[2].dtype)
    return _is_product(left, right, found, size + 1)


def _with_column(layer: Layer, column: int) -> _Entries:
    """The weights of a layer that aren't 0, with its biases as one more column."""
    rows, cols, values = concrete_entries(layer.linear)
    biases = bias_array(layer)
    kind = np.complex128 if np.iscomplexobj(values) or np.iscomplexobj(biases) else np.float64
    rows = np.concatenate([rows, np.arange(len(biases))]).astype(np.int64)
    cols = np.concatenate([cols, np.full(len(biases), column)]).astype(np.int64)
    values = np.concatenate([values.astype(kind), biases.astype(kind)])
    kept = values != 0
    return rows[kept], cols[kept], values[kept]


def _is_product(left: _Entries, right: _Entries, found: _Entries, width: int) -> bool:
    """Whether `found` is the product of two matrices, in integers: multiples of the grids of both."""
    first, second = matches(left[1], right[0])
    if not len(first) or not len(found[2]):
        return not len(first) and not len(found[2])
    (a, b), step = _on_grids(left[2], right[2])
    where, segment = np.unique(left[0][first] * width + right[1][second], return_inverse=True)
    with np.errstate(over="ignore"):
        is_small = a.max() * b.max() * np.bincount(segment).max() < _DOUBLE
    if is_small:
        signs = np.sign(left[2])[first] * np.sign(right[2])[second]
        sums = np.bincount(segment, signs * a[first] * b[second])
    elif len(first) <= _MOST_INTEGERS and np.all(np.isfinite(a)) and np.all(np.isfinite(b)):
        sums = np.zeros(len(where), object)
        np.add.at(sums, segment, _integers(left[2][first] / step[0]) * _integers(right[2][second] / step[1]))
    else:
        return False
    places, kept = found[0] * width + found[1], sums != 0
    order = np.argsort(places)
    if not np.array_equal(places[order], where[kept]):
        return False
    pairs, scale = (
        zip(sums[kept].tolist(), found[2][order].tolist(), strict=True),
        Fraction(step[0]) * Fraction(step[1]),
    )
    return all(Fraction(total) * scale == Fraction(value) for total, value in pairs)


def _on_grids(*parts: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """The moduli of numbers as multiples of their grids, maybe infinite, and the steps of these."""
    steps = [float(quanta(part).min()) for part in parts]
    with np.errstate(over="ignore"):
        return [np.abs(part) / step for part, step in zip(parts, steps, strict=True)], steps


def _cannot_round(left: _Entries, right: _Entries, dtype: Any) -> bool:
    """Whether no product of the two matrices can round, in any order, by the largest of their entries."""
    if not len(left[2]) or not len(right[2]):
        return True
    (a, b), (first, second) = _on_grids(left[2], right[2])
    info, terms = jnp.finfo(dtype), min(int(np.bincount(left[0]).max()), int(np.bincount(right[1]).max()))
    most = float(a.max()) * float(b.max()) * terms
    fits = most <= 2.0 ** (info.nmant + 1) if info.nmant < 52 else most < _DOUBLE
    return fits and first * second >= float(info.tiny) and most * first * second <= float(info.max)


def _integers(values: np.ndarray) -> np.ndarray:
    return np.array([int(value) for value in values.tolist()], object)
