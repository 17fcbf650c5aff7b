"""The grid of a sweep: axes mapped in one program, and those with a program a value."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

SEED = "seed"


@dataclasses.dataclass(frozen=True)
class Grid:
    """Axes by name, in the order given; the last is that of the seeds.

    Attributes:
        axes: the values of every axis: an array where it is mapped, a tuple where it is looped over.
    """

    axes: dict[str, np.ndarray | tuple[Any, ...]]

    @property
    def mapped(self) -> dict[str, np.ndarray]:
        """The axes whose values are traced: arrays, and lists of floats."""
        return {name: values for name, values in self.axes.items() if isinstance(values, np.ndarray)}

    @property
    def looped(self) -> dict[str, tuple[Any, ...]]:
        """The axes that change shapes or structure."""
        return {name: values for name, values in self.axes.items() if isinstance(values, tuple)}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.axes.values())

    @property
    def size(self) -> int:
        """All runs."""
        return int(np.prod(self.shape))

    def programs(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """For each program its fixed values, and the positions of its runs in the flat result."""
        positions = np.arange(self.size).reshape(self.shape)
        names = list(self.axes)
        for chosen in itertools.product(*(range(len(values)) for values in self.looped.values())):
            index: list[Any] = [slice(None)] * len(names)
            for name, number in zip(self.looped, chosen, strict=True):
                index[names.index(name)] = number
            fixed = {name: self.looped[name][number] for name, number in zip(self.looped, chosen, strict=True)}
            yield fixed, positions[tuple(index)].ravel()

    def points(self) -> dict[str, np.ndarray]:
        """The values of the mapped axes at every run of a program, flat; the seeds among them."""
        arrays = list(self.mapped.values())
        indices = np.meshgrid(*(np.arange(len(values)) for values in arrays), indexing="ij")
        return {name: values[index.ravel()] for (name, values), index in zip(self.mapped.items(), indices, strict=True)}


def text_of(value: Any) -> str:
    """The name of a function or class, and what any other value shows itself as."""
    return getattr(value, "__qualname__", None) or repr(value)


def make_grid(grid: Mapping[str, Any], seeds: int | Sequence[int]) -> Grid:
    """Check and sort the axes."""
    if not isinstance(grid, Mapping):
        raise TypeError(f"sweep: grid must map names to values, as in {{'scale': [0.1, 0.2]}}; got {grid!r}")
    axes: dict[str, Any] = {}
    for name, values in grid.items():
        if not isinstance(name, str) or not name.isidentifier() or name in (SEED, "key"):
            raise ValueError(f"sweep: an axis is named as an argument of run, and not 'seed' or 'key'; got {name!r}")
        axes[name] = _axis(name, values)
    return Grid({**axes, SEED: _seeds(seeds)})


def _axis(name: str, values: Any) -> np.ndarray | tuple[Any, ...]:
    if isinstance(values, np.ndarray | jax.Array):
        values = np.asarray(values)
        if values.ndim == 0 or len(values) == 0 or values.dtype.hasobject:
            raise ValueError(f"sweep: axis {name!r} must hold at least one number; got {values!r}")
        return values
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"sweep: axis {name!r} must be a list, a tuple or an array; got {values!r}")
    if not values:
        raise ValueError(f"sweep: axis {name!r} must hold at least one value; got {values!r}")
    if all(isinstance(value, float) for value in values):
        return np.asarray(values, jax.dtypes.canonicalize_dtype(float))
    return tuple(values)


def _seeds(seeds: Any) -> np.ndarray:
    try:
        found = np.arange(seeds) if isinstance(seeds, int | np.integer) else np.asarray(list(seeds))
    except TypeError:
        raise TypeError(f"sweep: seeds must be a number of seeds or a list of integers; got {seeds!r}") from None
    if found.ndim != 1 or len(found) == 0 or not np.issubdtype(found.dtype, np.integer):
        raise ValueError(f"sweep: seeds must be at least one integer; got {seeds!r}")
    if found.min() < 0 or found.max() >= 2**32 or len(np.unique(found)) < len(found):
        raise ValueError(f"sweep: seeds must differ and lie in [0, 2^32); got {seeds!r}")
    return found.astype(np.uint32)
