"""Files: versioned JSON and `.npy` members in a zip, read without pickle or skeleton.

`tree.json` holds `{"format": "deepconstruct", "version": 1, "tree": ...}`. In the tree a record is
`{"class": name, "fields": {...}}`, an array `{"array": member}`, a static array
`{"static": member}`, a tuple `{"tuple": [...]}`, and a number that JSON can't hold
`{"float": "inf"}`.
"""

import dataclasses
import io
import json
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import jax
import jax.numpy as jnp
import numpy as np

from . import _bias, activations, domains, linear, targets
from ._checks import check_available
from ._io.atomic import write_atomically
from ._static import StaticArray
from .activations import AbstractActivation
from .construction import Bound, Claim, Construction, Robustness
from .domains import AbstractDomain
from .linear import AbstractLinear
from .network import Label, Layer, Network, Repeat
from .systems import IFS
from .targets import AbstractTarget

_FORMAT, _VERSION = "deepconstruct", 1
_MEMBER = "tree.json"

_BASES = (AbstractLinear, AbstractActivation, AbstractDomain, AbstractTarget, _bias.AbstractBias)
_SOURCES = {"linear": linear, "activations": activations, "domains": domains, "targets": targets, "bias": _bias}


def _registry() -> dict[str, type]:
    """Every class that a file may hold, by a name that doesn't follow the layout of the package."""
    found: dict[str, type] = {
        f"{prefix}.{name}": value
        for prefix, module in _SOURCES.items()
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, _BASES) and not name.startswith("Abstract")
    }
    core = (IFS, Bound, Robustness, Claim, Construction, Label, Layer, Network, Repeat)
    return found | {cls.__name__: cls for cls in core}


_CLASSES = _registry()
_NAMES = {cls: name for name, cls in _CLASSES.items()}


def save(path: str | os.PathLike, value: Network | Construction) -> None:
    """Write a network or construction to one file, atomically.

    A user's own `Target` is stored by its name; give `load` the function again.

    Args:
        path: where; an existing file is replaced once the new one is complete.
        value: a `Network` or `Construction`.

    Raises:
        TypeError: something else, or a class that isn't the library's own.

    Example:
        >>> import deepconstruct as dc, tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "xor.dc"
        >>> dc.save(path, dc.parity(8))
        >>> dc.load(path).claim == dc.parity(8).claim
        True
    """
    if not isinstance(value, Network | Construction):
        raise TypeError(f"save: expected a Network or Construction; got {type(value).__name__}")
    members: dict[str, np.ndarray] = {}
    tree = _encode(value, members)
    text = json.dumps({"format": _FORMAT, "version": _VERSION, "tree": tree}, allow_nan=False)

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_MEMBER, text)
            for name, array in members.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
                archive.writestr(name, buffer.getvalue())

    write_atomically(Path(path), write)


