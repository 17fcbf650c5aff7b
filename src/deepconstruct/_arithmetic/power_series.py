"""Truncated power series: what is known of one, and as arrays `(terms, ...)` of coefficients.

All operations work along the first axis, so that one call expands a function about many centers.
"""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Taylor:
    """The expansion of an activation about `center`, valid within `radius` of it.

    Attributes:
        center: the point.
        coefficients: the first terms, by order.
        slack: bounds of their errors.
        radius: how far from the center `tail` holds (exclusive).
        tail: `tail(h)` bounds what is left out within `h` of the center.
        proved: whether `tail` is a bound, or merely hoped to be small.
    """

    center: float
    coefficients: np.ndarray
    slack: np.ndarray
    radius: float
    tail: Callable[[float], float]
    proved: bool = True

    def moduli(self) -> np.ndarray:
        """Upper bounds of the moduli of the coefficients."""
        return np.abs(self.coefficients) + self.slack

    def height(self, h: float) -> float:
        """A bound of the modulus of the function within `h` of the center."""
        return float(self.moduli() @ h ** np.arange(len(self.coefficients))) + self.tail(h)

    def slope(self, h: float) -> float:
        """A bound of the modulus of the derivative within `h` of the center.

        Cauchy's estimate on a disc of radius `step` gives the tail's derivative from its height.
        """
        orders = np.arange(1, len(self.coefficients))
        step = (min(self.radius, 2 * h + 1) - h) / 2
        return float((orders * self.moduli()[1:]) @ h ** (orders - 1)) + self.tail(h + step) / step


def variable(center: np.ndarray, terms: int) -> np.ndarray:
    """The series of `z` about each center."""
    result = np.zeros((terms, *np.shape(center)))
    result[0] = center
    if terms > 1:
        result[1] = 1.0
    return result


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product, with as many terms."""
    result = np.zeros(np.broadcast_shapes(a.shape, b.shape))
    for k in range(len(a)):
        result[k:] += a[k] * b[: len(b) - k]
    return result


def integral(derivative: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """The antiderivative with the given constant term, with as many terms."""
    orders = np.arange(1, len(derivative)).reshape(-1, *[1] * (derivative.ndim - 1))
    return np.concatenate([np.asarray(constant)[None], derivative[:-1] / orders])


def exponential(a: np.ndarray) -> np.ndarray:
    """`exp(a)`, by the recursion that `e' = a' e` gives."""
    result = np.zeros_like(a)
    result[0] = np.exp(a[0])
    for k in range(1, len(a)):
        weights = np.arange(1, k + 1).reshape(-1, *[1] * (a.ndim - 1))
        result[k] = (weights * a[1 : k + 1] * result[k - 1 :: -1][:k]).sum(axis=0) / k
    return result


def logistic_of(a: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The logistic function of `a`, whose constant term is `value`, by `s' = a' s (1 - s)`."""
    result = np.zeros_like(a)
    product = np.zeros_like(a)  # s (1 - s)
    result[0], product[0] = value, value * (1 - value)
    for k in range(1, len(a)):
        weights = np.arange(1, k + 1).reshape(-1, *[1] * (a.ndim - 1))
        result[k] = (weights * a[1 : k + 1] * product[k - 1 :: -1][:k]).sum(axis=0) / k
        product[k] = result[k] - (result[: k + 1] * result[k::-1][: k + 1]).sum(axis=0)
    return result
