"""A dtype as proofs see it, and how far inputs may be off."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import unit_roundoff


@dataclasses.dataclass(frozen=True)
class Floats:
    """A dtype, and how far inputs may be off: each bound holds for all `delta` up to `reach`.

    Attributes:
        offset: by how much inputs are off as intervals; `slope`: or in multiples of `delta`.
    """

    dtype: Any
    offset: float = 0.0
    slope: float = 0.0
    reach: float = 0.0

    @property
    def u(self) -> float:
        return unit_roundoff(self.dtype)

    @property
    def tiny(self) -> float:
        return float(jnp.finfo(self.dtype).tiny)

    @property
    def most(self) -> float:
        return float(jnp.finfo(self.dtype).max)

    def holds(self, step: np.ndarray, moduli: np.ndarray) -> np.ndarray:
        """Whether it holds all multiples of `step` up to `moduli`, none of them subnormal; `step` 0: not known."""
        precision = jnp.finfo(self.dtype).nmant + 1
        with np.errstate(divide="ignore", invalid="ignore"):
            digits = np.where(step > 0, moduli / step, np.inf)
        # Moduli that are rounded are rounded from numbers that are too large anyway; in double precision not beyond.
        fits = digits < 2.0**precision if precision >= 53 else digits <= 2.0**precision
        return (moduli == 0) | (fits & (step >= self.tiny) & (moduli <= self.most))

    def holds_number(self, value: float) -> bool:
        return float(np.asarray(value).astype(self.dtype)) == value
