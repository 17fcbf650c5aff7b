"""Units that are constant on a domain, those that nothing uses, and those without a kink there."""

from fractions import Fraction
from typing import Any

import numpy as np

from ..activations import AbstractActivation, Identity, ReLU, Step
from ..construction import Construction
from ..domains import AbstractDomain
from ..network import Network
from ._core import Rows, fits
from ._draft import Draft, real_network, result
from ._moves import Moves, express, nearest
from ._ranges import Ends, behind, degree, everything, real_sums, running_sums
from ._scales import scales_of


def prune_dead(network: Any, *, domain: AbstractDomain | None = None) -> Any:
    """The same function on a domain, without units that are constant there, or always active.

    Interval bounds over all layers show it: a ReLU whose sum is never positive gives 0, a step unit is always on or
    always off, units without weights are constant, and those that no other unit weighs are of no use. Constants go
    into the biases behind. ReLUs that are always active are linear: of those of one direction, one is left, from
    which the others differ by a constant. A layer keeps a unit, if only an empty one.

    All bounds are about the domain's box, widened by the radius of the claim.

    Args:
        network: a `Network`, or a `Construction`, of real weights.
        domain: where the function of a `Network` is kept. A construction has the domain of its claim.

    Returns:
        The same kind. Repeated blocks are unrolled if anything changes; maps keep their class where they can.
        Units stay where a weight or a bias behind them wouldn't be a number of the dtype. Of a construction, only
        what is dead in the running network is dropped if the claim couldn't be kept otherwise.

    Raises:
        ValueError: a network without a domain, a domain of another size, one beside that of a claim, or weights that
            aren't finite.
        TypeError: neither a network nor a construction, a stack of networks, complex weights or a complex domain.

    Exactness: the same function of real numbers on the domain's box, widened. The running network may round
        otherwise; what that may add is added to a claim.

    Cost: neurons and synapses never grow.

    Example:
        >>> import deepconstruct as dc
        >>> net = dc.Network.from_matrices([[[1], [-1]], [[1, 1]]], [[0, -1], None], "relu")
        >>> dc.cost(dc.rewrite.prune_dead(net, domain=dc.domains.Box(1, 0, 1))).neurons
        1
    """
    source = real_network("prune_dead", network)
    if not isinstance(network, Construction) and domain is None:
        raise ValueError(
            "prune_dead: a Network needs domain=, where its function is to be kept; got none. "
            "dc.domains.Space(n) keeps it everywhere"
        )
    box = box_of("prune_dead", network, source, domain)

    def change(draft: Draft) -> None:
        drop_in_running(draft, box)
        while not draft.careful and _pass(draft, box):
            pass

    return result("prune_dead", network, source, change)


def box_of(rule: str, given: Any, network: Network, domain: Any) -> Ends:
    """The box in which the function is to be kept, rounded outward: of a claim, with all that its radius allows.

    Without a domain, it is everything.
    """
    radius = 0.0
    if isinstance(given, Construction):
        if domain is not None:
            raise ValueError(f"{rule}: a construction has the domain of its claim; give its .network with another one")
        domain, radius = given.claim.domain, given.claim.robustness.radius
    if domain is None:
        return everything(network.in_size)
    if not isinstance(domain, AbstractDomain):
        raise TypeError(f"{rule}: domain must be one of dc.domains; got {domain!r}")
    if domain.size != network.in_size:
        raise ValueError(f"{rule}: the network takes {network.in_size} numbers; got a domain of {domain.size}")
    if domain.is_complex:
        raise TypeError(f"{rule}: the domain must be real; got {domain}")
    low, high = domain.box()
    if not radius:
        return low, high
    return np.nextafter(low - radius, -np.inf), np.nextafter(high + radius, np.inf)


def drop_in_running(draft: Draft, box: Ends) -> None:
    """Drop what is constant in the given network as it runs, and what isn't used: nothing rounds otherwise then.

    It is the first step: bounds are those of the units as they were given.
    """
    found = running_sums(draft.given, box, draft.network.dtype)
    for index in draft.hidden():
        drop_constant(draft, index, found[index], clean=True)
    for index in reversed(draft.hidden()):
        drop_unused(draft, index)


