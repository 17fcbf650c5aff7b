r"""Functions of bits in one hidden layer: each unit is an AND of some bits.

Every function of `n` bits is `f(x) = h_0 + sum_S h_S prod_{i in S} x_i` with the Moebius coefficients
`h_S = sum_{T subset S} (-1)^(|S| - |T|) f(T)`; and it is `sum_T f(T) [x = T]`, one term an input.
"""

from .bit_product import bit_product as bit_product
from .classifier import boolean_classifier as boolean_classifier
from .function import boolean_function as boolean_function

# In the order of the catalog.
__all__ = ["bit_product", "boolean_function", "boolean_classifier"]  # noqa: RUF022
