"""A network together with a claim about it."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from .._checks import as_numbers, check_available, check_axis, check_finite, check_weights, is_concrete, library
from .._io.html import html_table
from ..network import Network, describe
from .claim import Claim, check_target
from .origin import Origin, Stated


@dataclasses.dataclass(frozen=True, eq=False)
class Construction:
    """A network and a claim about it; call it as the network.

    Not a pytree on purpose: `jax.tree.map(lambda w: w + 1, construction)` would keep a claim that
    no longer holds. Whatever changes the function takes `construction.network`.

    Attributes:
        network: the weights.
        claim: what they compute.
        origin: how the construction came about (`dc.origins`): a memory, not a proof.
    """

    network: Network
    claim: Claim
    origin: Origin = Stated()

    def __post_init__(self):
        for name, kind in (("network", Network), ("claim", Claim), ("origin", Origin)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"Construction: {name} must be a {kind.__name__}; got {getattr(self, name)!r}")
        _check_fit(self.network, self.claim)
        check_finite("Construction", "weights", self.network)

    @property
    def name(self) -> str:
        """The name of the target."""
        return self.claim.target.name

    @property
    def in_size(self) -> int:
        return self.network.in_size

    @property
    def out_size(self) -> int:
        return self.network.out_size

    def __call__(self, x: Any, *, axis: int = -1) -> Inexact[Array, "..."]:
        """Run the network; NaN and infinite inputs are refused, also inside jit.

        Raises:
            ValueError: NaN or infinity in a concrete `x`, a wrong number of features, or 64-bit
                weights without x64.
        """
        check_available(self.name, self.claim.dtype)
        x, axis = as_numbers(self.name, "inputs", x), check_axis(self.name, axis)
        if isinstance(x, np.ndarray):
            with np.errstate(over="ignore"):  # what is infinite in JAX's widest dtype is refused below
                x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)
        if jnp.issubdtype(x.dtype, jnp.inexact):
            numbers = library(x)  # NumPy where it can: nothing to compile but the network
            bad = ~numbers.all(numbers.isfinite(x))
            if is_concrete(bad):
                if bool(bad):
                    raise ValueError(f"{self.name}: inputs must be finite; got NaN or infinity")
            else:
                x = eqx.error_if(x, bad, f"{self.name}: inputs must be finite")
        return self.network(x, axis=axis)

    def __repr__(self) -> str:
        claim, guess = self.claim, " (estimate)" if self.claim.is_estimate else ""
        lines = [
            f"{self.name}: {claim.error}{guess} on {claim.domain}, {claim.dtype}",
            f"  {claim.robustness}",
            f"  origin: {self.origin}",
        ]
        return "\n".join(lines) + "\n" + describe(self.network)

    def _repr_html_(self) -> str:
        claim, (title, *layers) = self.claim, describe(self.network).split("\n")
        rows = [
            ("computes", f"{self.name} on {claim.domain}, in {claim.dtype}"),
            ("error", f"{claim.error}{' (estimate)' if claim.is_estimate else ''}"),
            ("robustness", str(claim.robustness)),
            ("origin", str(self.origin)),
            ("source", claim.source),
            ("network", title),
        ]
        return html_table(("", self.name), [*rows, *(("", layer.strip()) for layer in layers)])


def claim(network: Network, claim: Claim) -> Construction:
    """Attach a claim to a network: the way back from a changed network to a construction.

    Nothing is checked but sizes and dtype: certify the result.

    Args:
        network: the network.
        claim: what it is claimed to compute.

    Returns:
        The construction.

    Raises:
        ValueError: domain or codomain of another size, or another dtype, than the network's.

    Example:
        >>> import deepconstruct as dc
        >>> xor = dc.parity(2)
        >>> dc.certify(dc.claim(dc.densify(xor.network), xor.claim)).verdict
        'proved'
    """
    if not isinstance(network, Network) or not isinstance(claim, Claim):
        raise TypeError(
            f"claim: expected a Network and a Claim; got {type(network).__name__} and {type(claim).__name__}. "
            "A construction has both, as .network and .claim"
        )
    return Construction(network, claim)


def as_network(owner: str, value: Any, *, read: bool = False) -> Network:
    """The network of a construction, or the network itself, of which JAX can compute.

    With `read` the weights may have left the x64 scope in which they were made: they are only looked at.
    """
    network = value.network if isinstance(value, Construction) else value
    if not isinstance(network, Network):
        raise TypeError(f"{owner}: expected a Network or Construction; got {type(value).__name__}")
    if not read:
        check_weights(owner, network)
    return network


def _check_fit(network: Network, claim: Claim) -> None:
    name = claim.target.name
    for what, domain, size in (
        ("takes", claim.domain, network.in_size),
        ("gives", claim.codomain, network.out_size),
    ):
        if domain.size != size:
            raise ValueError(f"claim: {name} {what} {domain} of {domain.size}, but the network {what} {size}")
    check_target(claim)
    if network.dtype.name != claim.dtype:
        raise ValueError(f"claim: {name} is about {claim.dtype}, but the weights are {network.dtype.name}")
