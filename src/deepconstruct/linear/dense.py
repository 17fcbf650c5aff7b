"""A map with every entry free."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import check_leaf, check_shape
from .operator import AbstractLinear, apply_matrix


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
        weight = jnp.asarray(weight)
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

    def apply(self, x):
        return apply_matrix(self.weight, x)

    def entries(self):
        rows, cols = np.indices(self.shape)
        return rows.ravel(), cols.ravel(), self.weight.reshape(self.out_size * self.in_size)
