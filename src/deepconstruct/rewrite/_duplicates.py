"""Units that are the same up to a factor."""

from collections.abc import Hashable
from fractions import Fraction
from typing import Any

from .._arithmetic.rounding import is_power_of_two
from .._checks import check_flag
from ._core import Rows
from ._dead import drop_unused
from ._draft import Draft, real_network, result
from ._moves import Moves, express
from ._ranges import degree
from ._scales import may_be_negative, scales_of


def merge_duplicates(network: Any, *, rounded: bool = False) -> Any:
    """The same function with units that are multiples of each other made one.

    Units of one activation whose weights and biases agree up to a power of two (of identities, squares and powers up
    to a sign, too; where an activation lets no factor through, exactly) give the same up to a factor: the weights
    behind them are summed up. Units behind which all sums are 0 are dropped.

    Args:
        network: a `Network`, or a `Construction`, of real weights.
        rounded: whether units may be merged that agree up to any factor, and weights rounded whose sums aren't
            numbers of the dtype. By default such units stay apart.

    Returns:
        The same kind. Repeated blocks are unrolled if anything changes; maps keep their class where they can. Of a
        construction, only units are merged after which nothing rounds otherwise if the claim couldn't be kept with
        more.

    Raises:
        ValueError: weights that aren't finite.
        TypeError: neither a network nor a construction, a stack of networks, or complex weights.

    Exactness: the same function of real numbers, everywhere, unless `rounded`. What the running network may round
        otherwise is added to a claim.

    Cost: neurons and synapses never grow.

    Example:
        >>> import deepconstruct as dc
        >>> net = dc.Network.from_matrices([[[1], [2]], [[1, 1]]], [[1, 2], None], "relu")
        >>> dc.rewrite.merge_duplicates(net).layers[1].linear.weight.tolist()
        [[1.5]]
    """
    check_flag("merge_duplicates", "rounded", rounded)
    source = real_network("merge_duplicates", network)

    def change(draft: Draft) -> None:
        changed = True
        while changed:
            changed = False
            for index in draft.hidden():
                changed |= merge_equal(draft, index, rounded=rounded and not draft.careful)
            for index in reversed(draft.hidden()):
                changed |= drop_unused(draft, index)

    rule = "merge_duplicates(rounded=True)" if rounded else "merge_duplicates"
    return result(rule, network, source, change, exact=not rounded)


def merge_equal(draft: Draft, index: int, *, rounded: bool = False) -> bool:
    """Merge units of a layer that agree up to a power of two; if weights may be `rounded`, up to any factor."""
    units = draft.pair(index)[0]
    groups: dict[Hashable, list[tuple[int, Fraction]]] = {}
    for unit, (scale, key) in enumerate(_keys(units, any_factor=rounded)):
        groups.setdefault(key, []).append((unit, scale))
    moves, clean = Moves(units.out_size), True
    for members in groups.values():
        kept, largest = max(members, key=lambda member: abs(member[1]))  # of which least is flushed to zero
        for unit, scale in members:
            if unit != kept:
                power = degree(units.activations[unit])
                moves.add(unit, kept, 1 if power is None else (scale / largest) ** power)
                clean &= is_power_of_two(scale / largest)
    return express(draft, index, moves, clean=clean, rounded=rounded)


def _keys(units: Rows, *, any_factor: bool) -> list[tuple[Fraction, Hashable]]:
    """For every unit a scale, and what it is without it."""
    found: list[tuple[Fraction, Hashable]] = []
    scales = scales_of(units)
    for unit, (cols, values) in enumerate(units.parts()):
        kind, scale = units.activations[unit], Fraction(scales[unit])
        if any_factor and len(values) and degree(kind) is not None:
            first = Fraction(float(values[0]))
            scale = first if may_be_negative(kind) else abs(first)
        numbers = tuple(Fraction(value) / scale for value in [*values.tolist(), float(units.bias[unit])])
        found.append((scale, (kind, tuple(cols.tolist()), numbers)))
    return found
