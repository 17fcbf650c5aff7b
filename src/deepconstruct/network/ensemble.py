"""Many networks as one, and back."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from .network import Network
from .queries import network_of, stack_size


def stack(networks: Iterable[Any]) -> Network:
    """Networks that were built alike as one, every weight with a leading axis.

    This is the form in which `jax.vmap` returns and takes many networks. It isn't called as such: run
    it as `jax.vmap(lambda n, x: n(x), in_axes=(0, None))(stack, x)`. `cost` counts every member, and
    files keep it; other questions are asked of the members, which `unstack` gives.

    Args:
        networks: at least one; of constructions the networks are taken, and their claims are left.

    Returns:
        The stack, a `Network`.

    Raises:
        ValueError: no networks, or such as differ in structure, shapes or dtype.
        TypeError: something else than networks.

    Example:
        >>> import deepconstruct as dc, jax
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> noisy = jax.vmap(lambda key: dc.perturb(dc.parity(4), 0.1, key=key))(keys)
        >>> again = dc.stack(dc.unstack(noisy))
        >>> jax.vmap(lambda n, x: n(x), in_axes=(0, None))(again, [1, 0, 0, 0]).shape
        (3, 1)
    """
    if isinstance(networks, Network) or not isinstance(networks, Iterable):
        raise TypeError(f"stack: expected a list of networks; got {type(networks).__name__}")
    members = [network_of("stack", network) for network in networks]
    if not members:
        raise ValueError("stack: expected at least one network; got none")
    for index, member in enumerate(members[1:], 1):
        if (why := _difference(members[0], member)) is not None:
            raise ValueError(f"stack: all networks must be built alike; number {index} has {why} than the first")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def unstack(network: Network) -> list[Network]:
    """The networks of a stack: of `stack`, or of what `jax.vmap` returned.

    Args:
        network: a stack.

    Returns:
        Its members, in order.

    Raises:
        ValueError: a network that is no stack.

    Example:
        >>> import deepconstruct as dc
        >>> [member([1, 0]).tolist() for member in dc.unstack(dc.stack([dc.parity(2), dc.parity(2)]))]
        [[1.0], [1.0]]
    """
    network = network_of("unstack", network)
    size = stack_size(network)
    if size is None:
        raise ValueError("unstack: expected a stack of networks; got a single one")
    leaves, structure = jax.tree.flatten(network)
    members = zip(*map(jnp.unstack, leaves), strict=True)
    return [jax.tree.unflatten(structure, member) for member in members]


def _difference(first: Network, other: Network) -> str | None:
    """In what two networks differ, where they can't be stacked."""
    if jax.tree.structure(first) != jax.tree.structure(other):
        return "other layers, sizes or labels"
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True):
        if a.shape != b.shape:
            return f"weights of another shape ({b.shape} and not {a.shape})"
        if a.dtype != b.dtype:
            return f"another dtype ({b.dtype} and not {a.dtype})"
    return None
