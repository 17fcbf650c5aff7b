"""Targets made of targets: one after another, side by side, on the same input."""

import dataclasses
import itertools
import math
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from .._checks import check_all, check_shape, check_size
from .._flint import flint
from .._static import inexact
from .base import AbstractTarget, concatenate, own
from .exact import balls, digits, objects


@dataclasses.dataclass(frozen=True)
class Composed(AbstractTarget):
    """`outer(inner(x))`."""

    outer: AbstractTarget
    inner: AbstractTarget

    def __post_init__(self):
        check_all("Composed", "outer and inner", (self.outer, self.inner), AbstractTarget)

    @property
    def name(self):
        return f"{self.outer.name} of {self.inner.name}"

    def _evaluate(self, x):
        return self.outer(self.inner(x))

    def _wide(self, x):
        return self.outer.wide(self.inner.wide(x))

    def _exactness(self, given):
        return own(self, passed_on((self.inner, self.outer), given))

    def _exact(self, x):
        return self.outer._exact(self.inner._exact(x))

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

    def __post_init__(self):
        check_all("Iterated", "target", (self.target,), AbstractTarget)
        check_size("Iterated", "times", self.times)

    @property
    def name(self):
        return f"{self.target.name}^{self.times}"

    def _evaluate(self, x):
        for _ in range(self.times):
            x = self.target(x)
        return x

    def _wide(self, x):
        for _ in range(self.times):
            x = self.target.wide(x)
        return x

    def _exactness(self, given):
        return own(self, passed_on((self.target,) * min(self.times, 2), given))

    def _exact(self, x):
        for _ in range(self.times):
            x = self.target._exact(x)
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

    def __post_init__(self):
        check_all("Parallel", "targets", self.targets, AbstractTarget)
        check_shape("Parallel", "sizes", self.sizes, len(self.targets))

    @property
    def name(self):
        return " | ".join(target.name for target in self.targets)

    def _evaluate(self, x):
        return concatenate([target(part) for target, part in self._parts(x)])

    def _wide(self, x):
        return concatenate([target.wide(part) for target, part in self._parts(x)])

    def _exactness(self, given):
        return own(self, side_by_side(self.targets, given))

    def _exact(self, x):
        return np.concatenate([target._exact(part) for target, part in self._parts(x)], axis=-1)

    def _parts(self, x: Any) -> list[tuple[AbstractTarget, Any]]:
        stops = itertools.accumulate(self.sizes)
        return [(t, x[..., stop - size : stop]) for t, size, stop in zip(self.targets, self.sizes, stops, strict=True)]

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

    def __post_init__(self):
        check_all("FanOut", "targets", self.targets, AbstractTarget)

    @property
    def name(self):
        return " & ".join(target.name for target in self.targets)

    def _evaluate(self, x):
        return concatenate([target(x) for target in self.targets])

    def _wide(self, x):
        return concatenate([target.wide(x) for target in self.targets])

    def _exactness(self, given):
        return own(self, side_by_side(self.targets, given))

    def _exact(self, x):
        return np.concatenate([target._exact(x) for target in self.targets], axis=-1)

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

    def __post_init__(self):
        check_all("Realified", "target", (self.target,), AbstractTarget)

    @property
    def name(self):
        return f"real {self.target.name}"

    def _evaluate(self, x):
        y = self.target(_as_complex(inexact(x)))
        return concatenate([y.real, y.imag])

    def _wide(self, x):
        y = self.target.wide(_as_complex(x))
        return concatenate([np.real(y), np.imag(y)])

    def _exactness(self, given):
        return own(self, None if self.target._exactness("balls") is None else "balls")

    def _exact(self, x):
        half = x.shape[-1] // 2
        with digits():
            real, imag = (balls(part).ravel().tolist() for part in (x[..., :half], x[..., half:]))
            x = objects([flint().acb(*pair) for pair in zip(real, imag, strict=True)], (*x.shape[:-1], half))
            y = self.target._exact(x)
            parts = [objects([get(flint().acb(v)) for v in y.ravel().tolist()], y.shape) for get in (_real, _imag)]
        return np.concatenate(parts, axis=-1)

    @property
    def is_linear(self):
        return self.target.is_linear

    def matrix(self):
        w = self.target.matrix()
        return np.block([[np.real(w), -np.imag(w)], [np.imag(w), np.real(w)]])

    def stretch(self):
        return self.target.stretch()


def passed_on(targets: Iterable[AbstractTarget], given: str) -> str | None:
    """What targets give one after another, for inputs of a kind."""
    kind: str | None = given
    for target in targets:
        kind = None if kind is None else target._exactness(kind)
    return kind


def side_by_side(targets: Iterable[AbstractTarget], given: str) -> str | None:
    """What targets give together, for inputs of a kind: balls if one of them does."""
    kinds = {target._exactness(given) for target in targets}
    return None if None in kinds else "balls" if "balls" in kinds else "rational"


def _real(value: Any) -> Any:
    return value.real


def _imag(value: Any) -> Any:
    return value.imag


def _as_complex(x: Any) -> Any:
    """The complex numbers whose real parts come first, then all imaginary ones."""
    half = x.shape[-1] // 2
    real, imag = x[..., :half], x[..., half:]
    return real + 1j * imag if isinstance(x, np.ndarray) else jax.lax.complex(real, imag)
