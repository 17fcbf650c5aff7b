"""Changes that lose the claim: noise around the weights, and weights drawn anew."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import check_choice, check_key, check_scalar, is_concrete
from ..construction import Construction, as_network
from ..linear import AbstractLinear, DirectSum, Stack
from ..network import Network, Repeat, own, repetition

_GAINS = {"glorot": None, "he": 2.0, "lecun": 1.0}


def perturb(
    network: Network | Construction,
    scale: Any,
    *,
    scheme: str = "glorot",
    fans: str = "layer",
    biases: bool = False,
    key: PRNGKeyArray,
) -> Network:
    """Add Gaussian noise to the free weights of a network.

    Only leaves get noise, so a structured network keeps its zeros; `densify` first to move every
    entry. Complex weights get the noise on real and imaginary part each.

    Args:
        network: a network, or a construction (whose claim is lost).
        scale: how strong, at least 0; may be traced, so that a sweep over scales can be vmapped.
        scheme: the standard deviation of the noise. `"glorot"`: `scale * sqrt(2 / (fan_in +
            fan_out))`; `"absolute"`: `scale`; `"relative"`: `scale * |w|`.
        fans: for `"glorot"`. `"layer"`: the sizes of the layer; `"pattern"`: for each weight, the
            weights in its row and column. It decides which basin is wider: say which you used.
        biases: whether biases get noise too (with the fans of their layer).
        key: a PRNG key; the same key gives the same noise.

    Returns:
        A `Network` of the same structure.

    Raises:
        ValueError: a negative scale, an unknown scheme or fans.

    Source: Nye & Saxe (2018), section 2; the paper doesn't say which fans, nor whether biases.

    Example:
        >>> import deepconstruct as dc, jax
        >>> noisy = dc.perturb(dc.parity(8), 0.2, key=jax.random.key(0))
        >>> type(noisy).__name__, dc.cost(noisy).synapses
        ('Network', 42)
    """
    check_key("perturb", key)
    check_choice("perturb", "scheme", scheme, ("glorot", "absolute", "relative"))
    check_choice("perturb", "fans", fans, ("layer", "pattern"))
    if is_concrete(scale):
        scale = check_scalar("perturb", "scale", scale)

    def shift(leaf: Array, fan_std: Any, leaf_key: PRNGKeyArray) -> Array:
        std = {"glorot": fan_std, "absolute": 1.0, "relative": jnp.abs(leaf)}[scheme]
        total = scale * std if isinstance(scale, float) else _factor(scale, leaf) * _factor(std, leaf)
        return leaf + _factor(total, leaf) * _normal(leaf_key, leaf)

    return _change(as_network("perturb", network), fans, None, shift, shift if biases else None, key)


def reinitialize(
    network: Network | Construction,
    *,
    scheme: str = "glorot",
    fans: str = "layer",
    biases: bool = True,
    key: PRNGKeyArray,
) -> Network:
    """Draw all free weights anew, keeping the structure: a typical start within the right pattern.

    Args:
        network: a network, or a construction (whose claim is lost).
        scheme: variance of the normal weights: `"glorot"` `2 / (fan_in + fan_out)`, `"he"`
            `2 / fan_in`, `"lecun"` `1 / fan_in`.
        fans: `"layer"` or `"pattern"`, as in `perturb`.
        biases: whether biases are set to zero; `False` keeps them.
        key: a PRNG key.

    Returns:
        A `Network` of the same structure.

    Raises:
        ValueError: an unknown scheme or fans.

    Example:
        >>> import deepconstruct as dc, jax
        >>> start = dc.reinitialize(dc.parity(8), key=jax.random.key(0))
        >>> dc.cost(start).synapses
        42
    """
    check_key("reinitialize", key)
    check_choice("reinitialize", "scheme", scheme, _GAINS)
    check_choice("reinitialize", "fans", fans, ("layer", "pattern"))

    def draw(leaf: Array, fan_std: Any, leaf_key: PRNGKeyArray) -> Array:
        return _factor(fan_std, leaf) * _normal(leaf_key, leaf)

    def clear(leaf: Array, fan_std: Any, leaf_key: PRNGKeyArray) -> Array:
        return jnp.zeros_like(leaf)

    return _change(as_network("reinitialize", network), fans, _GAINS[scheme], draw, clear if biases else None, key)


def _change(network: Network, fans: str, gain: float | None, weights: Any, biases: Any, key: PRNGKeyArray) -> Network:
    """Apply `weights(leaf, std, key)` to the weights and `biases`, if any, to the biases."""
    leaves, treedef = jax.tree.flatten(own(network))
    plan = _leaf_plan(network, fans, gain)
    changed = []
    for leaf, (std, is_bias), leaf_key in zip(leaves, plan, jax.random.split(key, max(len(leaves), 1)), strict=False):
        change = biases if is_bias else weights
        changed.append(leaf if change is None else change(leaf, std, leaf_key))
    return jax.tree.unflatten(treedef, changed)


def _leaf_plan(network: Network, fans: str, gain: float | None) -> list[tuple[Any, bool]]:
    """For every leaf, in order: the standard deviation that its fans give, and whether it is a bias."""
    plan: list[tuple[Any, bool]] = []
    for part in network.layers:
        # All copies of a repeated block have one structure, so the first tells the fans of all.
        layers = repetition(part.layers, 0) if isinstance(part, Repeat) else (part,)
        for layer in layers:
            stds = _weight_stds(layer.linear, (layer.in_size, layer.out_size), fans, gain)
            plan += [(std, False) for std in stds]
            bias_std = _fan_std(layer.in_size, layer.out_size, gain)
            plan += [(bias_std, True) for _ in jax.tree.leaves(layer.bias)]
    return plan


def _weight_stds(linear: AbstractLinear, sizes: tuple[int, int], fans: str, gain: float | None) -> list[Any]:
    """A standard deviation for every leaf of a map: a number, or an array of the leaf's shape."""
    if fans == "layer":
        return [_fan_std(*sizes, gain)] * len(jax.tree.leaves(linear))
    rows, cols, _ = linear.entries()
    return _per_leaf(linear, _fan_std(np.bincount(rows)[rows], np.bincount(cols)[cols], gain))


