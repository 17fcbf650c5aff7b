"""Parity in AND and OR gates of a given depth.

The wires are cut into blocks of `m`, whose parities are the wires of the next level. A block is a
disjunctive normal form (AND gates below an OR) or a conjunctive one (OR gates below an AND), in
turn, so that the outer gate of a block is of the type of the inner gates above it and is merged
into them. Both polarities of every wire are kept: only the inputs need negated literals.
"""

import dataclasses
import itertools
from typing import Any

import numpy as np

from ..._arithmetic.rounding import holds_grid, unit_roundoff
from ..._checks import check_dtype, check_size, digits
from ..._static import to_jax
from ...activations import Identity, Step
from ...construction import Blocks, Built, Claim, Construction, Robustness, builder
from ...construction.entry import Entry, formula
from ...domains import Bits
from ...linear import Dense, Sparse
from ...network import Label, Layer, Network
from ...targets import Parity

_LARGEST = 2**20
_WIDEST = 32


@builder
def parity_bounded_depth(n: int, depth: int, *, dtype: Any = None) -> Construction:
    """The parity of `n` bits by AND and OR gates in `depth` levels.

    Args:
        n: the number of bits, at least 1.
        depth: levels of gates, the output gate included; from 2 to `1 + ceil(log2 n)` (2 for
            `n <= 2`).
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, 1)` of step units. Its last gate is a linear
        readout, since at most one of the gates below it differs from the rest.

    Raises:
        ValueError: `n` below 1, a depth outside that range, more than 2^20 gates, or gates with more
            inputs than the dtype counts.
        TypeError: `n` or `depth` isn't an integer.

    *Exactness*: exact on all `2^n` inputs, bit for bit; inputs off by less than `1 / (2 m)` change
    nothing.

    *Cost*: with `K = depth - 1` and `m = ceil(n^(1/K))`, for `n = m^K`:
    `sum_{l<K} (n / m^l) 2^m + 2^(m-1) + 1` gates, about `(n / m) 2^(n^(1/K))`. The output gate is
    the readout, so `Cost.depth = depth - 1` and `Cost.neurons` is one less than the gates.

    *Source*: the classical circuit; Ruderman's slides quote the bound `Omega(2^(n^(1/depth)))`,
    and this construction has the exponent `1 / (depth - 1)`.

    Example:
        >>> import deepconstruct as dc
        >>> cost = dc.cost(dc.parity_bounded_depth(16, 3))
        >>> cost.neurons + 1, cost.synapses
        (73, 520)
    """
    n = check_size("parity_bounded_depth", "n", n)
    depth = check_size("parity_bounded_depth", "depth", depth, minimum=2)
    deepest = _deepest(n)
    if depth > deepest:
        raise ValueError(
            f"parity_bounded_depth: depth must be at most {deepest} for n={digits(n)}; got {digits(depth)}"
        )
    resolved = check_dtype("parity_bounded_depth", dtype)
    size = _block_size(n, depth - 1)
    if n * 2**size > _LARGEST * size:
        raise ValueError(
            f"parity_bounded_depth: n={digits(n)} in depth {depth} needs {'about' if size < _WIDEST else 'more than'} "
            f"{digits(n // size)} * 2^{size} gates; use a larger depth"
        )
    _check_fan_in(n, depth, resolved)
    origin = Built(plan=Blocks(_blocks(n, depth - 1, size)))
    return Construction(Network(_layers(n, depth - 1, size, resolved)), _claim(n, size, resolved), origin)


def _deepest(n: int) -> int:
    return max(1 + (n - 1).bit_length(), 2)


def _check_fan_in(n: int, depth: int, dtype: np.dtype) -> None:
    if holds_grid(dtype, 0.5, _fan_in(n, depth)):
        return
    deeper = [d for d in range(depth + 1, (n - 1).bit_length() + 2) if holds_grid(dtype, 0.5, _fan_in(n, d))]
    ways = ["dtype='float32'", *(f"depth={d}" for d in deeper[:1])]
    raise ValueError(
        f"parity_bounded_depth: gates of n={n} in depth {depth} have up to {_fan_in(n, depth)} inputs, more than "
        f"{dtype.name} counts; use {', or '.join(ways)}"
    )


def _fan_in(n: int, depth: int) -> int:
    """At most: a block's wires, of `2^(size - 1)` gates each behind the first level."""
    size = _block_size(n, depth - 1)
    return size * 2 ** (size - 1) if depth > 2 else size


def _block_size(n: int, levels: int) -> int:
    """The least `m` with `m^levels >= n`, looked for up to where blocks have too many gates anyway."""
    size = 1
    while size**levels < n and size < _WIDEST:
        size += 1
    return size


