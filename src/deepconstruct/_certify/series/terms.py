"""The polynomial by which a smooth hidden layer differs from its target, and a bound of what is beyond it.

For units `v_k f(b_k + w_k x)` the coefficient of `x^a`, with `j = |a|` and Taylor coefficients `c_j` of `f` at `b_k`,

    P_a = sum_k v_k c_j (j! / a!) prod_i w_ki^a_i,

is summed up in balls, so that what cancels between units cancels here, and the target's coefficients are taken
off. Units of one bias whose weights agree up to signs are one group: of them the sum of `v_k` times signs is
exact, depends only on which `a_i` are odd, and where it vanishes no term is made. From the order `J` on,
`sum_j |c_j| sum_k |v_k| R_k^j` with `R_k = sum_i |w_ki| B_i` bounds what is left, and from `K` on Cauchy's estimate

    sum_k |v_k| peak (R_k / rho)^K / (1 - R_k / rho).
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from ...activations import AbstractActivation
from ..polynomials.monomials import Unknown
from .balls import TERMS, balls, coefficients, degree, discs, upper

_MOST_TERMS = 30_000
_MOST_PARITIES = 2**14
# Orders that aren't made add next to nothing where series reach as far as they should, or else very much.
_TOO_MUCH = 4


# How often each variable is a factor.
Exponents = tuple[int, ...]


class Unprovable(Unknown):
    """Why no bound was found."""


class TooFar(Unprovable):
    """A series doesn't reach as far as the box: smaller ones may do."""


@dataclasses.dataclass(frozen=True)
class Units:
    """A hidden layer with one output: `constant + sum_k readout_k f_k(biases_k + weights_k x)`, as stored.

    Attributes:
        activations: one a unit.
        weights: shape `(units, n)`.
        biases: one exact number a unit.
        readout: one exact number a unit.
        constant: an exact number.
    """

    activations: Sequence[AbstractActivation]
    weights: np.ndarray
    biases: Sequence[Fraction]
    readout: Sequence[Fraction]
    constant: Fraction

    def about(self, center: np.ndarray) -> "Units":
        """The same layer of `x - center`."""
        if not np.any(center):
            return self
        exact = [Fraction(float(value)) for value in center]
        moved = [
            bias + sum((Fraction(float(w)) * c for w, c in zip(row, exact, strict=True)), Fraction(0))
            for bias, row in zip(self.biases, self.weights, strict=True)
        ]
        return dataclasses.replace(self, biases=moved)


def about(target: Mapping[Exponents, Fraction], center: np.ndarray) -> dict[Exponents, Fraction]:
    """The coefficients of a polynomial of `x - center`."""
    found = dict(target)
    for i, value in enumerate(center):
        shift, moved = Fraction(float(value)), {}
        for exponents, coefficient in found.items():
            for k in range(exponents[i] + 1 if shift else 0):
                key = (*exponents[:i], k, *exponents[i + 1 :])
                part = coefficient * math.comb(exponents[i], k) * shift ** (exponents[i] - k)
                moved[key] = moved.get(key, Fraction(0)) + part
        found = moved if shift else found
    return found


@dataclasses.dataclass(frozen=True)
class Terms:
    """`N(x) - p(x)` for `x_i = B_i y_i`, `|y_i| <= 1`: a polynomial in `y`, up to `rest`.

    Attributes:
        exponents: shape `(terms, n)`; coefficients: shape `(terms,)`.
        rest: what the polynomial is off by, at most.
        slopes: bounds of `|dN/dx_i|`.
        order: all terms of lower degree are in the polynomial.
    """

    exponents: np.ndarray
    coefficients: np.ndarray
    rest: float
    slopes: np.ndarray
    order: int


@dataclasses.dataclass(frozen=True)
class _Group:
    """Units of one activation and bias whose weights are `±moduli`."""

    activation: AbstractActivation
    center: Any
    moduli: tuple[float, ...]
    series: list[Any]
    parities: dict[Exponents, Fraction]
    mass: Any
    reach: Any

    def count(self, order: int) -> int:
        """How many terms of that order there are."""
        active = sum(weight > 0 for weight in self.moduli)
        found = 0
        for parity in self.parities:
            half, odd = divmod(order - sum(parity), 2)
            if half >= 0 and not odd:
                found += math.comb(half + active - 1, active - 1) if active else half == 0
        return found

    @cached_property
    def moments(self) -> list[Any]:
        """What all orders from each one on add at most, up to `TERMS`."""
        sizes = [abs(self.series[j]) * self.reach**j for j in range(TERMS)]
        totals = list(itertools.accumulate(sizes[::-1], initial=0 * self.mass))
        return [self.mass * total for total in totals[::-1]]


