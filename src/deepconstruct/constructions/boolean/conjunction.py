"""The AND of some literals as one unit, and how far it is off."""

import dataclasses
import math

from ..._arithmetic.logistic import logistic
from ...activations import AbstractActivation, ReLU, Sigmoid, Step, resolve

_NAMED: dict[str, AbstractActivation] = {"relu": ReLU(), "step": Step(), "sigmoid": Sigmoid()}

# Covers the rounding of these computations themselves.
_UP = 1 + 2.0**-40


@dataclasses.dataclass(frozen=True)
class Conjunction:
    """A unit that is 1 where all of its literals hold, and (nearly) 0 elsewhere.

    With `s` the number of literals that hold minus how many there are, the unit is `relu(s + 1)`,
    `step(s + 1/2)` or `sigmoid(beta (s + 1/2))`.
    """

    activation: AbstractActivation

    @property
    def slack(self) -> float:
        """What is added to `s`."""
        return 1.0 if isinstance(self.activation, ReLU) else 0.5

    def error(self, off: float = 0.0) -> float:
        """The error over the reals where `s` is off by `off` at most."""
        if isinstance(self.activation, Sigmoid):
            return float(logistic(-self.activation.inverse_temperature * (0.5 - off))) * _UP
        if isinstance(self.activation, ReLU):
            return off
        return 0.0 if off < 0.5 else 1.0

    def rounding(self, u: float) -> float:
        """What one evaluation on bits rounds: none but for sigmoids."""
        if not isinstance(self.activation, Sigmoid):
            return 0.0
        # The argument is a multiple of 1/2, times the inverse temperature: S' z is at most 0.224.
        return (2 * self.activation.ulps() + 1) * u


def resolve_conjunction(
    owner: str, activation: str | AbstractActivation, tolerance: float | None, mass: float
) -> Conjunction:
    """A conjunction from a builder's arguments.

    For the name `"sigmoid"` the inverse temperature is the least whole number at which units
    weighted by `mass` in all err by at most `tolerance` (1e-6 if `None`).
    """
    act = resolve(owner, activation, _NAMED)
    if activation == "sigmoid" and mass:
        wanted = 1e-6 if tolerance is None else tolerance
        act = Sigmoid(float(max(math.ceil(temperature(mass, wanted)), 1)))
    return Conjunction(act)


def temperature(mass: float, tolerance: float) -> float:
    """The inverse temperature at which `mass S(-beta / 2)` is `tolerance`."""
    return 2 * math.log(max(mass / tolerance - 1, 1 + 2.0**-20))
