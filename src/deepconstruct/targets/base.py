"""The interface of a target, and targets of the user's own."""

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import double_precision
from .exact import exact_numbers, narrowed


class AbstractTarget(abc.ABC):
    """A function from `(*batch, in)` to `(*batch, out)`."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """A short name, such as `parity(8)`."""

    @final
    def __call__(self, x: Any) -> Any:
        """Evaluate on the last axis: NumPy arrays in NumPy, all else (lists too) in JAX.

        Raises:
            TypeError: what isn't an array of numbers, such as text.
            ValueError: a single number, which has no last axis.
        """
        return self._evaluate(_numbers(self.name, x))

    @final
    def wide(self, x: Any) -> np.ndarray:
        """Evaluate in NumPy, in extended precision where the platform has it, whatever JAX's settings are.

        Inputs are taken as they are, and values aren't rounded to a network's dtype: they are off by the
        roundings of `longdouble` in the target's formula alone (0 where it has only sums and products of
        few digits, as for bits; tables give their 64-bit entries as they are). A `Target` of your own is
        evaluated by JAX in 64 bits, so its inputs and values are rounded to those.

        Args:
            x: numbers of any real, complex or integer type, shape `(*batch, in)`.

        Returns:
            Floats of at least 64 bits a part, shape `(*batch, out)`.

        Raises:
            TypeError: what isn't an array of numbers.
            ValueError: a single number.

        Example:
            >>> import deepconstruct as dc, numpy as np
            >>> float(dc.targets.BooleanFunction([0, 0.1]).wide(np.array([1], np.float32))[0])
            0.1
        """
        return _widened(np.asarray(self._wide(_widened(np.asarray(_numbers(self.name, x, np.asarray))))))

    @final
    @property
    def exactness(self) -> str | None:
        """What `exact` gives for rational numbers: `"rational"` values, `"balls"` that hold them, or `None`."""
        return self._exactness("rational")

    @final
    def exact(self, x: Any) -> np.ndarray:
        """Evaluate without any rounding.

        Args:
            x: integers, fractions or floats (as the rationals they are): lists or arrays of shape
                `(*batch, in)`, of any dtype or of objects.

        Returns:
            An array of shape `(*batch, out)`: 64-bit integers, or objects. These are integers and
            `fractions.Fraction`, or real or complex balls of python-flint, as `exactness` says.

        Raises:
            TypeError: a target without exact values, as one of your own is; or what isn't an array of numbers.
            ValueError: a single number, numbers that aren't finite, other inputs than the target is about.
            ImportError: balls without python-flint.

        Example:
            >>> import deepconstruct as dc
            >>> from fractions import Fraction
            >>> dc.targets.Product(2).exact([[Fraction(1, 3), 0.5], [2, 3]]).tolist()
            [[Fraction(1, 6)], [6]]
        """
        if self.exactness is None:
            raise TypeError(f"{self.name} has no exact values: it is evaluated in floating point")
        return narrowed(self._exact(exact_numbers(self.name, x)))

    def _exactness(self, given: str) -> str | None:
        """`exactness` for inputs of a kind; a class answers for itself, as what derives from it may compute else."""
        return own(self, "rational" if given == "rational" else None)

    def _exact(self, x: np.ndarray) -> np.ndarray:
        """`exact` for 64-bit integers, or objects among which there may be balls if `_exactness` says so."""
        raise NotImplementedError

    @abc.abstractmethod
    def _evaluate(self, x: Any) -> Any:
        """`__call__` for arrays with at least one axis."""

    def _wide(self, x: np.ndarray) -> Any:
        """`wide` for arrays of extended precision: here by JAX, in 64 bits."""
        kind = "complex128" if np.iscomplexobj(x) else "float64"
        # Constants in the user's function may be narrower, whatever the configuration says of mixing them.
        with double_precision(), jax.numpy_dtype_promotion("standard"):
            return np.asarray(self._evaluate(jnp.asarray(x.astype(kind))))

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


def own(target: AbstractTarget, kind: str | None) -> str | None:
    """`kind`, if the exact values of a target are defined by its own class."""
    return kind if "_exact" in vars(type(target)) else None


class Formula(AbstractTarget):
    """A target whose `_evaluate` computes NumPy arrays in NumPy, in their own precision."""

    def _wide(self, x):
        return self._evaluate(x)


@dataclasses.dataclass(frozen=True, init=False)
class Target(AbstractTarget):
    """A target of your own: a name and a function on the last axis.

    Two are equal if both names and functions are.

    Args:
        name: shown in messages, and how files refer to it.
        function: maps `(*batch, in)` to `(*batch, out)`; written in JAX, and hashable.

    Raises:
        TypeError: a name that is no text, or what can't be called or hashed.

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
        try:
            hash(function)
        except TypeError:
            raise TypeError(
                f"Target: {name}: the function must be hashable, which {type(function).__name__} is not; "
                "wrap it: lambda x: function(x)"
            ) from None
        object.__setattr__(self, "label", name)
        object.__setattr__(self, "function", function)

    @property
    def name(self):
        return self.label

    def _evaluate(self, x):
        # A function may count with Booleans, as NumPy and JAX do, but not where JAX is told to mix no dtypes.
        return self.function(x.astype(int) if x.dtype == bool else x)


def concatenate(outputs: Sequence[Any]) -> Any:
    """Join outputs, in the precision that holds them all."""
    if all(isinstance(part, np.ndarray) for part in outputs):
        return np.concatenate(outputs, axis=-1)
    with jax.numpy_dtype_promotion("standard"):
        return jnp.concatenate(outputs, axis=-1)


def _numbers(owner: str, x: Any, convert: Callable[[Any], Any] = jnp.asarray) -> Any:
    """An array of numbers, made by `convert` if `x` isn't one, with at least one axis."""
    try:
        # JAX would read a text as a number.
        array = x if isinstance(x, np.ndarray | jax.Array | str | bytes) else convert(x)
        if isinstance(array, str | bytes) or not (jnp.issubdtype(array.dtype, np.number) or array.dtype == bool):
            raise TypeError
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{owner}: expected an array of numbers; got {x!r}") from None
    if array.ndim == 0:
        raise ValueError(f"{owner}: expected numbers on the last axis, such as [0, 1]; got {x!r} alone")
    return array


def _widened(x: np.ndarray) -> np.ndarray:
    """Extended precision, real or complex."""
    kind = np.clongdouble if np.iscomplexobj(x) else np.longdouble
    return x if x.dtype == kind else x.astype(kind)