def expand(units: Units, target: Mapping[Exponents, Fraction], bounds: np.ndarray, enough: float) -> Terms:
    """The difference of units and target for inputs up to `bounds`; orders that add less than `enough` are left out.

    Raises:
        Unprovable: the series don't reach as far, or numbers aren't finite.
    """
    size = len(bounds)
    with balls() as module:
        scales = [module.arb(float(bound)) for bound in bounds]
        groups = _groups(units, scales, module)
        tail, steep = _tail(groups, module)
        if not upper(tail) <= _TOO_MUCH * enough:
            raise TooFar(f"orders of {TERMS} and more of the Taylor series may add {upper(tail):.3g}")
        least = max((sum(a) for a in target), default=0) + 1
        order = _order(groups, least, enough / 4)
        found: dict[Exponents, Any] = {(0,) * size: module.arb(0) + _ball(units.constant, module)}
        for group in groups:
            for exponents, value in _terms(group, order, scales, module):
                found[exponents] = found.get(exponents, 0) + value
        slopes = _slopes(found, groups, order, bounds, steep, module)
        for exponents, value in target.items():
            scaled = _ball(value, module)
            for scale, power in zip(scales, exponents, strict=True):
                scaled *= scale**power
            found[exponents] = found.get(exponents, 0) - scaled
        rest = tail + sum((group.moments[order] for group in groups), module.arb(0))
        return _stored(found, rest, slopes, order, size, module)


def _ball(value: Fraction, module: Any) -> Any:
    return module.arb(module.fmpq(value.numerator, value.denominator))


def _groups(units: Units, scales: list[Any], module: Any) -> list[_Group]:
    members: dict[tuple, list[int]] = {}
    moduli = np.abs(units.weights)
    for k, activation in enumerate(units.activations):
        if units.readout[k]:
            members.setdefault((activation, units.biases[k], tuple(moduli[k].tolist())), []).append(k)
    series: dict[tuple, list[Any]] = {}
    found = []
    for (activation, bias, sizes), indices in members.items():
        key = activation, bias
        if key not in series:
            series[key] = coefficients(activation, _ball(bias, module), TERMS, module)
        signs = [tuple((units.weights[k] < 0).tolist()) for k in indices]
        readout = [units.readout[k] for k in indices]
        reach = sum((module.arb(w) * scale for w, scale in zip(sizes, scales, strict=True)), module.arb(0))
        mass = _ball(sum(map(abs, readout), Fraction(0)), module)
        found.append(
            _Group(activation, _ball(bias, module), sizes, series[key], _parities(sizes, signs, readout), mass, reach)
        )
    return found


def _parities(
    sizes: tuple[float, ...], signs: list[tuple[bool, ...]], readout: list[Fraction]
) -> dict[Exponents, Fraction]:
    """`sum_k v_k prod_i sign_ki^p_i` for all `p` of zeros and ones for which it isn't 0, by Walsh and Hadamard."""
    active = [i for i, size in enumerate(sizes) if size > 0]
    if 2 ** len(active) > _MOST_PARITIES:
        raise Unprovable(f"it takes units of up to {_MOST_PARITIES.bit_length() - 1} inputs")
    table = [Fraction(0)] * 2 ** len(active)
    for sign, value in zip(signs, readout, strict=True):
        table[sum(sign[i] << bit for bit, i in enumerate(active))] += value
    for bit in range(len(active)):
        for k in range(len(table)):
            if not k >> bit & 1:
                other = k | 1 << bit
                table[k], table[other] = table[k] + table[other], table[k] - table[other]
    found = {}
    for index, value in enumerate(table):
        if value:
            parity = [0] * len(sizes)
            for bit, i in enumerate(active):
                parity[i] = index >> bit & 1
            found[tuple(parity)] = value
    return found


def _tail(groups: list[_Group], module: Any) -> tuple[Any, Any]:
    """What all orders from `TERMS` on add, and their slope in a pre-activation of weight 1 (both over all groups)."""
    total, steep = module.arb(0), module.arb(0)
    for group in groups:
        top = degree(group.activation)
        if top is not None:
            if top >= TERMS:
                raise Unprovable(f"powers are known up to {TERMS - 1}")
            continue
        best = min(_cauchy(group, module), key=lambda pair: upper(pair[0]), default=None)
        if best is None:
            reach = upper(group.reach)
            raise TooFar(f"the Taylor series of {group.activation.name()} don't reach as far as {reach:.3g}")
        largest = max((module.arb(weight) for weight in group.moduli), key=upper)
        total, steep = total + best[0], steep + best[1] * largest
    return total, steep


