"""Polynomials in rationals: sums of monomials, composed and bounded exactly.

A monomial is a tuple of pairs (variable, exponent) in order, a polynomial a mapping from monomials to
fractions other than 0. Work is paid from a budget, so that nothing takes minutes.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

Key = tuple[tuple[int, int], ...]
Poly = Mapping[Key, Fraction]

# So many products of coefficients take a few seconds.
_WORK = 1_000_000
# Powers of larger degrees have numbers of too many digits.
LARGEST_DEGREE = 256
_LARGEST_TABLE = 14


class Unknown(Exception):
    """Why something isn't known as polynomials."""


class Budget:
    """How many products of coefficients may still be made."""

    def __init__(self, work: int = _WORK):
        self.left = work

    def pay(self, count: int) -> None:
        """Spend, or raise `Unknown`."""
        self.left -= count
        if self.left < 0:
            raise Unknown(f"the polynomials have too many terms: more than {_WORK:,} products of coefficients")


def constant(value: Fraction) -> Poly:
    """A constant polynomial."""
    return {(): value} if value else {}


def variable(index: int) -> Poly:
    """One of the variables."""
    return {((index, 1),): Fraction(1)}


def add(total: dict[Key, Fraction], poly: Poly, factor: Fraction) -> None:
    """Add a multiple of a polynomial to another one in place."""
    for key, value in poly.items():
        more = factor if value == 1 else factor * value
        found = total[key] + more if key in total else more
        if found:
            total[key] = found
        else:
            total.pop(key, None)


def multiply(first: Poly, second: Poly, budget: Budget) -> Poly:
    """The product."""
    budget.pay(len(first) * len(second))
    total: dict[Key, Fraction] = {}
    for (left, a), (right, b) in itertools.product(first.items(), second.items()):
        key = _joined(left, right)
        more = b if a == 1 else a if b == 1 else a * b
        total[key] = total[key] + more if key in total else more
    return {key: value for key, value in total.items() if value}


def _joined(left: Key, right: Key) -> Key:
    if not left or not right:
        return left or right
    total = dict(left)
    for index, exponent in right:
        total[index] = total.get(index, 0) + exponent
        if total[index] > LARGEST_DEGREE:
            raise Unknown(f"a variable has a power beyond {LARGEST_DEGREE}")
    return tuple(sorted(total.items()))


def compose(outer: Poly, inner: Sequence[Poly], budget: Budget) -> Poly:
    """The polynomial with its variables replaced by polynomials."""
    total: dict[Key, Fraction] = {}
    for key, value in outer.items():
        term: Poly = {(): Fraction(1)}
        for index, exponent in key:
            for _ in range(exponent):
                term = inner[index] if term == {(): 1} else multiply(term, inner[index], budget)
        budget.pay(len(term))
        add(total, term, value)
    return total


def difference(first: Poly, second: Poly) -> Poly:
    """What the first is more than the second."""
    total = dict(first)
    add(total, second, Fraction(-1))
    return total


def size(poly: Poly, bounds: Sequence[Fraction]) -> Fraction:
    """The largest modulus for variables of up to `bounds`, by the sum over the monomials."""
    return sum((abs(value) * _power(key, bounds) for key, value in poly.items()), Fraction(0))


def moved(poly: Poly, bounds: Sequence[Fraction], off: Sequence[Fraction]) -> Fraction:
    """How much the value may change where variables of up to `bounds` are off by up to `off`.

    Every monomial `x^a` changes most at the corner: by `(B + e)^a - B^a`.
    """
    if not any(off[index] for key in poly for index, _ in key):
        return Fraction(0)
    far = [b + e for b, e in zip(bounds, off, strict=True)]
    terms = (abs(value) * (_power(key, far) - _power(key, bounds)) for key, value in poly.items())
    return sum(terms, Fraction(0))


def _power(key: Key, values: Sequence[Fraction]) -> Fraction:
    found = Fraction(1)
    for index, exponent in key:
        if values[index] != 1:
            found *= values[index] ** exponent
    return found


