"""Roots of unity to far more digits than a float holds, by integer arithmetic.

`np.exp(2j * np.pi * k / n)` gives `cos(pi / 2) = 6e-17`, a synapse that isn't there, and is off by
up to an ulp elsewhere. Here the index is reduced to one octant first, so that 0, ±1 and ±i are
exact, and the octant is filled in fixed point.
"""

import math
from functools import lru_cache

import numpy as np

_BITS = 160
_ONE = 1 << _BITS


@lru_cache(maxsize=64)
def roots_of_unity(n: int) -> tuple[np.ndarray, np.ndarray]:
    """`exp(2 pi i k / n)` for `k < n` as complex128 arrays `(high, low)` whose sum is the root.

    `high` is the nearest double (component by component) and the sum is good to 100 bits.
    """
    eighths = 8 * np.arange(n)
    octant, rest = eighths // n, eighths % n
    # Odd octants count the angle back from the next multiple of pi / 4.
    rest = np.where(octant % 2 == 1, n - rest, rest)
    step = math.gcd(8, n)
    high, low = (_unfold(octant, part[rest // step]) for part in _octant(n, step))
    for array in (high, low):
        array.setflags(write=False)
    return high, low


def _unfold(octant: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Put `point = cos t + i sin t`, with `t` in the first octant, into its own octant."""
    c, s = np.real(point), np.imag(point)
    real = np.choose(octant, [c, s, -s, -c, -c, -s, s, c])
    imag = np.choose(octant, [s, c, c, s, -s, -c, -c, -s])
    return real + 1j * imag


def _octant(n: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """`exp(2 pi i r / (8 n))` for `r = 0, step, ..., n`, split into high and low parts."""
    cos1, sin1 = _cos_sin(2 * _pi() * step // (8 * n))
    c, s = _ONE, 0
    high, low = [], []
    for _ in range(n // step + 1):
        (c_high, c_low), (s_high, s_low) = _split(c), _split(s)
        high.append(complex(c_high, s_high))
        low.append(complex(c_low, s_low))
        c, s = (c * cos1 - s * sin1) >> _BITS, (s * cos1 + c * sin1) >> _BITS
    return np.array(high), np.array(low)


def _split(fixed: int) -> tuple[float, float]:
    """The nearest double and the double nearest to what it leaves."""
    high = fixed / _ONE  # Python rounds a quotient of integers correctly
    numerator, denominator = high.as_integer_ratio()
    return high, (fixed * denominator - numerator * _ONE) / (_ONE * denominator)


def _cos_sin(angle: int) -> tuple[int, int]:
    """Taylor series of cosine and sine of a fixed-point angle below 1."""
    sums, term, order = [0, 0], _ONE, 0
    while term:
        sums[order % 2] += term if order % 4 < 2 else -term
        order += 1
        term = (term * angle >> _BITS) // order
    return sums[0], sums[1]


def _pi() -> int:
    """Machin: pi = 16 arctan(1/5) - 4 arctan(1/239)."""
    return 16 * _arctan_inverse(5) - 4 * _arctan_inverse(239)


def _arctan_inverse(x: int) -> int:
    total, power, order = 0, _ONE // x, 1
    while power:
        total += power // order if order % 4 == 1 else -(power // order)
        power //= x * x
        order += 2
    return total
