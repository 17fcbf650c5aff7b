"""What a sweep returned: arrays with named axes."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from .._io.atomic import read_arrays, write_arrays
from .grid import text_of

_FILE, _AXIS, _VALUE = "sweep.npz", "axis.", "value."


@dataclasses.dataclass(frozen=True, eq=False)
class Sweep:
    """The results of all runs, by name.

    Attributes:
        axes: the values along every axis, in order; the last is `seed`.
        values: an array for every array that `run` returned, by its path (`value` for a bare one), with
            the axes of the sweep first.

    Example:
        >>> import deepconstruct as dc, jax
        >>> square = lambda key, x: {"square": x**2, "noise": jax.random.normal(key)}
        >>> found = dc.sweep(square, {"x": [1.0, 2.0, 3.0]}, seeds=2, key=jax.random.key(0), progress=False)
        >>> found["square"].tolist()
        [[1.0, 1.0], [4.0, 4.0], [9.0, 9.0]]
        >>> found
        Sweep(x: 3, seed: 2; noise (), square ())
    """

    axes: Mapping[str, tuple[Any, ...] | np.ndarray]
    values: Mapping[str, np.ndarray]

    def __post_init__(self):
        object.__setattr__(self, "axes", MappingProxyType(dict(self.axes)))
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __reduce__(self) -> tuple:
        return Sweep, (dict(self.axes), dict(self.values))  # read-only views aren't pickled

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on every axis."""
        return tuple(len(values) for values in self.axes.values())

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.values:
            raise KeyError(f"sweep: no result {name!r}; there are {', '.join(self.values)}")
        return self.values[name]

    def nan_runs(self) -> int:
        """The number of runs with a NaN in any result; they are kept."""
        spoiled = np.zeros(self.shape, bool)
        for values in self.values.values():
            if np.issubdtype(values.dtype, np.inexact):
                spoiled |= np.isnan(values).any(axis=tuple(range(len(self.shape), values.ndim)))
        return int(spoiled.sum())

    def to_xarray(self) -> Any:
        """An `xarray.Dataset` with these axes as coordinates; it needs xarray.

        Values that are no numbers or texts become texts. An axis of vectors is numbered, and its
        values are a variable `<axis>_value`.
        """
        try:
            import xarray  # imported on use: it is optional, and slow to import
        except ImportError:
            raise ImportError("sweep: to_xarray needs xarray: pip install 'deepconstruct[sweep]'") from None
        coordinates, extra = {}, {}
        for name, values in self.axes.items():
            labels = _labels(values)
            if labels.ndim > 1:
                extra[f"{name}_value"] = ((name, *(f"{name}_{k}" for k in range(1, labels.ndim))), labels)
                labels = np.arange(len(labels))
            coordinates[name] = labels
        first = tuple(self.axes)
        variables = {
            name: ((*first, *(f"{name}_{k}" for k in range(values.ndim - len(first)))), values)
            for name, values in self.values.items()
        }
        return xarray.Dataset({**variables, **extra}, coordinates)

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row a run: its point and seed, then its results; it needs pandas.

        A result or an axis of arrays takes a column an entry, such as `errors[0]`. Values that are no
        numbers or texts become texts.
        """
        try:
            import pandas  # imported on use: it is optional, and slow to import
        except ImportError:
            raise ImportError("sweep: to_dataframe needs pandas: pip install 'deepconstruct[sweep]'") from None
        places = np.indices(self.shape).reshape(len(self.shape), -1)
        axes = {name: _labels(values)[place] for (name, values), place in zip(self.axes.items(), places, strict=True)}
        runs = int(np.prod(self.shape))
        values = {name: array.reshape(runs, *array.shape[len(self.shape) :]) for name, array in self.values.items()}
        return pandas.DataFrame({**_columns(axes), **_columns(values)})

    def save(self, folder: str | os.PathLike) -> None:
        """Write everything into one folder, which `Sweep.load` reads; it is made if it isn't there."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        axes = {_AXIS + name: _labels(values) for name, values in self.axes.items()}
        values = {_VALUE + name: array for name, array in self.values.items()}
        write_arrays(folder / _FILE, {**axes, **values})

    @staticmethod
    def load(folder: str | os.PathLike) -> "Sweep":
        """Read what `save` wrote; values of axes that are neither numbers nor texts come back as texts."""
        found = read_arrays(Path(folder) / _FILE)
        return Sweep(
            *(
                {name.removeprefix(prefix): array for name, array in found.items() if name.startswith(prefix)}
                for prefix in (_AXIS, _VALUE)
            )
        )

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {len(values)}" for name, values in self.axes.items())
        values = ", ".join(f"{name} {array.shape[len(self.axes) :]}" for name, array in self.values.items())
        return f"Sweep({axes}; {values})"


def _columns(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A column for every entry of the rows of arrays."""
    columns = {}
    for name, rows in arrays.items():
        for index in np.ndindex(rows.shape[1:]):
            columns[f"{name}[{', '.join(map(str, index))}]" if index else name] = rows[:, *index]
    return columns


def _labels(values: tuple[Any, ...] | np.ndarray) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    if all(isinstance(value, bool | int | float | str) for value in values):
        return np.asarray(values)
    return np.asarray([text_of(value) for value in values])