def load(
    path: str | os.PathLike,
    *,
    functions: Mapping[str, Callable[[Any], Any]] | None = None,
    max_bytes: int = 2**33,
) -> Any:
    """Read what `save` wrote; no skeleton is needed, and no code in the file is run.

    Args:
        path: the file.
        functions: functions of user targets, by name.
        max_bytes: the largest uncompressed size that is read.

    Returns:
        The `Network` or `Construction`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a truncated or foreign file, a newer version, an unknown class, members of the
            wrong kind, a file over `max_bytes`, NaN or infinite weights, a user target without its
            function, or 64-bit weights without x64.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(path, archive, max_bytes)
            header = json.loads(archive.read(_MEMBER))
            _check_header(path, header)
            decoder = _Decoder(path, archive, dict(functions or {}))
            value = _decoded(path, decoder, header["tree"])
    except (zipfile.BadZipFile, json.JSONDecodeError, UnicodeDecodeError, EOFError, RecursionError) as error:
        raise ValueError(f"load: {path} is not a complete deepconstruct file ({error})") from None
    if not isinstance(value, Network | Construction):
        raise ValueError(f"load: {path} holds no network or construction")
    return value


def _decoded(path: Any, decoder: "_Decoder", tree: Any) -> Any:
    """Decode the tree; whatever a malformed one breaks becomes a message that names the file."""
    try:
        return decoder.decode(tree)
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        if reason.startswith("load:"):
            raise
        raise ValueError(f"load: {path} is malformed: {reason}") from None


def _encode(value: Any, members: dict[str, np.ndarray]) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, tuple | list):
        return {"tuple": [_encode(item, members) for item in value]}
    if isinstance(value, StaticArray):
        return {"static": _member(value.array, members)}
    if isinstance(value, jax.Array | np.ndarray):
        return {"array": _member(np.asarray(value), members)}
    if isinstance(value, targets.Target):
        return {"target": value.name}
    if type(value) not in _NAMES:
        raise TypeError(f"save: {type(value).__name__} is not a class of this library and can't be stored")
    fields = {field.name: _encode(getattr(value, field.name), members) for field in dataclasses.fields(value)}
    return {"class": _NAMES[type(value)], "fields": fields}


def _member(array: np.ndarray, members: dict[str, np.ndarray]) -> str:
    if array.dtype.kind not in "fciub":
        # bfloat16 and its kin have no place in the npy format.
        raise TypeError(f"save: arrays of {array.dtype.name} can't be stored; cast with dc.astype first")
    name = f"{len(members)}.npy"
    members[name] = array
    return name


def _check_archive(path: Any, archive: zipfile.ZipFile, max_bytes: int) -> None:
    if _MEMBER not in archive.namelist():
        raise ValueError(f"load: {path} is not a deepconstruct file (it has no {_MEMBER})")
    total = sum(info.file_size for info in archive.infolist())
    if total > max_bytes:
        raise ValueError(f"load: {path} unpacks to {total} bytes, more than max_bytes={max_bytes}")


def _check_header(path: Any, header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError(f"load: {path} is not a deepconstruct file (its format isn't {_FORMAT!r})")
    version = header.get("version")
    if not isinstance(version, int) or "tree" not in header:
        raise ValueError(f"load: {path} has no valid version or tree")
    if version > _VERSION:
        raise ValueError(
            f"load: {path} is of format version {version}, newer than this library's {_VERSION}; upgrade deepconstruct"
        )


class _Decoder:
    """Builds the objects of one file."""

    def __init__(self, path: Any, archive: zipfile.ZipFile, functions: dict[str, Callable]):
        self.path, self.archive, self.functions = path, archive, functions
        self.in_repeat = False

    def decode(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if "class" in node:
            return self._record(node)
        readers = {"tuple": self._tuple, "array": self._array, "static": self._static}
        readers |= {"float": float, "target": self._target}
        for kind, read in readers.items():
            if kind in node:
                return read(node[kind])
        raise ValueError(f"load: {self.path} holds an unknown kind of node: {sorted(node)}")

    def _tuple(self, items: list) -> tuple:
        return tuple(self.decode(item) for item in items)

    def _record(self, node: dict) -> Any:
        cls = _CLASSES.get(node["class"])
        if cls is None:
            raise ValueError(f"load: {self.path} holds an unknown class {node['class']!r}")
        outside, self.in_repeat = self.in_repeat, self.in_repeat or cls is Repeat
        fields = {name: self.decode(value) for name, value in node.get("fields", {}).items()}
        self.in_repeat = outside
        expected = {field.name for field in dataclasses.fields(cls)}
        if set(fields) != expected:
            raise ValueError(f"load: {self.path}: {node['class']} needs the fields {sorted(expected)}")
        # Set the fields as they were: constructors take other arguments than they store.
        value = object.__new__(cls)
        for name, field in fields.items():
            object.__setattr__(value, name, field)
        if cls is Layer and outside:
            return value  # its leaves are stacked: the block is checked as a whole
        for check in ("__check_init__", "__post_init__"):
            if hasattr(value, check):
                getattr(value, check)()
        return value

    def _read(self, name: str) -> np.ndarray:
        try:
            with self.archive.open(name) as member:
                self._check_size(member, self.archive.getinfo(name).file_size)
                member.seek(0)
                array = np.lib.format.read_array(member, allow_pickle=False)
        except KeyError:
            raise ValueError(f"load: {self.path} lacks its member {name!r}") from None
        except ValueError as error:
            raise ValueError(f"load: {self.path}: member {name!r} is no plain array ({error})") from None
        if array.dtype.kind not in "fciub":
            raise ValueError(f"load: {self.path}: member {name!r} has the dtype {array.dtype}")
        return array

    def _check_size(self, member: IO[bytes], size: int) -> None:
        """Compare what the header of an array promises with what is there, before room is made for it."""
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError("unknown version of the npy format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if math.prod(shape) * dtype.itemsize > size:
            raise ValueError(f"its header promises shape {shape}, but the member has {size} bytes")

    def _array(self, name: str) -> Any:
        array = self._read(name)
        check_available(f"load: {self.path}", array.dtype)
        return jnp.asarray(array)

    def _static(self, name: str) -> StaticArray:
        return StaticArray(self._read(name))

    def _target(self, name: str) -> targets.Target:
        if name not in self.functions:
            raise ValueError(
                f"load: {self.path} holds the user target {name!r}; pass its function: "
                f"load(path, functions={{{name!r}: ...}})"
            )
        return targets.Target(name, self.functions[name])
