"""The sweep itself: which batches there are, and which are done."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from .._checks import check_key, check_size
from .._io.atomic import pack, unpack
from .._io.progress import progress_bar
from .batches import Program, budget, usual_batch, usual_mesh
from .grid import SEED, Grid, make_grid
from .result import Sweep
from .store import Store, describe, source_digest


def sweep(
    run: Callable[..., Any],
    grid: Mapping[str, Any],
    *,
    seeds: int | Sequence[int] = 1,
    store: str | os.PathLike | None = None,
    name: str | None = None,
    version: int | str = 1,
    mesh: Mesh | None = None,
    batch_size: int | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> Sweep:
    """Run one pure function at every point of a grid, with several seeds, on all devices.

    Axes given as arrays or as lists of floats are traced: all their points and the seeds are runs of one
    compiled program, in batches that are spread over the devices. Axes given as other lists (integers,
    texts, activations) may change shapes or structure: each of their values has a program of its own.

    Seed `s` gets the key `fold_in(key, s)` at every point, so that points are compared on the same
    random numbers. Fold a value of the grid into it in `run` if they should differ.

    With a store, every batch is written as it is done, and the same call after a kill goes on from
    there: the result is the same, bit for bit. Several processes (`jax.distributed`) work on one sweep
    together; each of them returns the whole result, and process 0 writes the store.

    Args:
        run: called as `run(key, **point)`, pure; returns a pytree of arrays of shapes that are the same
            at all points.
        grid: the axes, by the names of the arguments of `run`, in the order of the result.
        seeds: how many seeds (`0, 1, ...`), or which.
        store: a folder. The sweep takes a folder in it named after `name` and `version`.
        name: of the store's entry; the name of `run` by default.
        version: raise it when `run` changes. A changed source text of `run` warns.
        mesh: the devices; by default those of the mesh that `jax.set_mesh` has set, else all of all processes.
        batch_size: runs a batch, of all devices together. By default a 32nd of the runs, at least four a
            device on CPUs and 256 on others, less if half of the free memory doesn't hold it. A store keeps it.
        progress: whether to show a progress bar on a terminal or in a notebook.
        key: a PRNG key.

    Returns:
        A `Sweep`: arrays with one axis for every axis of the grid and one for the seeds. Runs that
        diverged are kept.

    Raises:
        ValueError: an empty grid axis, a store made by other arguments, results of several shapes.
        TypeError: `run` returns something else than arrays.
        MemoryError: a single run a device takes more than half of its free memory.
        OSError: a batch can't be written; those before it are kept.

    Example:
        >>> import deepconstruct as dc, jax, jax.numpy as jnp
        >>> def run(key, n, scale):
        ...     noisy = dc.perturb(dc.parity(n), scale, key=key)
        ...     return {"output": noisy(jnp.ones(n))[0]}
        >>> found = dc.sweep(run, {"n": [2, 3], "scale": [0.0, 0.1]}, seeds=4, key=jax.random.key(0))
        >>> found
        Sweep(n: 2, scale: 2, seed: 4; output ())
        >>> found["output"][:, 0].tolist()
        [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]
    """
    check_key("sweep", key)
    if not callable(run):
        raise TypeError(f"sweep: run must be called as run(key, **point); got {run!r}")
    axes = make_grid(grid, seeds)
    mesh = usual_mesh() if mesh is None else mesh
    if batch_size is not None:
        batch_size = check_size("sweep", "batch_size", batch_size)
    stored = None
    if store is not None and jax.process_index() == 0:
        stored = Store(store, describe(run, axes, key, name, version), source_digest(run))
    work = _Work(run, key, axes, mesh, _agreed(batch_size, stored), stored)
    results: dict[str, np.ndarray] = {}
    with progress_bar(total=axes.size, unit="run", shown=progress and jax.process_index() == 0, label=name) as bar:
        for positions, values in work.batches():
            _place(results, positions, values, axes.size)
            bar.update(len(positions))
    shaped = {name: values.reshape(*axes.shape, *values.shape[1:]) for name, values in results.items()}
    return Sweep(axes.axes, shaped)


def _agreed(batch_size: int | None, stored: Store | None) -> int | None:
    """The batch size of the store, if there is one; all processes take that of process 0."""
    if stored is not None and stored.manifest is not None:
        kept = stored.manifest["batch_size"]
        if batch_size not in (None, kept):
            raise ValueError(f"sweep: {stored.folder} was made with batch_size {kept}; got {batch_size}")
        batch_size = kept
    if jax.process_count() > 1:
        batch_size = int(multihost_utils.broadcast_one_to_all(np.asarray(batch_size or 0))) or None
    return batch_size


class _Work:
    """The batches of a sweep, in order, from the store or computed."""

    def __init__(
        self, run: Callable[..., Any], key: PRNGKeyArray, axes: Grid, mesh: Mesh, size: int | None, store: Store | None
    ):
        self.run, self.key, self.axes, self.mesh, self.size, self.store = run, key, axes, mesh, size, store
        self.points = axes.points()

    def batches(self) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """The positions of the runs of every batch in the flat result, and their values."""
        number = 0
        for fixed, positions in self.axes.programs():
            program = self._fitting(fixed) if self.size is None else None
            size = self.size = self.size or program.batch_size  # pyright: ignore[reportOptionalMemberAccess]
            if self.store is not None:
                self.store.begin(size)
            for first in range(0, len(positions), size):
                values = self._stored(number)
                if values is None:
                    program = program or self._program(fixed, size)
                    values = program({name: array[first : first + size] for name, array in self.points.items()})
                    if self.store is not None:
                        self.store.write(number, values)
                yield positions[first : first + size], values
                number += 1

    def _program(self, fixed: dict[str, Any], size: int) -> Program:
        return Program(self.run, self.key, fixed, self.points, size, self.mesh)

    def _fitting(self, fixed: dict[str, Any]) -> Program:
        """The program with the largest usual batch that memory holds."""
        size, available = usual_batch(self.mesh, len(self.points[SEED])), budget(self.mesh)
        while True:
            program = self._program(fixed, size)
            needed = program.needs()
            if needed is None or available is None or needed <= available:
                return program
            if size <= self.mesh.size:
                raise MemoryError(
                    f"sweep: a single run takes {needed / 2**30:.3g} GiB a device; half of what is free "
                    f"are {available / 2**30:.3g} GiB"
                )
            size = max(size // (2 * self.mesh.size), 1) * self.mesh.size

    def _stored(self, number: int) -> dict[str, np.ndarray] | None:
        values = None if self.store is None else self.store.read(number)
        return values if jax.process_count() == 1 else _from_first(values)


def _from_first(values: dict[str, np.ndarray] | None) -> dict[str, np.ndarray] | None:
    """What process 0 read, on all processes."""
    content = np.frombuffer(b"" if values is None else pack(values), np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(content), np.int32)))
    if length == 0:
        return None
    padded = content if jax.process_index() == 0 else np.zeros(length, np.uint8)
    return unpack(np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes())


def _place(results: dict[str, np.ndarray], positions: np.ndarray, values: dict[str, np.ndarray], runs: int) -> None:
    """Put a batch into the flat result, which the first batch makes."""
    if not results:
        results |= {name: np.empty((runs, *array.shape[1:]), array.dtype) for name, array in values.items()}
    wanted = {name: (array.shape[1:], array.dtype.name) for name, array in results.items()}
    found = {name: (array.shape[1:], array.dtype.name) for name, array in values.items()}
    if found != wanted:
        raise ValueError(
            f"sweep: run must return the same shapes at all points; got {found} after {wanted}; reduce the results "
            "in run, or sweep the points one by one"
        )
    for name, array in values.items():
        results[name][positions] = array
