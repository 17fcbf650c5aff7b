"""Variants of constructions that certificates have to tell from the original."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import deepconstruct as dc


def claiming(construction, **changes):
    """The same network and origin with another claim."""
    return dataclasses.replace(construction, claim=dataclasses.replace(construction.claim, **changes))


def with_entry(construction, at, place, change):
    """The same claim for a network of which one entry of leaf number `at` is changed by a function."""
    leaves, treedef = jax.tree.flatten(construction.network)
    leaf = np.array(leaves[at])
    with np.errstate(over="ignore"):
        leaf[place] = change(leaf[place])
    leaves[at] = jnp.asarray(leaf)
    return dc.claim(jax.tree.unflatten(treedef, leaves), construction.claim)


def random_place(construction, generator):
    """The number of a leaf and the place of an entry in it."""
    leaves = jax.tree.leaves(construction.network)
    at = int(generator.integers(len(leaves)))
    return at, tuple(int(generator.integers(size)) for size in np.shape(leaves[at]))


def corners_and_points(construction, count=64):
    """Corners of the domain's box, and vectors inside, as floats of the network."""
    low, high = construction.claim.domain.box()
    rng = np.random.default_rng(0)
    corners = np.where(rng.integers(0, 2, (count, len(low))) == 1, high, low)
    mixed = np.concatenate([corners, rng.uniform(low, high, (count, len(low)))])
    return mixed.astype(construction.claim.dtype).clip(low, high)
