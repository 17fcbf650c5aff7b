"""Which sums of the inputs a gate's units see, and with what signs they are added."""

import dataclasses
import math
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ...linear.signs import sign_table


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
