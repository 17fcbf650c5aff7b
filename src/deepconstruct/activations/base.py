"""The interface of an activation."""

import abc

import equinox as eqx
from jaxtyping import Array, Inexact


class AbstractActivation(eqx.Module):
    """A function of the pre-activations of one layer.

    `axis` is the axis of the units; only activations that mix or tell apart units look at it.
    """

    @abc.abstractmethod
    def __call__(self, z: Inexact[Array, "..."], *, axis: int = -1) -> Inexact[Array, "..."]:
        """Apply the activation; the shape stays."""

    @abc.abstractmethod
    def lipschitz(self) -> float:
        """The least upper bound of the slope over the whole line (infinite if there is none)."""

    @abc.abstractmethod
    def ulps(self) -> int:
        """Rounding of one evaluation that claims allow for, in units in the last place.

        The tests compare this with the backend that they run on.
        """

    @abc.abstractmethod
    def name(self) -> str:
        """A short name for tables."""