def _blocks(n: int, levels: int, size: int) -> tuple[tuple[int, ...], ...]:
    """The sizes of the blocks of every level: the last one has what is left."""
    found, wires = [], n
    for _ in range(levels):
        found.append(tuple(min(size, wires - start) for start in range(0, wires, size)))
        wires = len(found[-1])
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class _Literals:
    """Both polarities of a level's wires: `units[wire][bit]` are the gates below whose OR (or AND)
    says that the wire has the value `bit`; a negative number `~i` is the negated input `i`.
    """

    units: list[tuple[list[int], list[int]]]
    width: int


def _layers(n: int, levels: int, size: int, dtype: np.dtype) -> tuple[Layer, ...]:
    literals = _Literals([([~i], [i]) for i in range(n)], n)
    layers = []
    for level in range(levels):
        conjunctive = level % 2 == 1
        layer, literals = _level(literals, size, conjunctive, level == levels - 1, dtype)
        layers.append(layer)
    # The parity is the OR of disjoint ANDs, or the AND of ORs of which at most one is false.
    conjunctive = levels % 2 == 0
    chosen = literals.units[0][1]
    bias = to_jax(np.array([1.0 - len(chosen)]), dtype) if conjunctive else None
    row = np.zeros((1, literals.width))
    row[0, chosen] = 1
    layers.append(Layer(Dense(to_jax(row, dtype)), bias, Identity(), Label("readout")))
    return tuple(layers)


def _level(literals: _Literals, size: int, conjunctive: bool, last: bool, dtype: np.dtype) -> tuple[Layer, _Literals]:
    """The inner gates of all blocks of one level, and the literals of the blocks' parities."""
    gates: list[list[int]] = []
    parities = []
    for start in range(0, len(literals.units), size):
        block = literals.units[start : start + size]
        by_bit: tuple[list[int], list[int]] = ([], [])
        for assignment in range(2 ** len(block)):
            bits = [(assignment >> i) & 1 for i in range(len(block))]
            # An OR gate is false at one assignment only, so the parity is `b` where all gates of
            # assignments of the other parity are true.
            serves = (sum(bits) + conjunctive) % 2
            if last and serves == 0:
                continue
            by_bit[serves].append(len(gates))
            gates.append([unit for i, bit in enumerate(bits) for unit in block[i][bit ^ conjunctive]])
        parities.append(by_bit)
    layer = _gate_layer(gates, literals.width, conjunctive, dtype)
    return layer, _Literals(parities, len(gates))


def _gate_layer(gates: list[list[int]], width: int, is_or: bool, dtype: np.dtype) -> Layer:
    rows = np.repeat(np.arange(len(gates)), [len(gate) for gate in gates])
    units = np.concatenate([np.asarray(gate) for gate in gates])
    negated = units < 0
    cols, values = np.where(negated, ~units, units), np.where(negated, -1.0, 1.0)
    negations = np.bincount(rows, negated, len(gates))
    fan_in = np.bincount(rows, minlength=len(gates))
    biases = negations - (0.5 if is_or else fan_in - 0.5)
    linear = Sparse(rows, cols, to_jax(values, dtype), (len(gates), width))
    return Layer(linear, to_jax(biases, dtype), Step(), Label("or" if is_or else "and"))


def _claim(n: int, size: int, dtype: np.dtype) -> Claim:
    return Claim(
        target=Parity(n),
        domain=Bits(n),
        codomain=Bits(1),
        robustness=Robustness(max(1 / (2 * size) - 4 * size * unit_roundoff(dtype), 0.0)),
        dtype=dtype.name,
        source="classical AND/OR circuit; Ruderman's slides",
    )


def _synapses(n: int, depth: int) -> int:
    """A block of `b` wires has `2^b` gates, half of them at the last level, each of which sees one polarity of
    every wire: one unit of an input, and `2^(c-1)` of a block of `c`.
    """
    blocks = _blocks(n, depth - 1, _block_size(n, depth - 1))
    total, seen = 0, iter([1] * n)
    for level, sizes in enumerate(blocks):
        half = level == len(blocks) - 1
        total += sum(2 ** (block - half) * sum(itertools.islice(seen, block)) for block in sizes)
        seen = iter([2 ** (block - 1) for block in sizes])
    return total + next(seen)


_FORMULA = formula(
    "n 2^m + m 4^(m-1) + 2^(m-1) for n = m^2 in depth 3",
    _synapses,
    where="depths from 2 to 1 + ceil(log2 n)",
    holds=lambda n, depth: 2 <= depth <= _deepest(n),
)

ENTRIES = (
    Entry(
        "parity_bounded_depth", "parity of n bits, AND/OR gates in a given depth", parity_bounded_depth,
        {"n": 16, "depth": 3},
        ({"n": 4, "depth": 3}, {"n": 5, "depth": 3}, {"n": 8, "depth": 4}, {"n": 9, "depth": 3}), _FORMULA,
    ),
)  # fmt: skip
