"""The interface of a target, and targets of the user's own."""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np


class AbstractTarget(abc.ABC):
    """A function from `(*batch, in)` to `(*batch, out)`."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """A short name, such as `parity(8)`."""

    @abc.abstractmethod
    def __call__(self, x: Any) -> Any:
        """Evaluate on the last axis."""

    def matrix(self) -> np.ndarray:
        """The matrix of a linear target, in extended precision where the platform has it.

        Raises:
            TypeError: the target doesn't declare itself linear.
        """
        raise TypeError(f"{self.name} does not declare itself linear")

    @property
    def is_linear(self) -> bool:
        """Whether the target declares itself linear and gives its matrix."""
        return False

    def stretch(self) -> tuple[float, float]:
        """Bounds `(low, high)` with `low |x| <= |target(x)| <= high |x|` in the 2-norm.

        Relative errors pass through a linear target with a factor of at most `high / low`.
        """
        return 0.0, math.inf


@dataclasses.dataclass(frozen=True, init=False)
class Target(AbstractTarget):
    """A target of your own: a name and a function on the last axis.

    Args:
        name: shown in messages, and how files refer to it.
        function: maps `(*batch, in)` to `(*batch, out)`.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> double = dc.Target("double", lambda x: 2 * x)
        >>> double(jnp.array([1.0, 2.0])).tolist()
        [2.0, 4.0]
    """

    label: str
    function: Callable[[Any], Any]

    def __init__(self, name: str, function: Callable[[Any], Any]):
        if not isinstance(name, str) or not callable(function):
            raise TypeError(f"Target: expected a name and a function; got {name!r} and {function!r}")
        object.__setattr__(self, "label", name)
        object.__setattr__(self, "function", function)

    @property
    def name(self):
        return self.label

    def __call__(self, x):
        return self.function(x)


def namespace(x: Any) -> Any:
    """NumPy or JAX, whichever the array belongs to."""
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else jnp
