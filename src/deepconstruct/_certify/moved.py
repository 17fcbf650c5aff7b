"""Proof of robustness around single points: what inputs moved by at most a radius add to the error.

Around a point `x`, let `L_j` bound the sums of moduli of the derivatives of the network `N` over the real numbers
on the box of radius `s_j`, `0 = s_0 < s_1 < ... < s_m`, and `r_j` what is rounded there. For `x'` off by `delta`
between `s_(j-1)` and `s_j`,

    |fl(N)(x') - target(x)| <= |N(x) - target(x)| + r_j + sum_(i < j) L_i (s_i - s_(i-1)) + L_j (delta - s_(j-1)),

which is at most `error + rounding + gain delta` on all of the shell if it is so at both of its ends.
"""

import itertools
import math

import numpy as np

from .._arithmetic.slopes import steepness
from ..construction import Construction, spread

# Shells of equal width: one where that is enough, more where derivatives grow.
_SHELLS = (1, 4, 16, 128)
# More than the few roundings of sums and products in extended precision, all of positive numbers.
_UP = 1 + 16 * np.finfo(np.longdouble).eps


def can_be_moved(construction: Construction) -> bool:
    """Whether a claim speaks of moved inputs in a way that is looked at."""
    claim = construction.claim
    return 0 < claim.robustness.radius < math.inf and claim.error.relative == 0


def stands_moved(construction: Construction, x: np.ndarray, real: np.ndarray, most: float) -> bool:
    """Whether the claim is proved for all inputs around points `x`, where the network is off by `real` over the reals.

    At most so many shells are taken; where a map has no rule, nothing is proved.
    """
    left = np.arange(len(x))
    for shells in (count for count in _SHELLS if count <= most):
        try:
            held, hopeless = _stands(construction, x[left], real[left], shells)
        except TypeError:
            return False
        left = left[~held]
        if not len(left) or hopeless:
            break
    return not len(left)


def _stands(construction: Construction, x: np.ndarray, real: np.ndarray, shells: int) -> tuple[np.ndarray, bool]:
    """Around which points so many shells prove the claim; and whether there is one where no number of them would.

    That is so where already the derivatives on the inner side of each shell add up to too much.
    """
    claim, robustness = construction.claim, construction.claim.robustness
    gain = spread(robustness.gain, claim.codomain.size).astype(np.longdouble)
    room = spread(claim.error.absolute, claim.codomain.size) + np.longdouble(robustness.rounding)
    edges = [robustness.radius * (j / shells) for j in range(shells)] + [robustness.radius]
    passed = least = np.zeros(real.shape, np.longdouble)
    before = steepness(construction.network, x, x).slopes if shells > 1 else least
    held = np.ones(len(x), bool)
    for inner, outer in itertools.pairwise(edges):
        found = steepness(construction.network, -_raised(-x, outer), _raised(x, outer))
        width, error = np.longdouble(outer) - inner, real.astype(np.longdouble) + found.rounding
        start, end = ((room + (gain * edge if edge else 0.0)) * (2 - _UP) for edge in (inner, outer))
        further, least = passed + found.slopes * (width * _UP), least + before * width
        if not np.all(error + least <= end * _UP * _UP) or not np.all(np.isfinite(found.slopes)):
            return np.zeros(len(x), bool), True
        held &= np.all(((passed + error) * _UP <= start) & ((further + error) * _UP <= end), axis=1)
        passed, before = further * _UP, found.slopes
    return held, False


def _raised(x: np.ndarray, by: float) -> np.ndarray:
    """`x + by`, rounded up."""
    total = x + by
    part = total - x
    rest = (x - (total - part)) + (by - part)
    return np.where(rest > 0, np.nextafter(total, np.inf), total)
