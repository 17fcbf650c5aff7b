r"""Gates: one hidden layer that multiplies `n` numbers, and a bound of its error.

With the Taylor coefficients `a_k` of an activation about a bias `c`,

    sum_s (s_1 ... s_n) f(c + h (s_1 x_1 + ... + s_n x_n)) = 2^n sum_k a_k h^k E_k(x),

where the sum runs over all `2^n` sign patterns and `E_k` has only monomials with odd exponents: it
is 0 for `k < n` and for odd `k - n`, `n! x_1 ... x_n` for `k = n`, and its coefficients are positive.
Divided by `2^n n! a_n h^n` this is the product, up to terms that are largest at the corner
`x = (1, ..., 1)` and are summed there, with a bound of the tail (`_arithmetic.taylor`). For `n = 2`,
`k = 4`: `|a_4 / a_2| 4 h^2`, the `l^2 |s4| A^4 / (3 |s2|)` of the second-order analysis. `n = 1` copies.

Two other families of patterns need fewer units under conditions of their own (`patterns`).
"""

from .choice import (
    Richardson as Richardson,
    choose as choose,
    choose_richardson as choose_richardson,
    floor as floor,
    why_none as why_none,
)
from .gate import Gate as Gate, GateError as GateError
from .patterns import Patterns as Patterns

__all__ = [
    "Gate",
    "GateError",
    "Patterns",
    "Richardson",
    "choose",
    "choose_richardson",
    "floor",
    "why_none",
]
