"""Networks with weights stacked along a leading axis, as `jax.vmap` makes and takes them."""

from typing import Any

import jax
import numpy as np

from .repeat import Repeat


def stacked_axes(layers: Any) -> list[tuple[int, ...]] | None:
    """The axes that every leaf has before its own; `None` where leaves were replaced by something else."""
    expected = [
        (part.times, *shape) if isinstance(part, Repeat) else shape
        for part in layers
        for layer in (part.layers if isinstance(part, Repeat) else (part,))
        for shape in layer.leaf_shapes
    ]
    leaves = jax.tree.leaves(layers)
    if len(leaves) != len(expected) or not all(hasattr(leaf, "shape") for leaf in leaves):
        return None
    pairs = zip(leaves, expected, strict=True)
    return [np.shape(leaf)[: max(len(np.shape(leaf)) - len(shape), 0)] for leaf, shape in pairs]


def check_single(owner: str, layers: Any) -> None:
    """Refuse to run a stack of networks as if it were one."""
    for axes in stacked_axes(layers) or []:
        if axes:
            raise TypeError(
                f"{owner}: this is a stack of {axes[0]} networks; run all of them as "
                "jax.vmap(lambda n, x: n(x), in_axes=(0, None))(stack, x), or take dc.unstack(stack)"
            )
