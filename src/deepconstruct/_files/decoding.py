"""Trees as objects again; every class's own checks are run on what a file says."""

import contextlib
import dataclasses
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._checks import check_available, check_finite
from .._static import StaticArray
from ..construction.encoding import EXTENDED
from ..network import Network
from ..targets import Target
from .checking import check_modules, check_network
from .registry import CLASSES

_FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


# What zipfile, json and their like raise for what isn't theirs.
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, json.JSONDecodeError)
_BROKEN += (UnicodeDecodeError,)


@contextlib.contextmanager
def refused(owner: str, what: str) -> Iterator[None]:
    """Turn whatever a malformed tree breaks into a `ValueError` that begins with the owner; our own messages stay."""
    try:
        yield
    except _BROKEN as error:
        raise ValueError(f"{owner} is not a complete deepconstruct file ({error})") from error
    except Exception as error:
        if str(error).startswith(owner.split()[0]):
            raise
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{owner} {what}: {reason or type(error).__name__}") from error


class Decoder:
    """Builds the objects of one file.

    Args:
        owner: begins messages.
        read: gives a member by its name.
        functions: functions of the user's targets, by name.
        max_bytes: how much all arrays may take, each counted as often as it is used.
    """

    def __init__(
        self,
        owner: str,
        read: Callable[[str], np.ndarray],
        functions: Mapping[str, Callable[[Any], Any]],
        max_bytes: float = math.inf,
    ):
        self.owner, self.read, self.functions, self.left = owner, read, functions, max_bytes
        self.classes: Mapping[str, type] = CLASSES
        self.members: dict[str, np.ndarray] = {}
        self.parts: list[Any] = []
        self.stack: tuple[int, ...] = ()
        self.finite, self.in_network = True, False

    def file(self, header: Mapping[str, Any]) -> Any:
        """The value of a file.

        Raises:
            ValueError: whatever is wrong with it.
        """
        for tree in header.get("parts", []):
            self.parts.append(self.decode(tree))
        is_network = isinstance(header["tree"], dict) and header["tree"].get("class") == "Network"
        if is_network:
            self.stack, self.finite = tuple(header.get("stack", [])), header.get("finite") is not False
        return self.decode(header["tree"])

    def decode(self, node: Any) -> Any:
        """The value of a tree."""
        if isinstance(node, list):
            raise ValueError(f"{self.owner} holds a list that isn't marked as a tuple")
        if not isinstance(node, dict):
            return node
        for kind, names in _NODES.items():
            if kind in node and set(node) <= names:
                return getattr(self, f"_{kind}")(node)
        raise ValueError(f"{self.owner} holds an unknown kind of node: {sorted(node)}")

    def _tuple(self, node: dict) -> tuple:
        return tuple(self.decode(item) for item in node["tuple"])

    def _float(self, node: dict) -> float:
        return _FLOATS[node["float"]]

    def _complex(self, node: dict) -> complex:
        real, imag = (self.decode(part) for part in node["complex"])
        return complex(real, imag)

    def _bytes(self, node: dict) -> bytes:
        return bytes.fromhex(node["bytes"])

    def _part(self, node: dict) -> Any:
        number = node["part"]
        if not isinstance(number, int) or not 0 <= number < len(self.parts):
            raise ValueError(f"{self.owner} refers to part {number!r}, which doesn't come before it")
        return self.parts[number]

    def _target(self, node: dict) -> Target:
        name = node["target"]
        if name not in self.functions:
            raise ValueError(
                f"{self.owner} holds the user target {name!r}; pass its function: "
                f"load(path, functions={{{name!r}: ...}})"
            )
        return Target(name, self.functions[name])

    def _array(self, node: dict) -> np.ndarray:
        array = self._member(node["array"], node.get("dtype"))
        check_available(self.owner, array.dtype)
        return array

    def _static(self, node: dict) -> StaticArray:
        return StaticArray(self._member(node["static"], node.get("dtype")))

    def _member(self, name: str, dtype: str | None) -> np.ndarray:
        if name not in self.members:
            self.members[name] = self.read(name)
        array = self.members[name]
        self.left -= array.nbytes
        if self.left < 0:
            raise ValueError(f"{self.owner} unpacks to more than max_bytes")
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if dtype is None:
            return array
        if dtype not in EXTENDED or array.dtype != f"u{EXTENDED[dtype].itemsize}":
            raise ValueError(f"{self.owner} gives member {name!r} the dtype {dtype!r}, which it can't have")
        return array.view(EXTENDED[dtype])

    def _class(self, node: dict) -> Any:
        cls, outside = self.classes.get(node["class"]), not self.in_network
        if cls is None:
            raise ValueError(f"{self.owner} holds an unknown class {node['class']!r}")
        self.in_network = self.in_network or cls is Network
        given = {name: self.decode(part) for name, part in node.get("fields", {}).items()}
        self.in_network = not outside
        value = self._built(cls, given)
        if outside and cls is Network:
            return self._network(value)
        if outside or not isinstance(value, eqx.Module):
            check_modules(value)
        return value

    def _built(self, cls: Any, given: dict[str, Any]) -> Any:
        # Fields are set as they were: constructors take other arguments than they store.
        fields = {field.name: field for field in dataclasses.fields(cls)}
        unknown = sorted(set(given) - set(fields))
        missing = sorted(name for name in set(fields) - set(given) if not _has_default(fields[name]))
        if unknown or missing:
            raise ValueError(f"{self.owner}: {cls.__name__} lacks the fields {missing} and doesn't know {unknown}")
        value = object.__new__(cls)
        for name, field in fields.items():
            part = given[name] if name in given else _default(field)
            convert = field.metadata.get("converter")
            object.__setattr__(value, name, part if convert is None else convert(part))
        return value

    def _network(self, network: Network) -> Network:
        check_network(network, self.stack)
        if self.finite:
            check_finite("Network", "weights", network)
        # Two leaves that shared memory couldn't be donated; a transfer compiles nothing.
        return jax.tree.map(lambda leaf: jax.device_put(leaf, may_alias=False), network)


_NODES = {kind: {kind} for kind in ("tuple", "float", "complex", "bytes", "part", "target")}
_NODES |= {"class": {"class", "fields"}, "array": {"array", "dtype"}, "static": {"static", "dtype"}}


def _has_default(field: dataclasses.Field) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _default(field: dataclasses.Field) -> Any:
    return field.default if field.default is not dataclasses.MISSING else field.default_factory()  # pyright: ignore
