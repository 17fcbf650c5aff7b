"""Bounds of what the gates of a circuit err by, and polynomials of degree 2 next to them.

A gate over the reals is a polynomial made of Taylor series in balls, up to a rest (`series_terms`). Where all of
its units see multiples of one sum of wires, that is one of a single variable, however many wires there are.
"""

import itertools
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from ..polynomials.monomials import Budget, Key, Poly, Unknown, add, powers_of_sums, size, up
from ..polynomials.powers import is_power, rounding, short
from ..polynomials.wires import Gate
from ..series.gates import GateBound, fractions
from ..series.range import largest_modulus
from ..series.rounding import Cell, Format, activated, pre_activations, summed
from ..series.terms import Units, expand
from .plans import along, on_line

# Gates of more wires are proved only if their units see multiples of one sum.
_MOST_WIRES = 3
_MOST_GATES = 1000
# Reaches are rounded up to so many digits, so that gates at several levels are proved at one go.
_DIGITS = 20
_SHARE = 2.0**-8


class Prover:
    """Bounds of what gates err by, once for all that are alike."""

    def __init__(self, dtype: Any, budget: Budget):
        self.budget, self.dtype, self.form = budget, dtype, Format.of(dtype)
        self.known: dict[tuple, GateBound] = {}
        self.guessed: dict[tuple, Poly] = {}

    def __call__(self, gate: Gate, poly: Poly, reach: tuple[Fraction, ...]) -> Fraction:
        if is_power(gate):
            return rounding(gate, reach, self.dtype)
        sizes = self._sizes(reach)
        key = (*gate.key, tuple(sorted(poly.items())), sizes.tobytes())
        if key not in self.known:
            self.known[key] = self._prove(gate, poly, sizes)
        found = self.known[key]
        total = Fraction(found.real) + Fraction(found.rounding)
        if total > size(poly, [Fraction(value) for value in sizes.tolist()]):
            raise Unknown("the error of a gate is as large as what it makes")
        return total

    def guess(self, gate: Gate, bounds: tuple[Fraction, ...]) -> Poly:
        """The terms of degree 2 at most of a gate's series, for wires up to `bounds`: what it may be meant to be.

        Terms that rounding drowns are left out.
        """
        sizes = self._sizes(bounds)
        key = (*gate.key, sizes.tobytes())
        if key not in self.guessed:
            rounded = self._rounding(gate, sizes)
            units, reach, row = _seen(gate, sizes, along(gate) if len(sizes) > 1 else None)
            terms = expand(units, {}, reach, _SHARE * rounded)
            pairs = zip(terms.exponents.tolist(), terms.coefficients.tolist(), strict=True)
            exact = [Fraction(float(value)) for value in reach]
            kept = [(a, Fraction(c)) for a, c in pairs if sum(a) <= 2 and abs(c) > _SHARE * rounded]
            found = {tuple(a): c / math.prod(b**k for b, k in zip(exact, a, strict=True)) for a, c in kept}
            self.guessed[key] = _named(found, row, self.budget)
        return self.guessed[key]

    def _sizes(self, reach: tuple[Fraction, ...]) -> np.ndarray:
        """Slightly more, in few digits."""
        return np.maximum(short(np.array([float(value) for value in reach]), _DIGITS), self.form.tiny)

    def _prove(self, gate: Gate, poly: Poly, sizes: np.ndarray) -> GateBound:
        if len(self.known) >= _MOST_GATES:
            raise Unknown(f"it has more than {_MOST_GATES:,} different gates")
        rounded = self._rounding(gate, sizes)
        direction = along(gate) if len(sizes) > 1 else None
        target = None if direction is None else on_line(poly, direction[0], self.budget)
        units, reach, row = _seen(gate, sizes, direction if target is not None else None)
        if row is None:
            target = {_dense(key, len(sizes)): value for key, value in poly.items()}
        return _real(units, target or {}, reach, rounded)

    def _rounding(self, gate: Gate, sizes: np.ndarray) -> float:
        cell = Cell(np.zeros(len(sizes)), sizes)
        sums = pre_activations(gate.weights, gate.biases, cell, self.form, False)
        found = summed(gate.readout, gate.constant, activated(gate.activations, sums, self.form), self.form)[2]
        if not np.isfinite(found):
            raise Unknown("numbers may come up that are beyond the range of the dtype, or sums too long for it")
        return found


def _seen(
    gate: Gate, sizes: np.ndarray, direction: tuple[np.ndarray, np.ndarray] | None
) -> tuple[Units, np.ndarray, np.ndarray | None]:
    """The units of a gate, bounds of what they see, and the row along which that is one number `r w`, if it is."""
    biases, readout, row = fractions(gate.biases), fractions(gate.readout), None
    weights = gate.weights
    if direction is not None:
        row, weights = direction[0], direction[1][:, None]
        pairs = zip(row.tolist(), sizes.tolist(), strict=True)
        sizes = np.array([float(up(sum((abs(Fraction(r)) * Fraction(b) for r, b in pairs), Fraction(0))))])
    elif len(sizes) > _MOST_WIRES:
        raise Unknown(f"gates of {len(sizes)} wires are too many at once")
    return Units(gate.activations, weights, biases, readout, Fraction(gate.constant)), sizes, row


def _real(units: Units, target: dict[tuple[int, ...], Fraction], sizes: np.ndarray, rounded: float) -> GateBound:
    """A gate's error over the reals beside its rounding; large ones are bounded roughly, but quickly."""
    terms = expand(units, target, sizes, _SHARE * rounded)
    corners = np.array(list(itertools.product((1.0, 0.5), (1.0, -1.0), repeat=len(sizes))))
    places = corners[:, ::2] * corners[:, 1::2]
    powers = np.prod(places[:, None, :] ** terms.exponents, axis=2)
    reached = float(np.abs(powers @ terms.coefficients).max(initial=0.0))
    peak = largest_modulus(terms.exponents, terms.coefficients, max(_SHARE * rounded, reached / 64))
    real = (peak.bound + terms.rest) * (1 + 2.0**-52)
    return GateBound(real, rounded, tuple(terms.slopes.tolist()), terms.order, peak.cells)


def _dense(key: Key, count: int) -> tuple[int, ...]:
    powers = dict(key)
    return tuple(powers.get(place, 0) for place in range(count))


def _named(terms: Mapping[tuple[int, ...], Fraction], row: np.ndarray | None, budget: Budget) -> Poly:
    """Terms by exponents as a polynomial of the wires; where a row is given, they are of its sum."""
    if row is None:
        return {tuple((i, k) for i, k in enumerate(key) if k): value for key, value in terms.items()}
    weights = tuple((place, Fraction(value)) for place, value in enumerate(row.tolist()) if value)
    powers = [(weights, Fraction(0), key[0], value) for key, value in terms.items() if key[0]]
    found = dict(powers_of_sums(powers, budget))
    add(found, {(): Fraction(1)}, terms.get((0,), Fraction(0)))
    return found