def _pass(draft: Draft, box: Ends) -> bool:
    """Drop and merge layer by layer; whether anything changed."""
    changed, held, hidden = False, box, set(draft.hidden())
    for index in range(len(draft.rows)):
        if index in hidden:
            changed |= drop_dead(draft, index, held)
            changed |= merge_active(draft, index, held)
        held = held_behind(draft, index, held)
    for index in reversed(draft.hidden()):
        changed |= drop_unused(draft, index)
    return changed


def held_behind(draft: Draft, index: int, held: Ends) -> Ends:
    """What the units of a layer can be, from what those before it can."""
    rows = draft.rows[index]
    return everything(draft.given[index].out_size) if rows is None else behind(rows, real_sums(rows, held))


def drop_unused(draft: Draft, index: int) -> bool:
    """Drop units that nothing behind them weighs."""
    units, after = draft.pair(index)
    moves = Moves(units.out_size)
    for unit in np.flatnonzero(np.bincount(after.cols, minlength=units.out_size) == 0).tolist():
        moves.add(unit, -1, 0)
    return express(draft, index, moves, clean=True)


def drop_dead(draft: Draft, index: int, held: Ends) -> bool:
    """Drop units that are constant over the reals, for units before them in a box."""
    changed = drop_constant(draft, index, None, clean=True)
    if draft.careful:
        return changed
    return drop_constant(draft, index, real_sums(draft.pair(index)[0], held), clean=False) or changed


def drop_constant(draft: Draft, index: int, sums: Ends | None, *, clean: bool) -> bool:
    """Drop units without weights, and those that are constant where their sums lie between these ends."""
    units = draft.pair(index)[0]
    low, high = everything(units.out_size) if sums is None else sums
    is_empty = np.bincount(units.rows, minlength=units.out_size) == 0
    moves = Moves(units.out_size)
    for unit, kind in enumerate(units.activations):
        if is_empty[unit]:
            constant = _of_bias(kind, float(units.bias[unit]), draft.dtype)
        else:
            constant = _of_sums(kind, low[unit], high[unit])
        if constant is not None:
            moves.add(unit, -1, 0, constant)
    return express(draft, index, moves, clean=clean)


def _of_sums(kind: AbstractActivation, low: float, high: float) -> int | None:
    """What a unit gives for all sums in an interval, if that is one number."""
    if type(kind) in (ReLU, Step) and high <= 0:
        return 0
    return 1 if type(kind) is Step and low > 0 else None


def _of_bias(kind: AbstractActivation, bias: float, dtype: Any) -> Fraction | None:
    """What a unit without weights gives, also when it runs, if that is known exactly."""
    power = degree(kind)
    if power is None or not fits(np.array([bias]), dtype)[0]:
        return None
    if type(kind) is ReLU:
        return Fraction(max(bias, 0.0))
    value = Fraction(int(bias > 0)) if type(kind) is Step else Fraction(bias) ** power
    number = nearest(value, dtype)
    return value if fits(np.array([number]), dtype)[0] and Fraction(number) == value else None


def merge_active(draft: Draft, index: int, held: Ends) -> bool:
    """Merge units of one direction that have no kink on their sums: they differ by a constant."""
    units = draft.pair(index)[0]
    if draft.careful:
        return False
    moves = Moves(units.out_size)
    for scales, members in _directions(units, real_sums(units, held)[0]):
        ratios = {unit: Fraction(float(units.bias[unit])) / scales[unit] for unit in members}
        kept = min(members, key=lambda unit: (ratios[unit], unit))  # the others are larger
        for unit in members:
            if unit != kept:
                moves.add(unit, kept, scales[unit] / scales[kept], scales[unit] * (ratios[unit] - ratios[kept]))
    return express(draft, index, moves, clean=False)


def _directions(units: Rows, low: np.ndarray) -> list[tuple[list[Fraction], list[int]]]:
    """Groups of units without a kink whose weights agree up to a power of two, with the scales of all units."""
    scales, found = scales_of(units), {}
    for unit, (cols, values) in enumerate(units.parts()):
        kind = units.activations[unit]
        if len(values) and (type(kind) is Identity or (type(kind) is ReLU and low[unit] >= 0)):
            direction = tuple(Fraction(value) / Fraction(scales[unit]) for value in values.tolist())
            key = kind, tuple(cols.tolist()), direction
            found.setdefault(key, []).append(unit)
    return [(list(map(Fraction, scales.tolist())), members) for members in found.values()]