def _cauchy(group: _Group, module: Any) -> Iterator[tuple[Any, Any]]:
    for radius, peak in discs(group.activation, group.center, upper(group.reach), module):
        ratio = group.reach / radius
        if ratio < 1:
            rest, mass = 1 - ratio, group.mass * peak
            slope = TERMS * ratio ** (TERMS - 1) / rest + ratio**TERMS / rest**2
            yield mass * ratio**TERMS / rest, mass / radius * slope


def _order(groups: list[_Group], least: int, enough: float) -> int:
    """From which order on only sizes are added up: as soon as these are small, or terms are too many."""
    order, count = 0, 0
    while order < TERMS:
        if order >= least and sum(upper(group.moments[order]) for group in groups) <= enough:
            break
        count += sum(group.count(order) for group in groups)
        if count > _MOST_TERMS and order >= least:
            break
        if count > 8 * _MOST_TERMS:
            raise Unprovable("it has too many terms of low order")
        order += 1
    return order


def _terms(group: _Group, order: int, scales: list[Any], module: Any) -> Iterator[tuple[Exponents, Any]]:
    """Pairs of exponents and coefficient, for inputs scaled to 1."""
    active = [i for i, weight in enumerate(group.moduli) if weight > 0]
    powers = {i: _powers(module.arb(group.moduli[i]) * scales[i], order, module) for i in active}
    for parity, share in group.parities.items():
        factor = _ball(share, module)
        for degree_ in range(sum(parity), order, 2):
            if group.series[degree_].is_zero():
                continue
            leading = factor * group.series[degree_]
            for halves in _compositions((degree_ - sum(parity)) // 2, len(active)):
                exponents = list(parity)
                value = leading * _multinomial([parity[i] + 2 * half for i, half in zip(active, halves, strict=True)])
                for i, half in zip(active, halves, strict=True):
                    exponents[i] += 2 * half
                    value *= powers[i][exponents[i]]
                yield tuple(exponents), value


def _powers(base: Any, count: int, module: Any) -> list[Any]:
    return list(itertools.accumulate([base] * max(count - 1, 0), lambda x, y: x * y, initial=module.arb(1)))


def _multinomial(parts: list[int]) -> int:
    found, total = 1, 0
    for part in parts:
        total += part
        found *= math.comb(total, part)
    return found


def _compositions(total: int, parts: int) -> Iterator[Exponents]:
    """All ways to write `total` as a sum of `parts` numbers of at least 0."""
    if parts == 0:
        if total == 0:
            yield ()
        return
    for bars in itertools.combinations(range(total + parts - 1), parts - 1):
        ends = (-1, *bars, total + parts - 1)
        yield tuple(b - a - 1 for a, b in itertools.pairwise(ends))


def _slopes(
    found: dict[Exponents, Any], groups: list[_Group], order: int, bounds: np.ndarray, steep: Any, module: Any
) -> np.ndarray:
    """Bounds of `|dN/dx_i|`: term by term, then by sizes, then by Cauchy's estimate."""
    slopes = []
    for i, bound in enumerate(bounds):
        total = steep + sum((abs(value) * a[i] for a, value in found.items() if a[i]), module.arb(0)) / (
            module.arb(float(bound))
        )
        for group in groups:
            powers = (j * abs(group.series[j]) * group.reach ** (j - 1) for j in range(max(order, 1), TERMS))
            total += group.mass * module.arb(group.moduli[i]) * sum(powers, module.arb(0))
        slopes.append(upper(total))
    return np.array(slopes)


def _stored(found: dict[Exponents, Any], rest: Any, slopes: np.ndarray, order: int, size: int, module: Any) -> Terms:
    """Coefficients in double precision; what they are off by is added to the rest."""
    exponents, numbers = [], []
    for a, value in found.items():
        number = float(value.mid())
        off = value - module.arb(number) if math.isfinite(number) else module.arb("nan")
        rest = rest + abs(off)
        if number:
            exponents.append(a)
            numbers.append(number)
    total = upper(rest) * (1 + 2.0**-50)  # more than who adds to it rounds
    if not math.isfinite(total):
        raise Unprovable("the coefficients aren't finite")
    return Terms(np.array(exponents, int).reshape(-1, size), np.array(numbers, float), total, slopes, order)
