"""The two leading orders of a gate's truncation: of opposite signs they cancel in part.

Relative to the product, with `y_i = x_i^2` and `S = sum y_i`, the orders `n + 2` and `n + 4` of the sum
over sign patterns are

    E_(n+2) / (n! x_1...x_n) = (n+1)(n+2) S / 6,
    E_(n+4) / (n! x_1...x_n) = (n+1)...(n+4) (S^2 / 72 - sum y_i^2 / 180),

where `S^2 / n <= sum y_i^2 <= S`, and `|x_1...x_n| <= (S / n)^(n/2)`. So the sum of both is bounded by
the maximum of a function of `S` alone.
"""

import math

import numpy as np

_CELLS = 128


def leading_orders(n: int, first: float, second: float) -> float:
    """The largest `|x_1...x_n| |first E_(n+2) + second E_(n+4)| / (n! |x_1...x_n|)` on `[-1, 1]^n`."""
    if not first and not second:
        return 0.0
    linear = first * (n + 1) * (n + 2) / 6
    factor = second * math.prod(range(n + 1, n + 5))
    ends = np.linspace(0, n, _CELLS + 1)
    largest = np.zeros(_CELLS)
    # The sum of squares at its largest, and at its smallest.
    for slope, curvature in ((linear - factor / 180, factor / 72), (linear, factor / 72 - factor / (180 * n))):
        values = np.abs(slope * ends + curvature * ends**2)
        bend = 2 * abs(curvature) * (n / _CELLS) ** 2 / 8
        largest = np.maximum(largest, np.maximum(values[1:], values[:-1]) + bend)
    return float(((ends[1:] / n) ** (n / 2) * largest).max())
