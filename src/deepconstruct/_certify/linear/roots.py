"""Roots of unity for proofs, by another route than the weights' (`_roots`): every one by its own Taylor series.

The angle `2 pi k / n` is turned by quarter turns, which are exact, to at most `pi / 4` in modulus. There cosine and
sine are summed up in integers of 192 bits behind the point, with pi by Euler's `arctan(1/2) + arctan(1/3)`.
Every product, quotient and root of integers is rounded by less than 1, there are fewer than 200 of them, and none
of their errors is enlarged: in all less than `2^-180`.
"""

import math
from functools import lru_cache

import numpy as np

_BITS = 192
_ONE = 1 << _BITS
# What a sum of two doubles leaves of a number up to 1, with the errors of the integers.
PAIR_SLACK = 2.0**-104


@lru_cache(maxsize=32)
def roots(n: int, *, halved: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """`exp(2 pi i k / n)` for `k < n`, divided by `sqrt(2)` if `halved`, as pairs of doubles to be added.

    The first is the double nearest to each part; both together are right to `PAIR_SLACK` in each part.
    """
    unit = math.isqrt(_ONE * _ONE // 2) if halved else _ONE
    angle = 2 * _pi()
    parts = [_turned(k, n, angle, unit) for k in range(n)]
    pairs = [(_split(real), _split(imag)) for real, imag in parts]
    high, low = (np.array([complex(real[i], imag[i]) for real, imag in pairs]) for i in (0, 1))
    for array in (high, low):
        array.setflags(write=False)
    return high, low


def _turned(k: int, n: int, angle: int, unit: int) -> tuple[int, int]:
    """`unit exp(i angle k / n)`; `angle` is a full turn."""
    quarters = (8 * k + n) // (2 * n)  # the nearest number of quarter turns
    c, s = _cos_sin(angle * (4 * k - quarters * n) // (4 * n))
    c, s = (c, s) if unit == _ONE else (c * unit >> _BITS, s * unit >> _BITS)
    return ((c, s), (-s, c), (-c, -s), (s, -c))[quarters % 4]


def _cos_sin(x: int) -> tuple[int, int]:
    """Cosine and sine of `x`, up to about 0.8 in modulus, by their series."""
    square, cosine, sine = x * x >> _BITS, 0, 0
    term, order = _ONE, 0
    while term:
        cosine, order = cosine + term, order + 2
        term = -(term * square >> _BITS) // (order * (order - 1))
        term = 0 if abs(term) <= 1 else term
    term, order = x, 1
    while term:
        sine, order = sine + term, order + 2
        term = -(term * square >> _BITS) // (order * (order - 1))
        term = 0 if abs(term) <= 1 else term
    return cosine, sine


def _pi() -> int:
    return 4 * (_arctan(2) + _arctan(3))


def _arctan(q: int) -> int:
    """`arctan(1 / q)` by Euler's series: every term is the one before it times `2 k / (2 k + 1) / (1 + q^2)`."""
    term = _ONE * q // (q * q + 1)
    total, k = 0, 0
    while term:
        total, k = total + term, k + 1
        term = term * 2 * k // ((2 * k + 1) * (q * q + 1))
    return total


def _split(value: int) -> tuple[float, float]:
    """The nearest double, and the double nearest to what it leaves."""
    high = value / _ONE
    over, under = high.as_integer_ratio()
    return high, (value * under - over * _ONE) / (_ONE * under)
