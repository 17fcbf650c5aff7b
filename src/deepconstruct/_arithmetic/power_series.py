"""Truncated power series as arrays `(terms, ...)` of coefficients.

All work along the first axis, so that one call expands a function about many centers.
"""

import numpy as np


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
