"""Checkpoints of a training run: one file, from which it goes on."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .atomic import read_arrays, write_arrays

_RUN, _LOSS, _LEAF = "run", "loss", "leaf"


class Checkpoint:
    """The last finished part of one run.

    Args:
        path: the file.
        run: everything that decides the result: arrays, numbers and modules, as one pytree.
    """

    def __init__(self, path: str | os.PathLike, run: Any):
        self.path, self.run = Path(path), _digest(run)

    def read(self, state: Any) -> tuple[Any, list[Array]]:
        """The stored state, in the structure of `state`, and the losses so far; else `state` itself."""
        if not self.path.exists():
            return state, []
        try:
            found = read_arrays(self.path)
            run, losses = str(found.pop(_RUN)), found.pop(_LOSS)
        except (ValueError, KeyError) as error:
            warnings.warn(f"fit: {self.path} is damaged ({error}); training starts again", stacklevel=3)
            return state, []
        if run != self.run:
            raise ValueError(
                f"fit: {self.path} is of another run: another network, loss, optimizer, key, number of steps or "
                "interval; pass another store"
            )
        leaves, structure = jax.tree.flatten(state)
        restored = [_restored(found[f"{_LEAF}{index}"], leaf) for index, leaf in enumerate(leaves)]
        return jax.tree.unflatten(structure, restored), [jnp.asarray(losses)]

    def write(self, state: Any, losses: Sequence[Array]) -> None:
        """Replace the stored state; a kill leaves the old one or the new one."""
        leaves = {f"{_LEAF}{index}": _stored(leaf) for index, leaf in enumerate(jax.tree.leaves(state))}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(self.path, {_RUN: np.array(self.run), _LOSS: np.concatenate(losses), **leaves})


def _digest(tree: Any) -> str:
    """A digest of the arrays and numbers of a pytree, of its structure, and of the names of its functions."""
    leaves, structure = jax.tree.flatten(tree)
    digest = hashlib.sha256(str(structure).encode())
    for leaf in leaves:
        if callable(leaf):
            digest.update(getattr(leaf, "__qualname__", type(leaf).__qualname__).encode())
        else:
            array = _stored(leaf)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _stored(leaf: Any) -> np.ndarray:
    """A leaf as numbers: optimizers that add noise keep a key in their state."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _restored(values: np.ndarray, leaf: Array) -> Array:
    """Stored numbers as a leaf of the same type as `leaf`."""
    if _is_key(leaf):
        return jax.random.wrap_key_data(jnp.asarray(values), impl=jax.random.key_impl(leaf))
    if not getattr(leaf, "weak_type", False):
        return jnp.asarray(values)
    # Only Python's numbers are weak, and what follows from a weak number may be of another precision.
    return jnp.stack([jnp.asarray(value) for value in values.ravel().tolist()]).reshape(values.shape)
