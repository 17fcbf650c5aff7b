"""What a network computes, where, and how exactly."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_choice
from ..domains import AbstractDomain
from ..targets import AbstractTarget
from .bound import Bound, Robustness, largest, spread


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a network computes, where, and how exactly.

    For every `x` in `domain` and every `x'` within `delta <= robustness.radius` of it in the max norm,

        |network(x') - target(x)| <= error + gain * delta + (rounding if delta > 0),

    where `error` splits as `Bound` says. It covers truncation and rounding in `dtype` under this
    model: any order of operations (but for maps that keep their own, `AbstractLinear.summation`), fused
    multiply-add allowed, results correctly rounded or flushed to zero, activations within
    `activation.ulps()` units in the last place, no reduced-precision products (TF32).

    Attributes:
        target: the function that is computed.
        domain: where; `codomain`: where the target's values lie.
        error: the bound at points of the domain; zero means exact. A number is an absolute bound.
        robustness: what inputs beside the domain add. By default they aren't spoken of.
        dtype: the name of the dtype of the weights.
        source: paper and equation.
        status: `"proved"`, or `"estimate"` where the numbers aren't proved bounds.

    Raises:
        TypeError: a target or domain of another kind.
        ValueError: a bound of another number of outputs, a dtype that isn't a floating one, or an unknown
            status.
    """

    target: AbstractTarget
    domain: AbstractDomain
    codomain: AbstractDomain
    error: Bound = Bound()
    robustness: Robustness = Robustness()
    dtype: str = "float32"
    source: str = ""
    status: str = "proved"

    def __post_init__(self):
        for name, kind in (("target", AbstractTarget), ("domain", AbstractDomain), ("codomain", AbstractDomain)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(
                    f"Claim: {name} must be one of dc.{'targets' if name == 'target' else 'domains'}; "
                    f"got {getattr(self, name)!r}"
                )
        if not isinstance(self.error, Bound):
            object.__setattr__(self, "error", Bound(absolute=self.error))
        if not isinstance(self.robustness, Robustness):
            raise TypeError(f"Claim: robustness must be a dc.Robustness(radius, gain); got {self.robustness!r}")
        object.__setattr__(self, "dtype", np.dtype(self.dtype).name)
        if not jnp.issubdtype(np.dtype(self.dtype), np.inexact):
            raise ValueError(f"Claim: weights must be of a floating dtype; got dtype {self.dtype}")
        if not isinstance(self.source, str):
            raise TypeError(f"Claim: source must be a text; got {self.source!r}")
        check_choice("Claim", "status", self.status, ("proved", "estimate"))
        for name, value in (("error.absolute", self.error.absolute), ("robustness.gain", self.robustness.gain)):
            if isinstance(value, tuple) and len(value) != self.codomain.size:
                raise ValueError(f"Claim: {name} has {len(value)} numbers for {self.codomain.size} outputs")

    @property
    def is_estimate(self) -> bool:
        """Whether the error, and what depends on it, isn't a proved bound."""
        return self.status == "estimate"

    def allowance(self, delta: float) -> Any:
        """What inputs moved by `delta` add to the error: one number, or one an output.

        Raises:
            ValueError: `delta` is beyond the radius.
        """
        if delta > self.robustness.radius:
            raise ValueError(f"Claim: inputs may be off by at most {self.robustness.radius:g}; got {delta:g}")
        if not delta > 0:
            return 0.0
        gain = self.robustness.gain
        added = spread(gain, self.codomain.size) if isinstance(gain, tuple) else largest(gain)
        return added * delta + self.robustness.rounding


def check_target(claim: Claim) -> None:
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
