"""From polynomials to circuits: shared products, copies, and one running sum.

A monomial of degree `d` is made at level `ceil(log2 d)`, as the product of two of about half its
degree, or as a square where all its exponents are even. Wires that are needed above their level are
copied. Terms that are complete join the output's running sum, which is copied up instead of them.
"""

from collections.abc import Mapping, Sequence

from ...construction.plans import Circuit, Operation, Sum
from .terms import Exponents


def level_of(exponents: Exponents) -> int:
    """The level at which a monomial is made."""
    return max(sum(exponents) - 1, 0).bit_length()


def split(exponents: Exponents) -> tuple[Exponents, Exponents]:
    """Two factors of about half the degree; equal ones where all exponents are even."""
    if all(exponent % 2 == 0 for exponent in exponents):
        half = tuple(exponent // 2 for exponent in exponents)
        return half, half
    left, first = (sum(exponents) + 1) // 2, []
    for exponent in exponents:
        taken = min(exponent, left)
        first.append(taken)
        left -= taken
    return tuple(first), tuple(e - f for e, f in zip(exponents, first, strict=True))


def schedule(outputs: Sequence[Mapping[Exponents, float]], bounds: tuple[float, ...]) -> Circuit:
    """The circuit of polynomials, one an output."""
    variables = len(bounds)
    depth = max((level_of(key) for terms in outputs for key in terms), default=0)
    needed = _needed(outputs, depth)
    below = {_unit(variables, i): i for i in range(variables)}
    sums: list[int | None] = [None] * len(outputs)
    levels = []
    for level in range(1, depth + 1):
        wires = sorted(needed[level])
        operations = [_operation(key, level, below) for key in wires]
        running = [_finished(terms, level - 1, below, wire) for terms, wire in zip(outputs, sums, strict=True)]
        sums = []
        for terms in running:
            sums.append(len(operations) if terms else None)
            operations += [(Sum(terms),)] if terms else []
        levels.append(tuple(operations))
        below = {key: i for i, key in enumerate(wires)}
    constant = (0,) * variables
    last = [
        Sum(_finished(terms, depth, below, wire), terms.get(constant, 0.0))
        for terms, wire in zip(outputs, sums, strict=True)
    ]
    return Circuit(bounds, tuple(levels), tuple(last))


def _needed(outputs: Sequence[Mapping[Exponents, float]], depth: int) -> list[set[Exponents]]:
    """The monomials that are wires of every level, from the top down."""
    needed: list[set[Exponents]] = [set() for _ in range(depth + 1)]
    for terms in outputs:
        for key in terms:
            if sum(key) > 1:
                needed[level_of(key)].add(key)
    for level in range(depth, 0, -1):
        for key in needed[level]:
            needed[level - 1] |= set(split(key)) if level_of(key) == level else {key}
    return needed


def _operation(key: Exponents, level: int, below: Mapping[Exponents, int]) -> Operation:
    factors = split(key) if level_of(key) == level else (key,)
    return tuple(Sum(((below[factor], 1.0),)) for factor in factors)


def _finished(
    terms: Mapping[Exponents, float], level: int, below: Mapping[Exponents, int], running: int | None
) -> tuple[tuple[int, float], ...]:
    """The running sum so far, and the terms that are complete at this level."""
    new = tuple((below[key], value) for key, value in terms.items() if any(key) and level_of(key) == level)
    return new if running is None else ((running, 1.0), *new)


def _unit(variables: int, index: int) -> Exponents:
    return tuple(int(i == index) for i in range(variables))
