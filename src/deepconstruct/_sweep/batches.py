"""One compiled batch of runs, spread over devices."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PRNGKeyArray

from .._static import to_jax
from .grid import SEED

# Runs that a device takes together. A CPU is fastest where a few fit its cache; since a batch is cut
# into such groups wherever it runs, the result doesn't depend on the number of devices.
_GROUP_CPU, _GROUP = 4, 256
# So many batches at least, so that there is progress to show and little to lose.
_BATCHES = 32


def usual_mesh() -> Mesh:
    """The mesh that `jax.set_mesh` has set; else one with one axis over the devices of all processes."""
    found = jax.sharding.get_mesh()
    if found.empty:
        return Mesh(np.asarray(jax.devices()), ("runs",))
    return Mesh(found.devices, found.axis_names)  # without the types of its axes, which are about other work


def group_size(mesh: Mesh) -> int:
    """How many runs a device takes together."""
    return _GROUP_CPU if mesh.devices.flat[0].platform == "cpu" else _GROUP


def usual_batch(mesh: Mesh, runs: int) -> int:
    """A batch of whole groups on every device, small enough for progress."""
    unit = mesh.size * group_size(mesh)
    return min(-(-runs // unit), max(1, runs // (_BATCHES * unit))) * unit


class Program:
    """`run` with its fixed values, compiled for batches of one size; under `jax.disable_jit` run by run.

    Args:
        run: the user's function.
        key: the key of the sweep; run `s` gets `fold_in(key, s)`.
        fixed: the values that are no arrays.
        points: those of all its runs, to know shapes and dtypes.
        batch_size: runs a batch; devices without a run repeat the last one.
        mesh: the devices.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        key: PRNGKeyArray,
        fixed: dict[str, Any],
        points: dict[str, np.ndarray],
        batch_size: int,
        mesh: Mesh,
    ):
        self.mesh, self.batch_size = mesh, batch_size
        self.padded = -(-batch_size // mesh.size) * mesh.size
        spec = PartitionSpec(mesh.axis_names)
        self.sharding = NamedSharding(mesh, spec)
        group = min(group_size(mesh), self.padded // mesh.size)

        typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        words = np.asarray(jax.random.key_data(key))  # a key that was made under a mesh belongs to it

        def one(point: dict[str, Any]) -> dict[str, jax.Array]:
            values = {name: value for name, value in point.items() if name != SEED}
            mine = jax.random.wrap_key_data(to_jax(words), impl=jax.random.key_impl(key)) if typed else to_jax(words)
            return named_arrays(run(jax.random.fold_in(mine, point[SEED]), **fixed, **values))

        def several(points: dict[str, Any]) -> dict[str, jax.Array]:
            return jax.lax.map(one, points, batch_size=group)

        self.one, self.compiled = one, None
        if jax.config.jax_disable_jit:  # pyright: ignore[reportAttributeAccessIssue]
            return
        spread = jax.shard_map(several, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
        try:
            self.compiled = self._compile(spread, points)
        except NotImplementedError:
            if jax.sharding.get_mesh().empty:
                raise
            # JAX spreads no function of arrays with `Explicit` axes, so every device runs all of a batch.
            self.mesh = jax.sharding.get_mesh()
            self.sharding = NamedSharding(self.mesh, PartitionSpec())
            self.compiled = self._compile(several, points)

    def _compile(self, function: Callable[..., Any], points: dict[str, np.ndarray]) -> Any:
        shapes = {
            name: jax.ShapeDtypeStruct((self.padded, *values.shape[1:]), values.dtype, sharding=self.sharding)
            for name, values in points.items()
        }
        with jax.set_mesh(self.mesh):
            return jax.jit(function).lower(shapes).compile()

    def __call__(self, points: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run up to `batch_size` points."""
        count = len(points[SEED])
        if self.compiled is None:
            singles = ({name: to_jax(values[index]) for name, values in points.items()} for index in range(count))
            runs = [self.one(single) for single in singles]
            return {name: np.stack([run[name] for run in runs]) for name in runs[0]}
        filled = {
            name: np.concatenate([values, np.repeat(values[-1:], self.padded - count, 0)])
            for name, values in points.items()
        }
        with jax.set_mesh(self.mesh):
            found = self.compiled({name: self._spread(values) for name, values in filled.items()})
        return {name: self._collect(values)[:count] for name, values in found.items()}

    def _spread(self, values: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(values.shape, self.sharding, lambda index: values[index])

    def _collect(self, values: jax.Array) -> np.ndarray:
        if jax.process_count() > 1:
            return np.asarray(multihost_utils.process_allgather(values, tiled=True))
        return np.asarray(values)

    def needs(self) -> int | None:
        """Bytes a device that the compiler reports for a batch; `None` where it doesn't, or where none ran."""
        analysis = None if self.compiled is None else self.compiled.memory_analysis()
        if analysis is None:
            return None
        return analysis.temp_size_in_bytes + analysis.output_size_in_bytes + analysis.argument_size_in_bytes


def named_arrays(tree: Any) -> dict[str, jax.Array]:
    """What `run` returned, by name: the path to each array, or `value` for a bare one."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator=".") or "value": leaf for path, leaf in paths}
    if not named or len(named) != len(paths):
        raise ValueError(f"sweep: run must return a pytree of arrays with a name each; got {tree!r}")
    for name, leaf in named.items():
        if not hasattr(leaf, "dtype") and not isinstance(leaf, float | int | complex):
            raise TypeError(f"sweep: run must return arrays; got {leaf!r} for {name!r}")
        if jnp.issubdtype(jnp.result_type(leaf), jax.dtypes.extended):
            raise TypeError(f"sweep: run must return numbers; got {jnp.result_type(leaf)} for {name!r}")
    return {name: to_jax(leaf) for name, leaf in named.items()}


def budget(mesh: Mesh) -> int | None:
    """Bytes a device that a batch may take: half of what is free, where the system tells."""
    device = mesh.devices.flat[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) // 2
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    return None if free is None else free // (2 * len(mesh.local_devices))
