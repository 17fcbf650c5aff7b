"""Networks as exported functions of JAX."""

from typing import Any

import jax
from jax import export

from .plain import one_network


def to_jax_export(network: Any) -> export.Exported:
    """The function `(weights, x) -> network(x)`, lowered once, for any weights and any number of inputs but none.

    `exported.serialize()` gives bytes that `jax.export.deserialize` reads without this library; `weights` is the
    list `jax.tree.leaves(network)`, and `x` has shape `(batch, in_size)`.

    Args:
        network: a `Network` or `Construction`.

    Returns:
        The function, as JAX exports it for the platform that it runs on.

    Raises:
        TypeError: no network, or an ensemble.

    Exactness: the network's own order of operations is kept.

    Example:
        >>> import deepconstruct as dc, jax, numpy as np
        >>> xor = dc.parity(2, dtype="float32")
        >>> exported = dc.interchange.to_jax_export(xor)
        >>> exported.call(jax.tree.leaves(xor.network), np.eye(2, dtype="float32")).tolist()
        [[1.0], [1.0]]
    """
    network = one_network("to_jax_export", network)
    leaves, structure = jax.tree.flatten(network)
    (batch,) = export.symbolic_shape("batch")

    def run(weights: Any, x: Any) -> Any:
        # Inputs one by one: what the network chooses by the number of inputs has no place here.
        return jax.vmap(jax.tree.unflatten(structure, weights))(x)

    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    return export.export(jax.jit(run))(shapes, jax.ShapeDtypeStruct((batch, network.in_size), network.dtype))
