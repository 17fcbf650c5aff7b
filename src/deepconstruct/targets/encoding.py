"""Bits as signs, and back: `b` in `{0, 1}` is written as the sign `1 - 2 b`."""

import dataclasses
from fractions import Fraction

import numpy as np

from .._checks import check_size
from .._static import inexact
from .base import Formula, own
from .exact import is_small, unified, widened


@dataclasses.dataclass(frozen=True)
class BitsToSigns(Formula):
    """`1 - 2 b` of `n` numbers: 0 becomes 1, and 1 becomes -1."""

    n: int

    def __post_init__(self):
        check_size("BitsToSigns", "n", self.n)

    @property
    def name(self):
        return f"bits to signs({self.n})"

    def _evaluate(self, x):
        return 1 - 2 * inexact(x)

    def _exactness(self, given):
        return own(self, given)

    def _exact(self, x):
        return 1 - 2 * (x if is_small(x, 2**60) else widened(x))


@dataclasses.dataclass(frozen=True)
class SignsToBits(Formula):
    """`(1 - s) / 2` of `n` numbers: 1 becomes 0, and -1 becomes 1."""

    n: int

    def __post_init__(self):
        check_size("SignsToBits", "n", self.n)

    @property
    def name(self):
        return f"signs to bits({self.n})"

    def _evaluate(self, x):
        return (1 - inexact(x)) / 2

    def _exactness(self, given):
        return own(self, given)

    def _exact(self, x):
        if is_small(x, 2**60) and np.all(x % 2 == 1):
            return (1 - x) // 2
        x, number = unified(x)
        return (1 - x) * number(Fraction(1, 2))
