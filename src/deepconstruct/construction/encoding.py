"""Values as a tree of JSON and arrays: what files hold, and what digests are taken of.

In a tree a record is `{"class": name, "fields": {...}}`, an array `{"array": member}`, a static array
`{"static": member}` (with `"dtype"` beside it where the npy format doesn't know the dtype, whose
bytes are then stored), a tuple `{"tuple": [...]}`, and what JSON can't hold `{"float": "inf"}`,
`{"complex": [...]}` and `{"bytes": "hexadecimal"}`. Equal arrays are one member.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from .. import _bias, activations, domains, linear, targets
from .._checks import is_concrete
from .._static import StaticArray
from ..activations import AbstractActivation
from ..domains import AbstractDomain
from ..linear import AbstractLinear
from ..network import Label, Layer, Network, Repeat
from ..systems import IFS
from ..targets import AbstractTarget
from . import origin
from .bound import Bound, Robustness
from .claim import Claim
from .construction import Construction
from .fingerprint import fingerprint

_BASES = (AbstractLinear, AbstractActivation, AbstractDomain, AbstractTarget, _bias.AbstractBias)
_SOURCES = {"linear": linear, "activations": activations, "domains": domains, "targets": targets, "bias": _bias}
# They hold functions.
_WITH_FUNCTIONS = (targets.Target, activations.Custom)


def _registry() -> dict[str, type]:
    """Every class that is stored field by field, by a name that doesn't follow the layout of the package."""
    found: dict[str, type] = {
        f"{prefix}.{name}": value
        for prefix, module in _SOURCES.items()
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, _BASES) and not name.startswith("Abstract")
    }
    origins = {
        f"origins.{name}": value
        for name, value in vars(origin).items()
        if isinstance(value, type) and issubclass(value, origin.Origin) and value is not origin.Origin
    }
    core = (IFS, Bound, Robustness, Claim, Construction, Label, Layer, Network, Repeat)
    named = found | origins | {cls.__name__: cls for cls in core}
    return {name: cls for name, cls in named.items() if cls not in _WITH_FUNCTIONS}


CLASSES = _registry()

# Floats that NumPy's own format doesn't know, such as bfloat16.
EXTENDED = {
    dtype.name: dtype
    for value in vars(ml_dtypes).values()
    if isinstance(value, type) and issubclass(value, np.generic)
    for dtype in [np.dtype(value)]
    if jnp.issubdtype(dtype, np.floating)
}


def is_plain(dtype: np.dtype) -> bool:
    """Whether it is a dtype of numbers that NumPy's own format holds on every platform."""
    return dtype.kind in "fciub" and dtype.itemsize <= (16 if dtype.kind == "c" else 8)


class Encoder:
    """Turns values into a tree, and their arrays into members.

    Args:
        owner: begins messages.
        classes: what is stored field by field, by name.
    """

    def __init__(self, owner: str, classes: Mapping[str, type] = CLASSES):
        self.owner, self.names = owner, {cls: name for name, cls in classes.items()}
        self.members: dict[str, np.ndarray] = {}
        self._found: dict[tuple, str] = {}

    def encode(self, value: Any) -> Any:
        """The tree of a value."""
        if isinstance(value, np.generic) and is_plain(value.dtype):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(float(value))}
        if isinstance(value, complex):
            return {"complex": [self.encode(value.real), self.encode(value.imag)]}
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, tuple | list):
            return {"tuple": [self.encode(item) for item in value]}
        if isinstance(value, StaticArray):
            return self._array("static", value.array)
        if isinstance(value, jax.Array | np.ndarray):
            return self._array("array", value)
        if type(value) not in self.names:
            return self.other(value)
        return {"class": self.names[type(value)], "fields": self.fields(value)}

    def fields(self, value: Any) -> dict[str, Any]:
        """The trees of a dataclass's fields."""
        held = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {
            field.name: self.encode(part)
            for field, part in held
            if not (field.metadata.get("left out") and part == field.default)
        }

    def other(self, value: Any) -> Any:
        """The tree of what isn't stored field by field."""
        raise TypeError(f"{self.owner}: {type(value).__name__} is not a class of this library and can't be stored")

    def _array(self, kind: str, value: Any) -> dict[str, str]:
        if not is_concrete(value):
            raise TypeError(f"{self.owner}: the weights are being traced; call it outside jit, vmap and grad")
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            raise TypeError(f"{self.owner}: PRNG keys can't be stored; store jax.random.key_data(key)")
        array = np.asarray(value)
        if array.dtype.name in EXTENDED:
            return {kind: self._member(array.view(f"u{array.dtype.itemsize}")), "dtype": array.dtype.name}
        return {kind: self._member(array)}

    def _member(self, array: np.ndarray) -> str:
        if not is_plain(array.dtype):
            raise TypeError(f"{self.owner}: arrays of {array.dtype.name} can't be stored; cast with dc.astype first")
        content = array.tobytes()
        key = (array.dtype.str, array.shape, hashlib.blake2b(content).digest())
        if key not in self._found:
            self._found[key] = f"{len(self.members)}.npy"
            self.members[self._found[key]] = array
        return self._found[key]


class _Describer(Encoder):
    """Describes what files refuse as well: users' own classes, and functions."""

    def other(self, value):
        return {"described": fingerprint(value, self.encode, self.names)}


def digest(value: Network | Claim) -> str:
    """A digest of everything that decides what a network computes, or what a claim says.

    Of a network: its structure, sizes, index patterns, activations, labels, and every bit of every
    weight; equal networks have equal digests, in other processes too. Classes of the library are
    taken as files write them. Your own classes are taken by qualified name, the code of their
    methods and their fields; functions (of a `Custom` activation or a `Target`) by their code,
    defaults, closure and the globals that they name, so that their digests hold for one version of
    Python. What none of that describes, such as objects of compiled libraries, gets a digest that
    never comes again.

    Args:
        value: a `Network` or a `Claim`.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> import deepconstruct as dc
        >>> from deepconstruct.construction.encoding import digest
        >>> digest(dc.parity(4).network) == digest(dc.parity(4).network)
        True
        >>> digest(dc.parity(4).claim) == digest(dc.parity(5).claim)
        False
    """
    if not isinstance(value, Network | Claim):
        raise TypeError(f"digest: expected a Network or a Claim; got {type(value).__name__}")
    return content_digest("digest", value)


def content_digest(owner: str, value: Any) -> str:
    """`digest` of any value."""
    encoder = _Describer(owner)
    tree = encoder.encode(value)
    found = hashlib.blake2b(canonical(tree), digest_size=32)
    for array in encoder.members.values():
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def canonical(tree: Any) -> bytes:
    """A tree as JSON in one way only."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
