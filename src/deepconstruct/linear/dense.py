"""A map with every entry free."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import as_numbers, cast, check_leaf, check_shape, known
from .operator import AbstractLinear, apply_matrix, as_weights, floating


class Dense(AbstractLinear):
    """`W x` with `weight` of shape `(out_size, in_size)`.

    Cost: `out_size * in_size` parameters; one matrix product.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.linear.Dense(jnp.array([[1.0, 2.0]]))(jnp.array([3.0, 4.0])).tolist()
        [11.0]
    """

    weight: Inexact[Array, "out in"]
    shape: tuple[int, int] = eqx.field(static=True)

    def __init__(self, weight: Inexact[Array, "out in"]):
        weight = as_weights("Dense", "weight", weight)
        if weight.ndim != 2:
            raise ValueError(f"Dense: weight must have shape (out, in); got {weight.shape}")
        self.weight = weight
        self.shape = (weight.shape[0], weight.shape[1])

    def __check_init__(self):
        check_shape("Dense", "shape", self.shape, 2, minimum=0)
        check_leaf("Dense", "weight", self.weight, self.shape)

    @property
    def in_size(self) -> int:
        return self.shape[1]

    @property
    def out_size(self) -> int:
        return self.shape[0]

    @property
    def leaf_shapes(self):
        return (self.shape,)

    def apply(self, x):
        return apply_matrix(self.weight, x)

    def entries(self):
        rows, cols = np.indices(self.shape)
        return rows.ravel(), cols.ravel(), known(self.weight).reshape(self.out_size * self.in_size)


def as_linear(owner: str, value: Any, dtype: Any = None) -> AbstractLinear:
    """A linear map, or a matrix of NumPy, JAX or nested lists as a dense one; integers become floats."""
    if isinstance(value, AbstractLinear):
        return value
    expected = f"{owner}: linear must be a map of dc.linear or a matrix of shape (out, in)"
    if not isinstance(value, list | tuple) and not hasattr(value, "shape"):
        raise TypeError(f"{expected}; got {type(value).__name__}")
    numbers = as_numbers(owner, "a matrix", value)
    if numbers.ndim != 2 or 0 in numbers.shape:
        raise ValueError(f"{expected}; got shape {numbers.shape}")
    return Dense(cast(numbers, floating(numbers) if dtype is None else dtype))
