"""What the gates of a circuit are meant to be, by the plan of its builder.

A plan only steers: what is taken from it are polynomials that gates are then proved to be.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from ..polynomials.monomials import Budget, Key, Poly, Unknown, add, multiply, powers_of_sums, up
from ..polynomials.wires import Gate

_LEAST = float(np.finfo(np.float64).tiny)

# What a sum of wires is: coefficients by wire, and a constant.
Line = tuple[dict[int, Fraction], Fraction]
Operation = tuple[Line, ...]  # one: a copy; two: their product


def read(plan: Any) -> list[list[Operation]]:
    """The operations of a plan, by level.

    Raises:
        Unknown: something in it isn't what it should be.
    """
    try:
        return [[tuple(_line(part) for part in operation) for operation in level] for level in plan.levels]
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise Unknown("its plan can't be read") from None


def _line(part: Any) -> Line:
    terms: dict[int, Fraction] = {}
    for wire, coefficient in part.terms:
        terms[int(wire)] = terms.get(int(wire), Fraction(0)) + Fraction(float(coefficient))
    return {wire: value for wire, value in terms.items() if value}, Fraction(float(part.constant))


def meant(gate: Gate, operation: Operation, budget: Budget) -> Poly:
    """What a gate is meant to be, of variables numbered as its wires.

    Where its units all see multiples of one sum `r w`, that of the stored weights is taken: a copy is
    `k r w + c`, a square `(k r w + c)^2`. So it doesn't matter how the weights of a sum were rounded.

    Raises:
        Unknown: the plan is about other wires.
    """
    places = {wire: place for place, wire in enumerate(gate.wires)}
    if not 1 <= len(operation) <= 2 or any(wire not in places for terms, _ in operation for wire in terms):
        raise Unknown("its plan is about other wires than its weights")
    lines = [({places[wire]: value for wire, value in terms.items()}, shift) for terms, shift in operation]
    direction = along(gate)
    if direction is not None and len(lines[0][0]) > 1 and all(line == lines[0] for line in lines):
        lines = [(_scaled(direction[0], lines[0][0]), lines[0][1])] * len(lines)
    product: Poly = {(): Fraction(1)}
    for terms, shift in lines:
        factor: dict[Key, Fraction] = {((place, 1),): value for place, value in terms.items()}
        add(factor, {(): Fraction(1)}, shift)
        product = factor if product == {(): 1} else multiply(product, factor, budget)
    return product


def _scaled(row: np.ndarray, terms: dict[int, Fraction]) -> dict[int, Fraction]:
    """The multiple of a row that is next to some coefficients: the sums of their moduli agree."""
    exact = {place: Fraction(value) for place, value in enumerate(row.tolist()) if value}
    total = sum((abs(value) for value in exact.values()), Fraction(0))
    first = next((place for place in terms if place in exact), None)
    if first is None:
        raise Unknown("its plan is about other wires than its weights")
    size = sum((abs(value) for value in terms.values()), Fraction(0))
    # Few digits, so that arithmetic stays fast; the difference shows in the outputs.
    share = up(size / total) * (1 if (exact[first] > 0) == (terms[first] > 0) else -1)
    return {place: share * value for place, value in exact.items()}


def along(gate: Gate) -> tuple[np.ndarray, np.ndarray] | None:
    """A row `r`, and numbers `s` such that the rows of a gate's weights are exactly `s_k r`; `None` if there are none.

    Only 0 and powers of two count: with these, products in double precision are exact.
    """
    sizes = np.abs(gate.weights).sum(axis=1)
    if not sizes.any():
        return None
    row = gate.weights[int(np.argmax(sizes > 0))]
    place = int(np.argmax(np.abs(row)))
    shares = gate.weights[:, place] / row[place]
    is_power = (shares == 0) | (np.frexp(np.abs(shares))[0] == 0.5)
    found = shares[:, None] * row
    # Products below the normal numbers may be rounded.
    normal = (np.abs(gate.weights) >= _LEAST) | ((gate.weights == 0) & ((shares[:, None] == 0) | (row == 0)))
    return (row, shares) if is_power.all() and normal.all() and np.array_equal(found, gate.weights) else None


def on_line(poly: Poly, row: np.ndarray, budget: Budget) -> dict[tuple[int, ...], Fraction] | None:
    """A polynomial of degree 2 as one of `t = r w`, by exponents; `None` if it isn't one."""
    terms = tuple((place, Fraction(value)) for place, value in enumerate(row.tolist()) if value)
    place, first = terms[0]
    slope, square = (poly.get(((place, n),), Fraction(0)) / first**n for n in (1, 2))
    again = dict(powers_of_sums([(terms, Fraction(0), 1, slope), (terms, Fraction(0), 2, square)], budget))
    add(again, {(): Fraction(1)}, poly.get((), Fraction(0)))
    found = {(0,): poly.get((), Fraction(0)), (1,): slope, (2,): square}
    return {key: value for key, value in found.items() if value} if again == poly else None
