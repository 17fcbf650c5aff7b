"""Where parts of a composition meet: what merged joints multiply, how stages are run, whether values stay inside."""

from fractions import Fraction

import numpy as np

from .._arithmetic.intervals import bias_array
from ..construction import Claim
from ..domains import AbstractDomain, Box, Product
from ..domains.floats import quanta
from ..linear import Butterfly, DirectSum, SignProduct, Stack
from ..linear.composed import matches
from ..linear.operator import AbstractLinear
from ..linear.queries import concrete_entries
from ..network import UNITS_HELD, Layer, Network, Repeat, block_layers, flat_layers, plan
from .asked import asked
from .monomials import Budget, Unknown, value_range

_MOST_PRODUCTS = 2**22
_MOST_INTEGERS = 2**16
_DOUBLE = 2.0**53

# Rows, columns and values.
_Entries = tuple[np.ndarray, np.ndarray, np.ndarray]


# What merged joints multiply -----------------------------------------------------------------------


def multiplies_exactly(readout: Layer | Repeat, behind: Layer | Repeat, merged: Layer | Repeat) -> bool:
    """Whether weights and biases of a merged layer are the exact ones; `False` where that isn't known.

    Those are `W V` and `W c + b` for a readout `V, c` and what stands behind it, `W, b`: with a column for the
    biases, one product of matrices.
    """
    if not (isinstance(readout, Layer) and isinstance(behind, Layer) and isinstance(merged, Layer)):
        return False
    size, count = readout.in_size, readout.out_size
    left, right, found = _with_column(behind, count), _with_column(readout, size), _with_column(merged, size)
    if any(np.iscomplexobj(part[2]) for part in (left, right, found)):
        return False
    rows, cols, values = right
    right = np.append(rows, count), np.append(cols, size), np.append(values, 1.0)
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
    if len(first) > _MOST_PRODUCTS or not len(first) or not len(found[2]):
        return not len(first) and not len(found[2])
    steps = [float(quanta(part[2]).min()) for part in (left, right)]
    with np.errstate(over="ignore"):
        a, b = (part[2] / step for part, step in zip((left, right), steps, strict=True))
    if not (np.all(np.isfinite(a)) and np.all(np.isfinite(b))):
        return False
    places = left[0][first] * width + right[1][second]
    where, segment = np.unique(places, return_inverse=True)
    terms = int(np.bincount(segment).max())
    if float(np.abs(a).max()) * float(np.abs(b).max()) * terms < _DOUBLE:
        sums = np.bincount(segment, a[first] * b[second])
    elif len(first) <= _MOST_INTEGERS:
        sums = np.zeros(len(where), object)
        np.add.at(sums, segment, _integers(a[first]) * _integers(b[second]))
    else:
        return False
    return _same(dict(zip(where.tolist(), sums.tolist(), strict=True)), found, width, steps)


def _integers(values: np.ndarray) -> np.ndarray:
    return np.array([int(value) for value in values.tolist()], object)


def _same(sums: dict[int, float], found: _Entries, width: int, steps: list[float]) -> bool:
    """Whether the entries found are these sums times both steps; what isn't found is 0."""
    step = Fraction(steps[0]) * Fraction(steps[1])
    rows, cols, values = found
    stored = dict(zip((rows * width + cols).tolist(), values.tolist(), strict=True))
    return all(Fraction(sums.get(place, 0)) * step == Fraction(stored.get(place, 0)) for place in sums.keys() | stored)


# How stages are run --------------------------------------------------------------------------------


def count_layers(network: Network) -> int:
    """How many layers are run, repeated blocks unrolled."""
    return sum(part.times * len(part.layers) if isinstance(part, Repeat) else 1 for part in network.layers)


def may_pair(network: Network) -> bool:
    """Whether some of a network may be run two layers at a time: stages, and large product gates."""
    return any(_pairs_up(layer.linear) for layer in block_layers(network.layers))


def _pairs_up(linear: AbstractLinear) -> bool:
    if isinstance(linear, DirectSum | Stack):
        return any(map(_pairs_up, linear.parts))
    return isinstance(linear, Butterfly) or (isinstance(linear, SignProduct) and linear.n > UNITS_HELD)


def pairs(network: Network) -> set[int]:
    """Which layers run as one with the next, repeated blocks unrolled."""
    layers = flat_layers(network)
    stored, found, index = {id(layer) for layer in layers}, set(), 0
    for step in plan(layers):
        if id(step) in stored:
            index += 1
        else:
            found.add(index)
            index += 2
    return found


# Whether values stay inside ------------------------------------------------------------------------


def stays_inside(claim: Claim, domain: AbstractDomain) -> bool:
    """Whether a proof of a claim also shows that the target's values lie in a domain that holds its codomain.

    Methods of proof look at the codomain, but may leave the faces of a box the room of their own rounding: then
    the ranges of polynomials are looked at again, without any.
    """
    if domain.is_space or not _has_faces(claim.codomain):
        return True
    try:
        wanted = asked(claim, Budget())
    except Unknown:
        return False
    low, high = claim.codomain.box()
    ends = [value_range(poly, wanted.low, wanted.high) for poly in wanted.outputs]
    return not wanted.classes and all(
        bottom <= least and most <= top
        for (least, most), bottom, top in zip(ends, low.tolist(), high.tolist(), strict=True)
    )


def _has_faces(domain: AbstractDomain) -> bool:
    return any(map(_has_faces, domain.domains)) if type(domain) is Product else isinstance(domain, Box)
