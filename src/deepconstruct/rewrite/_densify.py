"""Networks of the same function: dense, or in another dtype; and their patterns."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._arithmetic.exactness import is_exact_on
from .._checks import check_dtype
from .._compose.rounding import dense_sums
from ..construction import Claim, Construction, Rewritten, Robustness, as_network
from ..network import Network, flat_layers, own
from ._core import keeps_an_order


def densify(network: Any) -> Any:
    """The same function with every entry of every weight matrix trainable.

    Args:
        network: a `Network` or a `Construction`.

    Returns:
        The same kind, all maps `Dense`, shared weights and biases unshared. A claim is kept, since
        adding zeros rounds nothing; but maps that sum in an order of their own, which rounds less
        (`AbstractLinear.summation`, `SignPatterns`, `Composed`), add the rounding of plain sums to it.

    Raises:
        ValueError: a claim for which that rounding can't be bounded.

    Example:
        >>> import deepconstruct as dc
        >>> dc.cost(dc.parity(8)).parameters, dc.cost(dc.densify(dc.parity(8))).parameters
        (56, 120)
    """
    if isinstance(network, Construction):
        dense = densify(network.network)
        changed = [keeps_an_order(layer.linear) for layer in flat_layers(network.network)]
        claim = _summed_anew(network, dense, changed) if any(changed) else network.claim
        return Construction(dense, claim, Rewritten("densify", network))
    network = as_network("densify", network)
    dtype = network.dtype
    return own(Network(tuple(part.dense(dtype) for part in network.layers)))


def _summed_anew(stored: Construction, dense: Network, changed: list[bool]) -> Claim:
    claim = stored.claim
    found = dense_sums(claim, stored.network, dense, changed).claim(claim)
    if found is None:
        raise ValueError(
            f"densify: the rounding of {claim.target.name} as dense matrices can't be bounded; densify its network"
        )
    return found


def sparsity_pattern(network: Any) -> tuple[np.ndarray, ...]:
    """Where each layer's structure has weights: boolean arrays `(out_size, in_size)`, in order.

    The positions are those of the structure, whatever the values there; repeated blocks are
    unrolled. They are static, so this works inside jit.

    Example:
        >>> import deepconstruct as dc
        >>> [int(mask.sum()) for mask in dc.sparsity_pattern(dc.parity(4))]
        [8, 8, 2]
    """
    network = as_network("sparsity_pattern", network, read=True)
    masks = []
    for layer in flat_layers(network):
        rows, cols, _ = layer.linear.entries()
        mask = np.zeros((layer.out_size, layer.in_size), bool)
        mask[rows, cols] = True
        masks.append(mask)
    return tuple(masks)


def astype(network: Any, dtype: Any) -> Any:
    """The same with its weights cast to another dtype of the same kind (real or complex).

    Args:
        network: a `Network` or a `Construction`.
        dtype: a floating dtype.

    Returns:
        The same kind. In a wider dtype a claim is kept: the same weights round less. In another one it is
        kept where it is exact, all weights fit, and nothing rounds on the domain; what it says of inputs
        beside the domain is then dropped.

    Raises:
        ValueError: a dtype of the other kind, a 64-bit one without x64, or a claim that can't be kept:
            cast its `.network` then, or build the construction with `dtype=`.

    Example:
        >>> import deepconstruct as dc
        >>> dc.astype(dc.parity(4).network, "float16").dtype.name
        'float16'
        >>> dc.astype(dc.parity(4), "float16").claim.error.is_exact
        True
    """
    source = as_network("astype", network)
    kind = "complex" if jnp.issubdtype(source.dtype, jnp.complexfloating) else "real"
    resolved = check_dtype("astype", dtype, kind=kind)
    cast = own(jax.tree.map(lambda leaf: leaf.astype(resolved), source))
    if not isinstance(network, Construction):
        return cast
    return Construction(cast, _claim_in(network, cast, resolved), Rewritten("astype", network))


def _claim_in(construction: Construction, cast: Network, dtype: np.dtype) -> Claim:
    claim, source = construction.claim, construction.network
    with jax.numpy_dtype_promotion("standard"):  # a comparison, which promotes no array
        is_wider = jnp.promote_types(source.dtype, dtype) == dtype
    if is_wider:
        return dataclasses.replace(claim, dtype=dtype.name)
    pairs = zip(jax.tree.leaves(source), jax.tree.leaves(cast), strict=True)
    kept = all(np.array_equal(np.asarray(old), np.asarray(new).astype(old.dtype)) for old, new in pairs)
    if not (kept and claim.error.is_exact and is_exact_on(cast, claim.domain)):
        raise ValueError(
            f"astype: the claim of {construction.name} is about {claim.dtype} and can't be kept in {dtype.name}; "
            "build the construction with dtype=..., or cast its .network"
        )
    return dataclasses.replace(claim, dtype=dtype.name, robustness=Robustness())
