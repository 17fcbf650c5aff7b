"""The truncation of a gate for two numbers, all orders together.

With `f(c + t) = sum_k a_k t^k` the gate's error is `F(u + v) - F(u - v)` for

    F(t) = sum_{k = 4, 6, ...} a_k h^(k-2) t^k / (4 a_2),

so that on `|u|, |v| <= 1` it is at most the difference of the largest and the least value of `F` on
`[0, 2]`. Orders of opposite signs cancel there; `OPPOSING` says how they do so best.
"""

import numpy as np

_CELLS = 256

# The least range on [0, 1] of z^2 (p + z) and of z^2 (p + q z + z^2): 0.148 and 0.0294, against 1.
OPPOSING = {2: (-1.0,), 3: (0.68629, -1.65685)}


def pair_truncation(coefficients: np.ndarray, inflation: float) -> float:
    """The range of `sum_k coefficients[k] t^(2 k)` on `[0, 2 inflation]`, from above."""
    orders = 2 * np.arange(len(coefficients))
    t = np.linspace(0, 2 * inflation, _CELLS + 1)
    values = np.polynomial.polynomial.polyval(t**2, coefficients)
    # Between points of the grid a function leaves its chord by at most f'' d^2 / 8.
    curvature = (
        np.abs(coefficients) * orders * np.maximum(orders - 1, 0) @ (2 * inflation) ** np.maximum(orders - 2.0, 0)
    )
    return float(values.max() - values.min() + 2 * curvature * (t[1] - t[0]) ** 2 / 8)
