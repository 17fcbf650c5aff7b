"""Complex linear networks as real ones."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from .. import targets
from .._arithmetic.rounding import is_linear_network, linear_rounding, unit_roundoff
from .._bias import bias_vector
from ..construction import Bound, Claim, Construction, Rewritten, as_network
from ..construction.bound import mapped
from ..domains import AbstractDomain, Space
from ..linear.queries import realified
from ..network import Layer, Network, block_layers, flat_layers, own


def realify(part: Any) -> Any:
    """Turn a complex linear network into the real one on stacked `(Re x, Im x)`.

    Every complex weight becomes its block `[[Re, -Im], [Im, Re]]` without its zeros, so the FFT of
    size `n = 2^L` needs `6 n L - 6 n + 8` real synapses, not four times the complex ones.

    Args:
        part: a network, or construction on `C^n`, with concrete weights and identity activations.

    Returns:
        The real network `(*batch, 2 in_size) -> (*batch, 2 out_size)`, or the construction; to its
        relative error the rounding of the real products is added.

    Raises:
        ValueError: a nonlinear layer, or a construction on another domain than `C^n`.

    Example:
        >>> import deepconstruct as dc
        >>> dc.cost(dc.realify(dc.fft(8))).synapses
        104
    """
    network = as_network("realify", part)
    if not all(layer.is_linear for layer in block_layers(network.layers)):
        raise ValueError("realify: every layer must be linear; this network has other activations")
    real = own(Network(realify_layers(network)))
    if isinstance(part, Construction):
        return Construction(real, _real_claim(part.claim, real), Rewritten("realify", part))
    return real


def _real_claim(claim: Claim, real: Network) -> Claim:
    low, _ = claim.target.stretch()
    if not claim.target.is_linear or low == 0 or not is_linear_network(real):
        raise ValueError(
            f"realify: {claim.target.name} must be an injective linear target on C^n; realify its network instead"
        )
    rounding, _ = linear_rounding(real, unit_roundoff(real.dtype))
    relative = (claim.error.relative + rounding / low) * (1 + 2**-40)
    return dataclasses.replace(
        claim,
        target=targets.Realified(claim.target),
        domain=_real_space(claim.domain),
        codomain=_real_space(claim.codomain),
        error=Bound(claim.error.absolute, relative),
        robustness=dataclasses.replace(
            claim.robustness, gain=mapped(lambda gain: gain * math.sqrt(2) * (1 + relative), claim.robustness.gain)
        ),
        dtype=real.dtype.name,
    )


def _real_space(domain: AbstractDomain) -> AbstractDomain:
    if domain != Space(domain.size, "complex"):
        raise ValueError(f"realify: expected a construction on C^n; got {domain}")
    return Space(2 * domain.size)


def realify_layers(network: Network) -> tuple[Layer, ...]:
    """The layers of the real network on stacked real and imaginary parts."""
    return tuple(_realify_layer(layer) for layer in flat_layers(network))


def _realify_layer(layer: Layer) -> Layer:
    bias = bias_vector(layer.bias)
    if bias is not None:
        bias = jnp.concatenate([bias.real, bias.imag])
    return Layer(realified(layer.linear), bias, layer.activation, layer.label)
