"""Maps made of maps: side by side, and on the same input."""

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import library
from .operator import AbstractLinear, alike


class DirectSum(AbstractLinear):
    """Blocks of different kinds on consecutive features: `y = (A x_1, B x_2, ...)`.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> both = dc.linear.DirectSum((dc.linear.Identity(1), dc.linear.Dense(jnp.ones((1, 2)))))
        >>> both(jnp.array([5.0, 1.0, 2.0])).tolist()
        [5.0, 3.0]
    """

    parts: tuple[AbstractLinear, ...]

    def __check_init__(self):
        _check_parts("DirectSum", self.parts)

    @property
    def in_size(self) -> int:
        return sum(part.in_size for part in self.parts)

    @property
    def out_size(self) -> int:
        return sum(part.out_size for part in self.parts)

    @property
    def leaf_shapes(self):
        return tuple(shape for part in self.parts for shape in part.leaf_shapes)

    @property
    def summation(self):
        return common_order(self.parts)

    def apply(self, x):
        outputs, start = [], 0
        for part in self.parts:
            outputs.append(part.apply(jax.lax.slice_in_dim(x, start, start + part.in_size, axis=1)))
            start += part.in_size
        return jnp.concatenate(outputs, axis=1)

    def entries(self):
        return _joined([part.entries() for part in self.parts], self.parts, shift_columns=True)


class Stack(AbstractLinear):
    """Several maps of the same input, outputs concatenated: `y = (A x, B x, ...)`.

    Raises:
        ValueError: parts of different `in_size`.
    """

    parts: tuple[AbstractLinear, ...]

    def __check_init__(self):
        _check_parts("Stack", self.parts)
        sizes = {part.in_size for part in self.parts}
        if len(sizes) > 1:
            raise ValueError(f"Stack: all parts must have the same in_size; got {sorted(sizes)}")

    @property
    def in_size(self) -> int:
        return self.parts[0].in_size

    @property
    def out_size(self) -> int:
        return sum(part.out_size for part in self.parts)

    @property
    def leaf_shapes(self):
        return tuple(shape for part in self.parts for shape in part.leaf_shapes)

    @property
    def summation(self):
        return common_order(self.parts)

    def apply(self, x):
        return jnp.concatenate([part.apply(x) for part in self.parts], axis=1)

    def entries(self):
        return _joined([part.entries() for part in self.parts], self.parts, shift_columns=False)


def common_order(parts: tuple[AbstractLinear, ...]) -> str:
    """The order of summation that bounds may count on in every part."""
    orders = {part.summation for part in parts}
    return orders.pop() if len(orders) == 1 else "any"


def _check_parts(owner: str, parts: tuple) -> None:
    if not isinstance(parts, tuple) or not parts or not all(isinstance(part, AbstractLinear) for part in parts):
        raise ValueError(f"{owner}: parts must be a non-empty tuple of linear maps; got {parts!r}")


def _joined(entries: list, parts: tuple[AbstractLinear, ...], *, shift_columns: bool):
    row_starts = np.cumsum([0] + [part.out_size for part in parts[:-1]])
    col_starts = np.cumsum([0] + [part.in_size for part in parts[:-1]]) * int(shift_columns)
    rows = np.concatenate([rows + start for (rows, _, _), start in zip(entries, row_starts, strict=True)])
    cols = np.concatenate([cols + start for (_, cols, _), start in zip(entries, col_starts, strict=True)])
    values = alike(*(values for _, _, values in entries))
    return rows, cols, library(*values).concatenate(values)
