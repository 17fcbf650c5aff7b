"""What a builder knows about the errors of its network, and the claim that this makes."""

import dataclasses

import numpy as np

from ..._arithmetic.rounding import unit_roundoff
from ..._arithmetic.softmax import softmax_error
from ...construction import Bound, Claim, Robustness
from ...domains import AbstractDomain
from ...targets import AbstractTarget


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """`error`, `radius`, `gain` and `rounding` as in `Claim`, and whether they are proved."""

    error: float
    radius: float
    gain: float
    rounding: float
    proved: bool = True

    def behind_softmax(self, classes: int, dtype: np.dtype) -> "Accuracy":
        """Of probabilities, for logits of this accuracy: a softmax at least halves what enters it."""
        error = softmax_error(self.error, classes, unit_roundoff(dtype))
        return Accuracy(error, self.radius, self.gain / 2, self.rounding / 2, self.proved)

    def claim(
        self, target: AbstractTarget, domain: AbstractDomain, codomain: AbstractDomain, dtype: np.dtype, source: str
    ) -> Claim:
        """The claim."""
        return Claim(
            target=target,
            domain=domain,
            codomain=codomain,
            error=Bound(absolute=self.error),
            robustness=Robustness(self.radius, self.gain, self.rounding),
            dtype=dtype.name,
            source=source,
            status="proved" if self.proved else "estimate",
        )
