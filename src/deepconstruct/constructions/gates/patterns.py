"""Which sums of the inputs a gate's units see, and what that leaves of a series' orders.

With `y_i = x_i^2` and `S = sum y_i`, relative to the product, the orders `n + 2` and `n + 4` of the sum over
all sign patterns are

    E_(n+2) / (n! x_1...x_n) = (n+1)(n+2) S / 6,
    E_(n+4) / (n! x_1...x_n) = (n+1)...(n+4) (S^2 / 72 - sum y_i^2 / 180),

where `S^2 / n <= sum y_i^2 <= S`, and `|x_1...x_n| <= (S / n)^(n/2)`. So the sum of both is bounded by
the maximum of a function of `S` alone.

For two numbers all orders can be bounded together. With `f(c + t) = sum_k a_k t^k` the gate's error is
`F(u + v) - F(u - v)` for

    F(t) = sum_{k = 4, 6, ...} a_k h^(k-2) t^k / (4 a_2),

so that on `|u|, |v| <= 1` it is at most the difference of the largest and the least value of `F` on
`[0, 2]`. Orders of opposite signs cancel there; `OPPOSING` says how they do so best.
"""

import dataclasses
import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ...linear.signs import sign_table

_LEADING_CELLS, _PAIR_CELLS = 128, 256


@dataclasses.dataclass(frozen=True)
class Patterns:
    """A family of `+-1` (or 0, 1) patterns of `n` inputs, weighted by products of signs.

    Attributes:
        n: the number of inputs.
        kind: `"signs"`: all `2^n` sign patterns. `"fixed"`: those with a plus at the first input,
            which keeps also even exponents of it, so that the order `n - 1` must vanish.
            `"subsets"`: all sums over subsets; the empty one is a constant, so `2^n - 1` units and
            an output bias. It keeps all monomials in which every input occurs.
    """

    n: int
    kind: str = "signs"

    @property
    def units(self) -> int:
        """The number of hidden units."""
        return {"signs": 2**self.n, "fixed": 2 ** (self.n - 1), "subsets": 2**self.n - 1}[self.kind]

    @property
    def repeats(self) -> int:
        """The factor of `n! a_n h^n x_1 ... x_n` in the weighted sum."""
        return 1 if self.kind == "subsets" else self.units

    @property
    def mass(self) -> float:
        """The sum of moduli of all weights (and the constant's), if `n! a_n h^n = 1`."""
        return 2.0**self.n if self.kind == "subsets" else 1.0

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """The patterns `(units, n)` and the signs of their weights."""
        signs = sign_table(self.n, fixed=self.kind == "fixed")
        if self.kind != "subsets":
            return signs, signs.prod(axis=1)
        chosen = (1 - signs[1:]) // 2
        return chosen, (-1) ** (self.n - chosen.sum(axis=1))

    def moment(self, k: int) -> float:
        """`E_k` at the corner, over `n^k`: what order `k` adds, where `order n` adds `n! / n^n`."""
        return _moment(self.n, self.kind, k)


@lru_cache(maxsize=4096)
def _moment(n: int, kind: str, k: int) -> float:
    # k! [t^k] of sinh(t)^n, exp(t) sinh(t)^(n-1) and (exp(t) - 1)^n, as sums of exponentials.
    if kind == "signs":
        terms = (math.comb(n, j) * (-1) ** j * (n - 2 * j) ** k for j in range(n + 1))
        return float(Fraction(sum(terms), 2**n * n**k))
    if kind == "fixed":
        terms = (math.comb(n - 1, j) * (-1) ** j * (n - 2 * j) ** k for j in range(n))
        return float(Fraction(sum(terms), 2 ** (n - 1) * n**k))
    terms = (math.comb(n, j) * (-1) ** j * (n - j) ** k for j in range(n + 1))
    return float(Fraction(sum(terms), n**k))


@lru_cache(maxsize=64)
def moments(patterns: Patterns, count: int) -> np.ndarray:
    """The moments of all orders below `count`, read-only."""
    found = np.array([patterns.moment(k) for k in range(count)])
    found.setflags(write=False)
    return found


@lru_cache(maxsize=64)
def mean_power(n: int) -> float:
    """`E|s_1 + ... + s_n|^n` over random signs."""
    total = sum(math.comb(n, j) * abs(n - 2 * j) ** n for j in range(n + 1))
    return float(Fraction(total, 2**n))


# Orders that cancel --------------------------------------------------------------------------------


def leading_orders(n: int, first: float, second: float) -> float:
    """The largest `|x_1...x_n| |first E_(n+2) + second E_(n+4)| / (n! |x_1...x_n|)` on `[-1, 1]^n`."""
    if not first and not second:
        return 0.0
    linear = first * (n + 1) * (n + 2) / 6
    factor = second * math.prod(range(n + 1, n + 5))
    ends = np.linspace(0, n, _LEADING_CELLS + 1)
    largest = np.zeros(_LEADING_CELLS)
    # The sum of squares at its largest, and at its smallest.
    for slope, curvature in ((linear - factor / 180, factor / 72), (linear, factor / 72 - factor / (180 * n))):
        values = np.abs(slope * ends + curvature * ends**2)
        bend = 2 * abs(curvature) * (n / _LEADING_CELLS) ** 2 / 8
        largest = np.maximum(largest, np.maximum(values[1:], values[:-1]) + bend)
    return float(((ends[1:] / n) ** (n / 2) * largest).max())


# The least range on [0, 1] of z^2 (p + z) and of z^2 (p + q z + z^2): 0.148 and 0.0294, against 1.
OPPOSING = {2: (-1.0,), 3: (0.68629, -1.65685)}


def pair_truncation(coefficients: np.ndarray, inflation: float) -> float:
    """The range of `sum_k coefficients[k] t^(2 k)` on `[0, 2 inflation]`, from above."""
    orders = 2 * np.arange(len(coefficients))
    t = np.linspace(0, 2 * inflation, _PAIR_CELLS + 1)
    values = np.polynomial.polynomial.polyval(t**2, coefficients)
    # Between points of the grid a function leaves its chord by at most f'' d^2 / 8.
    curvature = (
        np.abs(coefficients) * orders * np.maximum(orders - 1, 0) @ (2 * inflation) ** np.maximum(orders - 2.0, 0)
    )
    return float(values.max() - values.min() + 2 * curvature * (t[1] - t[0]) ** 2 / 8)
