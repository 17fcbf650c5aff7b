"""Gates of one activation made gates of another one."""

import dataclasses
import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from .._arithmetic.exactness import is_exact_on
from .._compose.rounding import with_added_error
from ..activations import AbstractActivation, Identity, ReLU, Sigmoid, Step, as_activation, groups
from ..construction import Construction, Rewritten, Robustness
from ..domains import AbstractDomain
from ..network import Network, flat_layers, own
from ._core import Rows, fits, layer_of, rows_of
from ._draft import real_network
from ._gates import Columns, Count, Held, Made, Terms, Unit, count_of, drop_unused_units, inputs_of
from ._moves import nearest
from ._saturated import gain_for, off_by

# What is made from what.
_FROM: dict[type, type] = {ReLU: Step, Step: ReLU, Sigmoid: Step}
# The most values of one ReLU, each of which becomes a step.
_MOST_LEVELS = 2**10


def change_activation(network: Any, activation: Any, *, domain: AbstractDomain | None = None) -> Any:
    """The same function of bits with other gates: steps as ReLUs or sigmoids, and ReLUs as steps.

    On the domain the sums of a gate, without its bias `b`, are `q k` with integers `k`: all gates are made anew on
    these integers. One that is on from `k = t` upwards becomes

    - as ReLUs: `step(q k + b) = relu(k - t + 1) - relu(k - t)`;
    - as a sigmoid: `sigmoid(a (k - t + 1/2))`, with a power of two `a` for which it is off by less than a rounding;
    - as steps: `relu(q k + b) = (q t + b) step(k - t + 1/2) + q step(k - t - 1/2) + ...`, one for each positive value.

    Equal units are made one: pairs `relu(z) - relu(z - q)` become one step, and gates share their ReLUs.

    Args:
        network: a `Network` or a `Construction` whose hidden units are steps (to become ReLUs or sigmoids) or ReLUs
            (to become steps); linear units stay, and those that have the activation already, but for sigmoids.
        activation: `"relu"`, `"step"`, `"sigmoid"`, or such an object.
        domain: of a `Network`: bits, signs, or other vectors on a grid. A construction has that of its claim.

    Returns:
        The same kind. Repeated blocks are unrolled, maps become `Dense` or `Sparse`, and units that nothing uses go.
        Behind outputs that were gates there is a linear layer then, but for sigmoids. A claim is about points of its
        domain only then: its radius is 0. Where there is no gate to change all stays.

    Raises:
        ValueError: another activation, units of other activations, a domain that isn't on a grid, a network in which
            something may round on it, before or after, weights that aren't numbers of the dtype, ReLUs of more than
            1024 values, or sigmoids whose error can't be bounded by less than 1/2.
        TypeError: neither a network nor a construction, a stack of networks, complex weights, or what is no domain.

    Exactness: steps and ReLUs compute the same on the domain, bit for bit, and the error of a claim stays. Sigmoids
        add a bound of what they and their sums are off, in any order of operations.

    Cost: up to two ReLUs a step, one sigmoid a step, one step for each positive value of a ReLU, before equal ones
        are made one. Depth stays, unless outputs are gates.

    Example:
        >>> import deepconstruct as dc
        >>> steps = dc.rewrite.change_activation(dc.parity(8), "step")
        >>> dc.cost(steps).neurons, steps.claim.error.is_exact, steps([1, 0, 0, 1, 1, 0, 0, 0]).tolist()
        (14, True, [1.0])
    """
    source, target = real_network("change_activation", network), as_activation("change_activation", activation)
    if type(target) not in _FROM:
        raise ValueError(f"change_activation: activation must be 'relu', 'step' or 'sigmoid'; got {activation!r}")
    where = _domain(network, source, domain)
    if _has_gates(source, target):
        return _changed(network, source, target, where)
    return _result(network, source, target, 0.0, is_changed=False)


