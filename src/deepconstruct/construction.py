"""Claims, and constructions: networks together with what they are claimed to compute."""

import dataclasses
import math
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ._checks import check_available, check_finite, check_weights, is_concrete
from .domains import AbstractDomain
from .network import Network, describe
from .targets import AbstractTarget


@dataclasses.dataclass(frozen=True)
class Bound:
    """An error `e = e_1 + e_2` with `|e_1| <= absolute` in every output and
    `|e_2| <= relative * |target(x)|` in the 2-norm. Zero means exact.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def __post_init__(self):
        for name in ("absolute", "relative"):
            value = getattr(self, name)
            if not value >= 0 or math.isinf(value):
                raise ValueError(f"Bound: {name} must be finite and at least 0; got {value}")

    @property
    def is_exact(self) -> bool:
        """Whether the bound is zero."""
        return self.absolute == 0 and self.relative == 0

    def __str__(self) -> str:
        if self.is_exact:
            return "exact"
        parts = [f"{self.absolute:.2g}"] if self.absolute else []
        if self.relative:
            parts.append(f"{self.relative:.2g} relative")
        return " + ".join(parts)


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a network computes, where, and how exactly.

    For every `x` in `domain` and every `x'` within `delta <= radius` of it in the max norm,

        |network(x') - target(x)| <= error + gain * delta + (rounding if delta > 0),

    where `error` splits as `Bound` says. It covers truncation and rounding in `dtype` under this
    model: any order of operations, fused multiply-add allowed, results correctly rounded or flushed
    to zero, activations within 8 units in the last place, no reduced-precision products (TF32).

    Attributes:
        target: the function that is computed.
        domain: where; `codomain`: where the target's values lie.
        error: the bound at points of the domain; zero means exact. A number is an absolute bound.
        radius: how far inputs may be off the domain, at least 0.
        gain: how much of that shows in the output, at most.
        rounding: what moved inputs add where points of the domain are computed exactly.
        dtype: the name of the dtype of the weights.
        source: paper and equation.
        estimate: whether `error` (and what depends on it) is an estimate, not a proved bound.
    """

    target: AbstractTarget
    domain: AbstractDomain
    codomain: AbstractDomain
    error: Bound = Bound()
    radius: float = 0.0
    gain: float = 0.0
    rounding: float = 0.0
    dtype: str = "float32"
    source: str = ""
    estimate: bool = False

    def __post_init__(self):
        for name, kind in (("target", AbstractTarget), ("domain", AbstractDomain), ("codomain", AbstractDomain)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(
                    f"Claim: {name} must be one of dc.{'targets' if name == 'target' else 'domains'}; "
                    f"got {getattr(self, name)!r}"
                )
        if not isinstance(self.error, Bound):
            object.__setattr__(self, "error", Bound(absolute=self.error))
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)
        for name in ("radius", "gain", "rounding"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Claim: {name} must be at least 0; got {getattr(self, name)}")

    def allowance(self, delta: float) -> float:
        """What inputs moved by `delta` add to the error.

        Raises:
            ValueError: `delta` is beyond the radius.
        """
        if delta > self.radius:
            raise ValueError(f"Claim: inputs may be off by at most {self.radius:g}; got {delta:g}")
        return self.gain * delta + self.rounding if delta > 0 else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class Construction:
    """A network and a claim about it; call it as the network (it is compiled on its first call).

    Not a pytree on purpose: `jax.tree.map(lambda w: w + 1, construction)` would keep a claim that
    no longer holds. Whatever changes the function takes `construction.network`.
    """

    network: Network
    claim: Claim

    def __post_init__(self):
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
        x = jnp.asarray(x)
        if jnp.issubdtype(x.dtype, jnp.inexact):
            bad = ~jnp.all(jnp.isfinite(x))
            if is_concrete(bad):
                if bool(bad):
                    raise ValueError(f"{self.name}: inputs must be finite; got NaN or infinity")
            else:
                x = eqx.error_if(x, bad, f"{self.name}: inputs must be finite")
        return _run(self.network, x, axis)

    def __repr__(self) -> str:
        claim = self.claim
        lines = [
            f"{self.name}: {claim.error}{' (estimate)' if claim.estimate else ''} on {claim.domain}, {claim.dtype}",
            f"  inputs off by up to {claim.radius:.3g}: gain {claim.gain:.3g}",
        ]
        return "\n".join(lines) + "\n" + describe(self.network)


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


@partial(jax.jit, static_argnums=2)
def _run(network: Network, x: Array, axis: int) -> Array:
    # Compiled, a call neither holds all intermediate arrays nor pays for every operation.
    return network(x, axis=axis)


def _check_target(claim: Claim) -> None:
    """Refuse a target of another shape than its codomain, which would broadcast to a wrong error."""
    batch, name = 3 if claim.codomain.size != 3 else 5, claim.target.name
    x = jax.ShapeDtypeStruct((batch, claim.domain.size), claim.dtype)
    try:
        shape = jax.eval_shape(claim.target, x).shape
    except (TypeError, AttributeError, jax.errors.JAXTypeError) as error:
        raise TypeError(
            f"claim: target {name!r} must be written in JAX on the last axis; it raised: {error}"
        ) from error
    wanted = (batch, claim.codomain.size)
    if shape != wanted:
        raise ValueError(
            f"claim: target {name!r} must map (*batch, {claim.domain.size}) to (*batch, {claim.codomain.size}); "
            f"it maps {x.shape} to {shape}. Did it drop the last axis (keepdims=True keeps it)?"
        )


def _check_fit(network: Network, claim: Claim) -> None:
    name = claim.target.name
    for what, domain, size in (
        ("takes", claim.domain, network.in_size),
        ("gives", claim.codomain, network.out_size),
    ):
        if domain.size != size:
            raise ValueError(f"claim: {name} {what} {domain} of {domain.size}, but the network {what} {size}")
    _check_target(claim)
    if network.dtype.name != claim.dtype:
        raise ValueError(f"claim: {name} is about {claim.dtype}, but the weights are {network.dtype.name}")
