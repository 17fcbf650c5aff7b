"""Targets: what networks are claimed to compute, written without any network.

A target is a frozen record, equal by value. Called on a NumPy array it computes in NumPy (in
extended precision where the array is), on a JAX array in JAX.
"""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._checks import check_choice, check_size
from ._roots import roots_of_unity


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


@dataclasses.dataclass(frozen=True)
class Parity(AbstractTarget):
    """The parity of `n` bits: 1 where an odd number is set; as signs, their product."""

    n: int
    encoding: str = "bits"

    def __post_init__(self):
        check_size("Parity", "n", self.n)
        check_choice("Parity", "encoding", self.encoding, ("bits", "signs"))

    @property
    def name(self):
        return f"parity({self.n})" if self.encoding == "bits" else f"parity({self.n}, signs)"

    def __call__(self, x):
        if self.encoding == "signs":
            return x.prod(axis=-1, keepdims=True)
        return x.sum(axis=-1, keepdims=True) % 2


@dataclasses.dataclass(frozen=True)
class DFT(AbstractTarget):
    """The discrete Fourier transform `y_k = sum_j x_j exp(-2 pi i j k / n)`, or its inverse.

    `norm` is that of `numpy.fft`: `"backward"` divides the inverse by n, `"ortho"` both by the
    square root of n, `"forward"` the forward transform by n.
    """

    n: int
    norm: str = "backward"
    inverse: bool = False

    def __post_init__(self):
        check_size("DFT", "n", self.n)
        check_choice("DFT", "norm", self.norm, ("backward", "ortho", "forward"))

    @property
    def name(self):
        norm = "" if self.norm == "backward" else f", {self.norm}"
        return f"{'idft' if self.inverse else 'dft'}({self.n}{norm})"

    def __call__(self, x):
        fft = x.__array_namespace__().fft
        return (fft.ifft if self.inverse else fft.fft)(x, axis=-1, norm=self.norm)

    @property
    def is_linear(self):
        return True

    @property
    def scale(self) -> np.longdouble:
        """The factor of the plain sum of exponentials, in extended precision."""
        n = np.longdouble(self.n)
        if self.norm == "ortho":
            return 1 / np.sqrt(n)
        divided = (self.norm == "backward") == self.inverse
        return 1 / n if divided else np.longdouble(1)

    def matrix(self):
        high, low = roots_of_unity(self.n)
        roots = high.astype(np.clongdouble) + low
        if not self.inverse:
            roots = roots.conj()
        index = np.arange(self.n)
        return roots[np.outer(index, index) % self.n] * self.scale

    def stretch(self):
        # A multiple of a unitary matrix: all its singular values are the same.
        value = math.sqrt(self.n) * float(self.scale)
        return value * (1 - 2**-50), value * (1 + 2**-50)


@dataclasses.dataclass(frozen=True)
class Composed(AbstractTarget):
    """`outer(inner(x))`."""

    outer: AbstractTarget
    inner: AbstractTarget

    @property
    def name(self):
        return f"{self.outer.name} of {self.inner.name}"

    def __call__(self, x):
        return self.outer(self.inner(x))

    @property
    def is_linear(self):
        return self.outer.is_linear and self.inner.is_linear

    def matrix(self):
        return self.outer.matrix() @ self.inner.matrix()

    def stretch(self):
        (low1, high1), (low2, high2) = self.inner.stretch(), self.outer.stretch()
        return low1 * low2, high1 * high2


@dataclasses.dataclass(frozen=True)
class Iterated(AbstractTarget):
    """`target` applied `times` times."""

    target: AbstractTarget
    times: int

    @property
    def name(self):
        return f"{self.target.name}^{self.times}"

    def __call__(self, x):
        for _ in range(self.times):
            x = self.target(x)
        return x

    @property
    def is_linear(self):
        return self.target.is_linear

    def matrix(self):
        return np.linalg.matrix_power(self.target.matrix(), self.times)

    def stretch(self):
        low, high = self.target.stretch()
        return low**self.times, high**self.times


@dataclasses.dataclass(frozen=True)
class Parallel(AbstractTarget):
    """Targets side by side on consecutive inputs; `sizes` are the numbers of inputs of each."""

    targets: tuple[AbstractTarget, ...]
    sizes: tuple[int, ...]

    @property
    def name(self):
        return " | ".join(target.name for target in self.targets)

    def __call__(self, x):
        xp, outputs, start = _namespace(x), [], 0
        for target, size in zip(self.targets, self.sizes, strict=True):
            outputs.append(target(x[..., start : start + size]))
            start += size
        return xp.concatenate(outputs, axis=-1)

    @property
    def is_linear(self):
        return all(target.is_linear for target in self.targets)

    def matrix(self):
        blocks = [target.matrix() for target in self.targets]
        shape = tuple(sum(block.shape[i] for block in blocks) for i in (0, 1))
        joined = np.zeros(shape, np.result_type(*blocks))
        row = col = 0
        for block in blocks:
            joined[row : row + block.shape[0], col : col + block.shape[1]] = block
            row, col = row + block.shape[0], col + block.shape[1]
        return joined

    def stretch(self):
        lows, highs = zip(*(target.stretch() for target in self.targets), strict=True)
        return min(lows), max(highs)


@dataclasses.dataclass(frozen=True)
class FanOut(AbstractTarget):
    """Several targets of the same input, outputs concatenated."""

    targets: tuple[AbstractTarget, ...]

    @property
    def name(self):
        return " & ".join(target.name for target in self.targets)

    def __call__(self, x):
        return _namespace(x).concatenate([target(x) for target in self.targets], axis=-1)

    @property
    def is_linear(self):
        return all(target.is_linear for target in self.targets)

    def matrix(self):
        return np.concatenate([target.matrix() for target in self.targets])

    def stretch(self):
        lows, highs = zip(*(target.stretch() for target in self.targets), strict=True)
        return math.hypot(*lows), math.hypot(*highs)


@dataclasses.dataclass(frozen=True)
class Realified(AbstractTarget):
    """A complex target on stacked real and imaginary parts: `(Re x, Im x) -> (Re y, Im y)`."""

    target: AbstractTarget

    @property
    def name(self):
        return f"real {self.target.name}"

    def __call__(self, x):
        half = x.shape[-1] // 2
        y = self.target(x[..., :half] + 1j * x[..., half:])
        return _namespace(x).concatenate([y.real, y.imag], axis=-1)

    @property
    def is_linear(self):
        return self.target.is_linear

    def matrix(self):
        w = self.target.matrix()
        return np.block([[np.real(w), -np.imag(w)], [np.imag(w), np.real(w)]])

    def stretch(self):
        return self.target.stretch()


def _namespace(x: Any) -> Any:
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else jnp