def value_range(poly: Poly, low: Sequence[Fraction], high: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """Bounds of the values on a box, monomial by monomial."""
    bottom = top = Fraction(0)
    for key, value in poly.items():
        ends = (value, value)
        for index, exponent in key:
            powers = _power_range(low[index], high[index], exponent)
            products = [a * b for a in ends for b in powers]
            ends = min(products), max(products)
        bottom, top = bottom + ends[0], top + ends[1]
    return bottom, top


def _power_range(low: Fraction, high: Fraction, exponent: int) -> tuple[Fraction, Fraction]:
    ends = low**exponent, high**exponent
    if exponent % 2 == 0 and low < 0 < high:
        return Fraction(0), max(ends)
    return min(ends), max(ends)


def up(value: Fraction) -> Fraction:
    """A double that is at least a number of at least 0, as a fraction: short ones keep arithmetic fast.

    Raises:
        Unknown: it is beyond the range of doubles.
    """
    try:
        near = float(value)
    except OverflowError:
        near = math.inf
    if math.isinf(near):
        raise Unknown("bounds beyond the range of double precision")
    found = Fraction(near)
    return found if found >= value else Fraction(math.nextafter(near, math.inf))


# Powers of sums ------------------------------------------------------------------------------------


def powers_of_sums(
    rows: Iterable[tuple[tuple[tuple[int, Fraction], ...], Fraction, int, Fraction]], budget: Budget
) -> Poly:
    """The sum of `v (b + sum_j w_j x_j)^N` over rows `((j, w_j), ...), b, N, v`.

    With the moduli of the weights given, a monomial's coefficient depends on the signs only through the
    parities of its exponents. So rows of equal moduli are expanded together: for each class of parities, the
    signed sum of their `v` (a Walsh transform), and not at all where it is 0.
    """
    families: dict[tuple, dict[tuple[bool, ...], Fraction]] = {}
    for weights, bias, degree, value in rows:
        # The bias is the weight of one more variable, which is 1.
        terms = [(index, weight) for index, weight in ((-1, bias), *weights) if weight]
        moduli = tuple((index, abs(weight)) for index, weight in terms)
        signs = tuple(weight < 0 for _, weight in terms)
        members = families.setdefault((moduli, degree), {})
        members[signs] = members.get(signs, Fraction(0)) + value
    total: dict[Key, Fraction] = {}
    for (moduli, degree), members in families.items():
        _expand(total, moduli, degree, members, budget)
    return {key: value for key, value in total.items() if value}


def _expand(
    total: dict[Key, Fraction],
    moduli: tuple[tuple[int, Fraction], ...],
    degree: int,
    members: Mapping[tuple[bool, ...], Fraction],
    budget: Budget,
) -> None:
    """Add the powers of sums that differ in signs alone."""
    count = len(moduli)
    powers = [[modulus**exponent for exponent in range(degree + 1)] for _, modulus in moduli]
    table = None
    if count <= _LARGEST_TABLE and len(members) > count:
        budget.pay(count * 2**count // 2)
        table = _transform(members, count)
    for size_of_class in range(degree % 2, min(degree, count) + 1, 2):
        for odd in itertools.combinations(range(count), size_of_class):
            budget.pay(1 if table else 1 + len(members))
            share = table[sum(1 << place for place in odd)] if table else _share(members, odd)
            if share:
                _expand_class(total, moduli, powers, odd, share, budget)


def _share(members: Mapping[tuple[bool, ...], Fraction], odd: tuple[int, ...]) -> Fraction:
    """The sum of the rows' factors, with the signs of these places multiplied in."""
    return sum((-v if sum(signs[place] for place in odd) % 2 else v for signs, v in members.items()), Fraction(0))


def _transform(members: Mapping[tuple[bool, ...], Fraction], count: int) -> list[Fraction]:
    """`_share` of all sets of places, numbered by their bits: a Walsh transform."""
    table = [Fraction(0)] * 2**count
    for signs, value in members.items():
        table[sum(1 << place for place, sign in enumerate(signs) if sign)] = value
    for place in range(count):
        step = 1 << place
        for index in range(2**count):
            if not index & step:
                a, b = table[index], table[index | step]
                table[index], table[index | step] = a + b, a - b
    return table


def _expand_class(
    total: dict[Key, Fraction],
    moduli: tuple[tuple[int, Fraction], ...],
    powers: Sequence[Sequence[Fraction]],
    odd: tuple[int, ...],
    share: Fraction,
    budget: Budget,
) -> None:
    """Add all monomials whose exponents are odd at these places and even elsewhere; `powers` of all moduli."""
    degree = len(powers[0]) - 1 if powers else 0
    for pairs in itertools.combinations_with_replacement(range(len(moduli)), (degree - len(odd)) // 2):
        exponents = dict.fromkeys(odd, 1)
        for place in pairs:
            exponents[place] = exponents.get(place, 0) + 2
        budget.pay(1 + len(exponents))
        value, ways = share, math.factorial(degree)
        for place, exponent in exponents.items():
            value *= powers[place][exponent]
            ways //= math.factorial(exponent)
        named = ((moduli[place][0], exponent) for place, exponent in exponents.items())
        key = tuple(sorted((index, exponent) for index, exponent in named if index >= 0))
        total[key] = total[key] + ways * value if key in total else ways * value
