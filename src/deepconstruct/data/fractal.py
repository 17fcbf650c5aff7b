"""Labeled points: positives on a fractal, negatives off it from a chosen level on."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, PRNGKeyArray

from .._checks import check_dtype, check_key, check_size
from ..domains import Fractal
from ..systems import IFS
from .curves import Curve, as_curve, linear


@dataclasses.dataclass(frozen=True, init=False)
class FractalDistribution:
    """Points `x` with labels `y = ±1`: half on `K_n`, half off it, as an approximation curve says.

    A negative point leaves at level `j`, so lies in `K_(j-1)` and not in `K_j`, with probability
    `2 (P(j) - P(j-1))`; there it is uniform. Points keep the margins of a `domains.Fractal`.

    Args:
        system: the iterated function system.
        level: the depth `n`, at least 1.
        curve: one of `coarse`, `fine`, `linear`, `power(a)`, `finest(m)`, or values `P(0), ..., P(n)`.
        inner: how far points keep from the faces of all cells that they are in, in cell coordinates.
        outer: how far negatives keep from the cells of the level at which they leave. By default the
            margins at which `dc.fractal` is right: 0 and 1/16, for touching cells that aren't folded
            1/64 and 0.
        measure: of the words of maps, `"uniform"` or `"self-similar"`, as in `IFS.sample`.

    Raises:
        ValueError: a curve for another depth, an unknown measure, or margins that are negative, both 0,
            or kept by no points.

    Source: Malach & Shalev-Shwartz, slides; they don't give a margin.

    Example:
        >>> import deepconstruct as dc, jax
        >>> distribution = dc.data.FractalDistribution(dc.systems.cantor(), 5, dc.data.fine)
        >>> x, y = distribution.sample(jax.random.key(0), 1000)
        >>> x.shape, y.shape, sorted(set(y.tolist()))
        ((1000, 1), (1000,), [-1.0, 1.0])
        >>> bool((dc.fractal(dc.systems.cantor(), 5)(x)[:, 0] == (y > 0)).all())
        True
    """

    domain: Fractal
    family: Curve
    measure: str

    def __init__(
        self,
        system: IFS,
        level: int,
        curve: Any = linear,
        *,
        inner: float | None = None,
        outer: float | None = None,
        measure: str = "uniform",
    ):
        level = check_size("FractalDistribution", "level", level)
        if not isinstance(system, IFS):
            raise TypeError(f"FractalDistribution: system must be a dc.IFS; got {type(system).__name__}")
        if inner is None and outer is None:
            inner, outer = system.usual_margins
        object.__setattr__(self, "domain", Fractal(system, level, inner or 0.0, outer or 0.0))
        object.__setattr__(self, "family", as_curve(curve))
        object.__setattr__(self, "measure", measure)
        self.system.measure_weights(measure)
        last = int(np.flatnonzero(np.diff(self.values))[-1]) + 1
        if last > self.domain.last_left:
            inner, outer = self.domain.inner, self.domain.outer
            raise ValueError(
                f"FractalDistribution: no points leave {self.system.name} at level {self.domain.last_left + 1} "
                f"with inner={inner:g} and outer={outer:g}; there can't be negatives"
            )

    @property
    def system(self) -> IFS:
        return self.domain.system

    @property
    def level(self) -> int:
        return self.domain.level

    @property
    def values(self) -> np.ndarray:
        """The approximation curve, `P(0), ..., P(n)`."""
        return self.family(self.level)

    def curve(self, j: int) -> float:
        """`P(j)`: the accuracy of the indicator of `K_j`.

        Raises:
            ValueError: `j` isn't one of 0, ..., n.
        """
        j = check_size("FractalDistribution", "j", j, minimum=0)
        if j > self.level:
            raise ValueError(f"FractalDistribution: j must be at most the level {self.level}; got {j}")
        return float(self.values[j])

    def sample(
        self, key: PRNGKeyArray, num: int, *, dtype: Any = None
    ) -> tuple[Inexact[Array, "num d"], Inexact[Array, " num"]]:
        """Draw points and labels; the same key gives the same ones. Can be compiled by `jax.jit`.

        Args:
            key: a PRNG key.
            num: how many, at least 0.
            dtype: JAX's default if `None`.

        Returns:
            Points of shape `(num, d)` and labels -1 and +1 of shape `(num,)`.

        Raises:
            ValueError: cells that `dtype` doesn't resolve.
        """
        check_key("FractalDistribution", key)
        num = check_size("FractalDistribution", "num", num, minimum=0)
        resolved = check_dtype("FractalDistribution", dtype)
        finest = self.domain.finest(resolved)
        if finest < self.level:
            raise ValueError(
                f"FractalDistribution: {resolved.name} resolves the cells of {self.system.name} up to level {finest} "
                f"with these margins; got level {self.level}"
            )
        label_key, level_key, point_key = jax.random.split(key, 3)
        positive = jax.random.bernoulli(label_key, shape=(num,))
        # A uniform number falls between P(j-1) and P(j), twice as often as they differ.
        heights = jnp.asarray(2 * self.values[None, 1:-1] - 1)
        leaves = 1 + jnp.sum(jax.random.uniform(level_key, (num,))[:, None] >= heights, axis=1)
        stops = jnp.where(positive, self.level + 1, leaves)
        x = self.domain.draw(point_key, stops, measure=self.measure, dtype=resolved)
        return x, jnp.where(positive, 1, -1).astype(resolved)

    def __repr__(self) -> str:
        return f"FractalDistribution({self.system.name}, {self.level}, {self.family!r})"
