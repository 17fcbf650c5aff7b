"""Units that are constant on a domain, and those that nothing uses."""

from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.ranges import tight_range
from .._arithmetic.running import Enclosure, affine, through
from ..activations import AbstractActivation, Identity, Power, ReLU, Square, Step
from ..construction import Claim, Construction, as_network
from ..domains import AbstractDomain
from ..network import Layer, Network
from ._core import Rows, fits
from ._draft import Draft, Moves, degree, express, result, row_parts

# Bounds of layers with more weights are not made exactly.
_MOST_WEIGHTS = 2**16

Ends = tuple[np.ndarray, np.ndarray]


def prune_dead(network: Any, *, domain: AbstractDomain | None = None) -> Any:
    """The same function without the units that are constant, or that nothing uses.

    A unit is constant where interval bounds show it: a ReLU whose sum is never positive, a step unit that is
    always on or always off, and any unit of an activation that is a polynomial, piecewise or not, without weights.
    Constants go into the biases behind them, where those stay numbers of the dtype. That is shown on the domain's
    box, widened by the radius of the claim. A layer keeps a unit, if only an empty one.

    Args:
        network: a `Network` or a `Construction`.
        domain: of a network, where the function is to be kept: without it, everywhere. A construction has its own.

    Returns:
        The same kind; repeated blocks are unrolled if anything changes. Claims are kept; where one can't be, units
        whose running sums may be positive by their rounding stay.

    Raises:
        ValueError: a domain of another size, or one beside that of a claim.
        TypeError: neither a network nor a construction, or complex weights.

    Exactness: the same function over the reals, on the domain and within the radius; units that are dropped gave
        exactly their constants in the running network too, or what it may add is added to the claim.

    Cost: neurons and synapses never grow.

    Example:
        >>> import deepconstruct as dc
        >>> net = dc.Network.from_matrices([[[1], [-1]], [[1, 1]]], [[0, -1], None], "relu")
        >>> dc.cost(dc.rewrite.prune_dead(net, domain=dc.domains.Box(1, 0, 1))).neurons
        1
    """
    source, box = asked("prune_dead", network, domain)

    def change(draft: Draft) -> None:
        _drop_clean(draft, box)
        while not draft.careful and _pass(draft, box):
            pass

    return result("prune_dead", network, source, change)


def asked(rule: str, given: Any, domain: Any) -> tuple[Network, Ends]:
    """The network, real, and the box in which its function is to be kept."""
    network = as_network(rule, given)
    if jnp.issubdtype(network.dtype, jnp.complexfloating):
        raise TypeError(f"{rule}: weights must be real; got {network.dtype.name}. dc.realify makes them so")
    if isinstance(given, Construction) and domain is not None:
        raise ValueError(f"{rule}: a construction has the domain of its claim; give its .network with another one")
    if isinstance(given, Construction):
        return network, _moved(given.claim)
    if domain is None:
        return network, (np.full(network.in_size, -np.inf), np.full(network.in_size, np.inf))
    if not isinstance(domain, AbstractDomain):
        raise TypeError(f"{rule}: domain must be one of dc.domains; got {domain!r}")
    if domain.size != network.in_size:
        raise ValueError(f"{rule}: the network takes {network.in_size} numbers; got a domain of {domain.size}")
    if domain.is_complex:
        raise TypeError(f"{rule}: the domain must be real; got {domain}")
    return network, domain.box()


def _moved(claim: Claim) -> Ends:
    """The box of a claim's domain and of all that its radius allows, rounded outward."""
    (low, high), radius = claim.domain.box(), claim.robustness.radius
    if not radius:
        return low, high
    return np.nextafter(low - radius, -np.inf), np.nextafter(high + radius, np.inf)


def drop_unused(draft: Draft, index: int) -> bool:
    """Units that nothing behind them weighs."""
    units, behind = draft.pair(index)
    moves = Moves(units.out_size)
    for unit in np.flatnonzero(np.bincount(behind.cols, minlength=units.out_size) == 0).tolist():
        moves.add(unit, -1, 0)
    return express(draft, index, moves, clean=True)


def drop_constant(draft: Draft, index: int, sums: Ends, *, clean: bool) -> bool:
    """Units that are constant where their sums lie between these ends."""
    units = draft.pair(index)[0]
    counts = np.bincount(units.rows, minlength=units.out_size)
    moves, certain = Moves(units.out_size), Moves(units.out_size)
    for unit, kind in enumerate(units.activations):
        low, high = (float(end[unit]) for end in sums)
        if not counts[unit]:
            constant = _value(kind, float(units.bias[unit]), draft.dtype)
            if constant is not None:
                certain.add(unit, -1, 0, constant)
        elif type(kind) in (ReLU, Step) and high <= 0:
            moves.add(unit, -1, 0)
        elif type(kind) is Step and low > 0:
            moves.add(unit, -1, 0, 1)
    for unit in np.flatnonzero(certain.moved).tolist():
        if clean:
            moves.add(unit, -1, 0, certain.constant[unit])
    if clean or express(draft, index, certain, clean=True):
        return express(draft, index, moves, clean=True) if clean else True
    return not draft.careful and express(draft, index, moves, clean=False)


