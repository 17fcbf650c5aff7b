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
_SHELLS = (1, 4, 16)
# More than the few roundings of sums and products in extended precision, all of positive numbers.
_UP = 1 + 16 * np.finfo(np.longdouble).eps


def can_be_moved(construction: Construction) -> bool:
    """Whether a claim speaks of moved inputs in a way that is looked at."""
    claim = construction.claim
    return 0 < claim.robustness.radius < math.inf and claim.error.relative == 0


def stands_moved(construction: Construction, x: np.ndarray, real: np.ndarray) -> bool:
    """Whether the claim is proved for all inputs around points `x`, where the network is off by `real` over the reals.

    Raises:
        TypeError: an activation or a map without a rule.
    """
    left = np.arange(len(x))
    for shells in _SHELLS:
        left = left[~_stands(construction, x[left], real[left], shells)]
        if not len(left):
            return True
    return False


def _stands(construction: Construction, x: np.ndarray, real: np.ndarray, shells: int) -> np.ndarray:
    claim, robustness = construction.claim, construction.claim.robustness
    gain = spread(robustness.gain, claim.codomain.size).astype(np.longdouble)
    allowed = (spread(claim.error.absolute, claim.codomain.size) + np.longdouble(robustness.rounding)) * (2 - _UP)
    edges = [robustness.radius * (j / shells) for j in range(shells)] + [robustness.radius]
    passed, held = np.zeros(real.shape, np.longdouble), np.ones(len(x), bool)
    for inner, outer in itertools.pairwise(edges):
        found = steepness(construction.network, -_raised(-x, outer), _raised(x, outer))
        error = real.astype(np.longdouble) + found.rounding
        further = found.slopes * ((np.longdouble(outer) - inner) * _UP)
        with np.errstate(invalid="ignore"):
            at_start = (passed + error) * _UP <= allowed + (gain * inner * (2 - _UP) if inner else 0.0)
            at_end = (passed + further + error) * _UP <= allowed + gain * outer * (2 - _UP)
        held &= np.all(at_start & at_end, axis=1)
        passed = (passed + further) * _UP
        if not held.any():
            break
    return held


def _raised(x: np.ndarray, by: float) -> np.ndarray:
    """`x + by`, rounded up."""
    total = x + by
    part = total - x
    rest = (x - (total - part)) + (by - part)
    return np.where(rest > 0, np.nextafter(total, np.inf), total)
