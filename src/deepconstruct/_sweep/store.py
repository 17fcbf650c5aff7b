"""The store of a sweep: a folder with one file a finished batch."""

import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from .._io.atomic import read_arrays, write_arrays, write_atomically
from .grid import Grid, text_of

_FORMAT = 1
_MANIFEST = "sweep.json"


def describe(run: Callable[..., Any], grid: Grid, key: PRNGKeyArray, name: str | None, version: Any) -> dict[str, Any]:
    """Everything that decides what a batch holds, as JSON."""
    axes = [[axis, _axis_text(axis, values)] for axis, values in grid.axes.items()]
    return {
        "format": _FORMAT,
        "name": name or run_name(run),
        "version": str(version),
        "axes": axes,
        "key": [str(key.dtype), np.asarray(jax.random.key_data(key)).tolist()],
        "x64": bool(jax.config.read("jax_enable_x64")),
    }


def run_name(run: Callable[..., Any]) -> str:
    """The name of a function, also of a partial one or of an object that is called."""
    inner = getattr(run, "func", run)
    return getattr(inner, "__qualname__", type(inner).__name__).replace("<", "").replace(">", "")


def _axis_text(axis: str, values: np.ndarray | tuple[Any, ...]) -> Any:
    if isinstance(values, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16]
        return [str(values.dtype), list(values.shape), digest]
    texts = [text_of(value) for value in values]
    for text in texts:
        if " at 0x" in text or "<lambda>" in text:
            raise ValueError(
                f"sweep: a store must tell the values of axis {axis!r} apart after a restart, and {text} has no "
                "lasting name; use names or numbers, and build what they stand for inside run"
            )
    return texts


def source_digest(run: Callable[..., Any]) -> str | None:
    """A digest of the text of `run`, where it can be read."""
    try:
        return hashlib.sha256(inspect.getsource(getattr(run, "func", run)).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return None


class Store:
    """One folder for one sweep.

    Args:
        folder: the store of the user; the sweep gets a folder in it by its name and version.
        wanted: what `describe` gave.
        source: the digest of the source of `run`.
    """

    def __init__(self, folder: str | os.PathLike, wanted: dict[str, Any], source: str | None):
        self.folder = Path(folder) / f"{_safe(wanted['name'])}-v{_safe(wanted['version'])}"
        self.wanted, self.source = wanted, source
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> dict[str, Any] | None:
        path = self.folder / _MANIFEST
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text())
            stored = {name: found[name] for name in self.wanted}
            found["batch_size"] = int(found["batch_size"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"sweep: {path} is damaged ({error!r}), so it isn't known what its batches hold; "
                "delete the folder to start again"
            ) from None
        for name, value in self.wanted.items():
            if stored[name] != value:
                raise ValueError(
                    f"sweep: {self.folder} was made with another {_difference(name, stored[name], value)}; pass "
                    "another store, name or version, or the arguments that it was made with"
                )
        if self.source != found.get("source"):
            warnings.warn(
                f"sweep: the source of {self.wanted['name']} has changed since {self.folder} was made, and stored "
                "batches are kept; pass another version if they should be computed anew",
                stacklevel=4,
            )
        return found

    def begin(self, batch_size: int) -> None:
        """Write down what the batches will hold, unless it is there already."""
        if self.manifest is not None:
            return
        self.manifest = {**self.wanted, "batch_size": batch_size, "source": self.source}
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.manifest, indent=1).encode()
        write_atomically(self.folder / _MANIFEST, lambda file: file.write(text))

    def read(self, number: int) -> dict[str, np.ndarray] | None:
        """A finished batch; `None` if it isn't there, or damaged, which warns."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            return read_arrays(path)
        except ValueError as error:
            warnings.warn(f"sweep: {path} is damaged, {error}; the batch is computed again", stacklevel=3)
            return None

    def write(self, number: int, values: Mapping[str, np.ndarray]) -> None:
        """Store a finished batch: all of it, or nothing."""
        try:
            write_arrays(self._path(number), values)
        except OSError as error:
            raise OSError(
                f"sweep: {self._path(number)} could not be written ({error.strerror or error}); the batches before "
                "it are complete, and the same call goes on from there"
            ) from error

    def _path(self, number: int) -> Path:
        return self.folder / f"batch-{number:06d}.npz"


def _difference(name: str, stored: Any, wanted: Any) -> str:
    if name != "axes":
        return f"{name}: {stored!r} instead of {wanted!r}"
    before, now = dict(stored), dict(wanted)
    changed = [axis for axis in now if before.get(axis) != now[axis]] + [axis for axis in before if axis not in now]
    return f"grid or seeds ({', '.join(changed) or 'order'})"


def _safe(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in text)