def _value(kind: AbstractActivation, bias: float, dtype: Any) -> Fraction | None:
    """What a unit without weights gives, if that is known exactly."""
    if type(kind) is Step:
        return Fraction(int(bias > 0))
    if type(kind) is ReLU:
        return max(Fraction(bias), Fraction(0))
    if type(kind) not in (Identity, Square, Power):
        return None
    value = Fraction(bias)
    for _ in range((degree(kind) or 1) - 1):
        value *= Fraction(bias)
        if abs(value) > 2**1023 or not fits(np.array([float(value)]), dtype)[0] or Fraction(float(value)) != value:
            return None
    return value


def _drop_clean(draft: Draft, box: Ends) -> None:
    """Drop what is constant in the given network as it runs: its sums stay runs of the given one's."""
    found: list[Ends | None] = running_sums(draft.given, box, draft.dtype)
    for index in draft.hidden():
        sums = found[index]
        if sums is not None:
            drop_constant(draft, index, sums, clean=True)
    for index in reversed(draft.hidden()):
        drop_unused(draft, index)


drop_clean = _drop_clean


def running_sums(layers: tuple[Layer, ...], box: Ends, dtype: Any) -> list[Ends | None]:
    """What the pre-activations of all layers can be, over the reals and in the running network."""
    kind = np.longdouble if np.dtype(dtype) == np.float64 else np.float64
    low, high = (end.astype(kind)[None] for end in box)
    held: Enclosure | None = Enclosure(low, high, np.zeros(low.shape))
    found: list[Ends | None] = []
    for layer in layers:
        sums = None
        try:
            if held is not None:
                sums = affine(layer, held, dtype)
                held = through(layer, held, dtype)
        except TypeError:
            held = None
        found.append(None if sums is None else _ends(sums))
    return found


def _ends(sums: Enclosure) -> Ends:
    with np.errstate(invalid="ignore"):
        low, high = sums.low[0] - sums.error[0], sums.high[0] + sums.error[0]
    low, high = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    return np.nextafter(low.astype(float), -np.inf), np.nextafter(high.astype(float), np.inf)


def _pass(draft: Draft, box: Ends) -> bool:
    """Drop what is constant over the reals, layer by layer; whether anything was."""
    changed, held = False, box
    for index, rows in enumerate(draft.rows):
        if index in draft.hidden() and held is not None and rows is not None:
            changed |= drop_constant(draft, index, real_sums(rows, held), clean=False)
        held = behind(draft, index, held)
    for index in reversed(draft.hidden()):
        changed |= drop_unused(draft, index)
    return changed


def behind(draft: Draft, index: int, held: Ends) -> Ends:
    """What the units of a layer can be, from what those before it can; all numbers where that isn't known."""
    rows = draft.rows[index]
    if rows is None:
        size = draft.given[index].out_size
        return np.full(size, -np.inf), np.full(size, np.inf)
    low, high = real_sums(rows, held)
    ends = np.full(rows.out_size, -np.inf), np.full(rows.out_size, np.inf)
    for kind in set(map(type, rows.activations)):
        for unit in [u for u, a in enumerate(rows.activations) if type(a) is kind]:
            if not np.isfinite(low[unit]) or not np.isfinite(high[unit]):
                if kind is Step:
                    ends[0][unit], ends[1][unit] = 0.0, 1.0
                elif kind is ReLU:
                    ends[0][unit] = 0.0
                continue
            with np.errstate(all="ignore"):
                try:
                    bottom, top = tight_range(rows.activations[unit], low[unit : unit + 1], high[unit : unit + 1])
                except TypeError:
                    continue
            ends[0][unit], ends[1][unit] = bottom[0], top[0]
    return ends


def real_sums(units: Rows, held: Ends) -> Ends:
    """Bounds of `W h + b` over the reals for `h` in a box: exact ones, rounded outward to double precision."""
    low, high = np.full(units.out_size, -np.inf), np.full(units.out_size, np.inf)
    if len(units.values) > _MOST_WEIGHTS:
        return low, high
    for unit, (cols, values) in enumerate(row_parts(units)):
        ends = [(held[0][cols], held[1][cols]), (held[1][cols], held[0][cols])]
        for side, (for_positive, for_negative) in enumerate(ends):
            terms = np.where(values > 0, for_positive, for_negative)
            if np.all(np.isfinite(terms)):
                pairs = zip(values.tolist(), terms.tolist(), strict=True)
                total = sum((Fraction(a) * Fraction(b) for a, b in pairs), start=Fraction(units.bias[unit]))
                (low, high)[side][unit] = _outward(total, -1 if side == 0 else 1)
    return low, high


def _outward(value: Fraction, side: int) -> float:
    if abs(value) > 2**1000:
        return side * np.inf
    number = float(value)
    is_outside = Fraction(number) <= value if side < 0 else Fraction(number) >= value
    return number if is_outside else float(np.nextafter(number, side * np.inf))