def _changed(given: Any, source: Network, target: AbstractActivation, domain: AbstractDomain) -> Any:
    if not is_exact_on(source, domain):
        raise ValueError(
            "change_activation: something may round in the given network on its domain, so that the values of its "
            "units aren't known; weights must be multiples of a common power of two, with few digits"
        )
    gain = gain_for(target, source.dtype) if isinstance(target, Sigmoid) else Fraction(1)
    found = _rebuilt(source, _Change(target, gain), domain)
    added = off_by(found, domain, float(gain)) if isinstance(target, Sigmoid) else 0.0
    if not added < 0.5:
        raise ValueError(
            "change_activation: no error below 1/2 can be proved of these sigmoids, since gates have too many inputs, "
            f"or outputs are too large, for {source.dtype.name}; take float64, or the activation 'relu'"
        )
    if not isinstance(target, Sigmoid) and not is_exact_on(found, domain):
        raise ValueError(
            f"change_activation: {target.name()} units would have sums of more digits than {source.dtype.name} has"
        )
    return _result(given, found, target, added)


def _result(
    given: Any, found: Network, target: AbstractActivation, added: float, *, is_changed: bool = True
) -> Network | Construction:
    """The new network, or a construction of it. Once changed, it is known at points of the domain only."""
    if not isinstance(given, Construction):
        return own(found)
    claim = dataclasses.replace(given.claim, robustness=Robustness()) if is_changed else given.claim
    claim = with_added_error(claim, added) if added else claim
    name = repr(target.inverse_temperature) if isinstance(target, Sigmoid) else ""
    rule = f"change_activation({type(target).__name__}({name}))"
    return Construction(own(found), claim, Rewritten(rule, given))


def _domain(given: Any, source: Network, domain: AbstractDomain | None) -> AbstractDomain:
    if isinstance(given, Construction):
        if domain is not None:
            raise ValueError("change_activation: a construction has the domain of its claim; give domain= no value")
        domain = given.claim.domain
    elif domain is None:
        raise ValueError("change_activation: a network needs domain=, such as dc.domains.Bits(n)")
    if not isinstance(domain, AbstractDomain):
        raise TypeError(f"change_activation: domain must be one of dc.domains; got {domain!r}")
    if domain.size != source.in_size:
        raise ValueError(f"change_activation: the network takes {source.in_size} numbers; got the domain {domain!r}")
    if not (domain.fits(source.dtype) and np.all(domain.steps() > 0)):
        raise ValueError(
            f"change_activation: gates are known on finite domains whose points are {source.dtype.name} numbers, such "
            f"as Bits and Signs; got {domain!r}"
        )
    return domain


def _has_gates(network: Network, target: AbstractActivation) -> bool:
    """Whether there is a unit to be changed; refuses those that neither change nor stay."""
    wanted, found = _FROM[type(target)], False
    for index, layer in enumerate(flat_layers(network)):
        unit = 0
        for kind, width in groups(layer.activation, layer.out_size):
            if type(kind) is wanted:
                found = found or width > 0
            elif width and type(kind) is not Identity and (type(kind) is not type(target) or kind != target):
                raise ValueError(
                    f"change_activation: unit {unit} of layer {index} is {kind.name()}, which doesn't become "
                    f"{target.name()}; {_way_out(kind, target)}"
                )
            unit += width
    return found


def _way_out(kind: AbstractActivation, target: AbstractActivation) -> str:
    if type(kind) is ReLU and type(target) is Sigmoid:
        return "make it steps first, by change_activation(network, 'step')"
    return "only steps become ReLUs or sigmoids, and only ReLUs become steps: build it with one of these"