def _per_leaf(linear: AbstractLinear, per_entry: np.ndarray) -> list[Any]:
    """Hand numbers of the entries of a map, in their order, to the leaves that hold them."""
    if isinstance(linear, DirectSum | Stack):
        counts = [len(part.entries()[0]) for part in linear.parts]
        pieces = np.split(per_entry, np.cumsum(counts)[:-1])
        return [std for part, piece in zip(linear.parts, pieces, strict=True) for std in _per_leaf(part, piece)]
    # A leaf holds the entries in order; a tied one has the fans of any of its copies.
    leaves = jax.tree.leaves(linear)
    return [per_entry.reshape(leaf.shape) if leaf.size == len(per_entry) else per_entry[0] for leaf in leaves]


def _normal(key: PRNGKeyArray, leaf: Array) -> Array:
    if not jnp.iscomplexobj(leaf):
        return jax.random.normal(key, leaf.shape, leaf.dtype)
    # Unit variance for the real and the imaginary part each; jax.random gives 1/2 each.
    return jax.random.normal(key, leaf.shape, leaf.dtype) * math.sqrt(2)


def _factor(factor: Any, leaf: Array) -> Array:
    """A real number, or an array of the last axes of the leaf, in the leaf's dtype and with as many axes."""
    numbers = jnp.asarray(factor).astype(leaf.dtype)
    return numbers.reshape((1,) * (leaf.ndim - numbers.ndim) + numbers.shape) if numbers.ndim else numbers


def _fan_std(fan_in: Any, fan_out: Any, gain: float | None) -> Any:
    return np.sqrt(2 / (fan_in + fan_out)) if gain is None else np.sqrt(gain / fan_in)