class _Change(NamedTuple):
    """What units become."""

    target: AbstractActivation
    gain: Fraction

    def keeps(self, kind: AbstractActivation) -> bool:
        return type(kind) is not _FROM[type(self.target)]

    def terms(self, unit: Unit, count: Count, name: str) -> Terms:
        if self.keeps(unit.activation):
            return [(unit, Fraction(1))]
        if isinstance(self.target, Sigmoid):
            return count.as_sigmoid(self.target, self.gain)
        if isinstance(self.target, ReLU):
            return count.as_relus()
        if count.levels > _MOST_LEVELS:
            raise ValueError(
                f"change_activation: {name} may have {count.levels} positive values, of which each would be a step; "
                f"there may be {_MOST_LEVELS}. Scale its weights so that they are small multiples of one number"
            )
        return count.as_steps()


def _rebuilt(network: Network, change: _Change, domain: AbstractDomain) -> Network:
    """The network with units changed, from what they hold on the domain."""
    given = _all_rows(network, change.target)
    held: list[Held] = inputs_of(domain)
    columns: list[Columns] = [[(col, Fraction(1))] for col in range(network.in_size)]
    layers = []
    for index, rows in enumerate(given):
        made = Made(columns, is_last=index + 1 == len(given))
        counts = [count_of(unit, held) for unit in _units(rows)]
        for number, (unit, count) in enumerate(zip(_units(rows), counts, strict=True)):
            terms = change.terms(unit, count, f"unit {number} of layer {index}")
            made.add(terms, int(rows.gates[number]))
        pairs = zip(counts, rows.activations, strict=True)
        held = [count.held(kind, stays=change.keeps(kind)) for count, kind in pairs]
        columns = made.became
        layers.append(made)
    drop_unused_units(layers)
    sizes = [network.in_size, *(len(made.units) for made in layers)]
    parts = enumerate(zip(given, layers, sizes[:-1], strict=True))
    return Network(tuple(layer_of(_rows(index, *part, network.dtype), network.dtype) for index, part in parts))


def _all_rows(network: Network, target: AbstractActivation) -> list[Rows]:
    """The layers as exact rows; with a linear one behind outputs that become sums of units."""
    found = []
    for index, layer in enumerate(flat_layers(network)):
        rows = rows_of(layer)
        if rows is None:
            raise ValueError(f"change_activation: the weights of layer {index} are too many, or aren't known exactly")
        found.append(rows)
    if not isinstance(target, Sigmoid) and any(type(kind) is _FROM[type(target)] for kind in found[-1].activations):
        size, ones = found[-1].out_size, np.ones(found[-1].out_size)
        each, kinds = np.arange(size), (Identity(),) * size
        found.append(Rows(each, each, ones, np.zeros(size), kinds, size, None, np.full(size, -1)))
    return found


def _units(rows: Rows) -> list[Unit]:
    return [
        Unit(dict(zip(cols.tolist(), map(Fraction, values.tolist()), strict=True)), Fraction(bias), kind)
        for (cols, values), bias, kind in zip(rows.parts(), rows.bias.tolist(), rows.activations, strict=True)
    ]


def _rows(index: int, given: Rows, made: Made, in_size: int, dtype: Any) -> Rows:
    """The rows of new units, labeled as the given ones."""
    places = [(number, col) for number, unit in enumerate(made.units) for col in unit.weights]
    rows, cols = np.array(places, int).reshape(-1, 2).T
    values = _numbers(index, [weight for unit in made.units for weight in unit.weights.values()], dtype)
    bias = _numbers(index, [unit.bias for unit in made.units], dtype)
    kinds = tuple(unit.activation for unit in made.units)
    empty = Rows(rows, cols, values, bias, kinds, in_size, given.name, np.array(made.gates))
    return empty.with_entries(rows, cols, values)


def _numbers(index: int, wanted: list[Fraction], dtype: Any) -> np.ndarray:
    found = np.array([nearest(number, dtype) for number in wanted], float)
    exact = all(math.isfinite(a) and Fraction(a) == b for a, b in zip(found.tolist(), wanted, strict=True))
    if not (exact and np.all(fits(found, dtype))):
        raise ValueError(
            f"change_activation: layer {index} would need weights that aren't normal numbers of "
            f"{np.dtype(dtype).name}; scale its units, or take a wider dtype"
        )
    return found
