"""How a construction came about: remembered, shown and kept in files, but never trusted.

`construction.origin` is one of these records; whatever follows from it is checked against the weights.
"""

import dataclasses
import functools
import inspect
import numbers
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import jax
import numpy as np

from .._checks import check_flag, check_size
from .._static import StaticArray
from ..activations import AbstractActivation
from ..domains import AbstractDomain
from ..systems import IFS
from .plans import Blocks, Circuit, GatePlan, Sum, Tree

if TYPE_CHECKING:
    from .construction import Construction

__all__ = [
    "Blocks",
    "Built",
    "Circuit",
    "FanOut",
    "GatePlan",
    "Origin",
    "Parallel",
    "Repeated",
    "Rewritten",
    "Series",
    "Stated",
    "Sum",
    "Tree",
]


@dataclasses.dataclass(frozen=True)
class Origin:
    """How a construction came about.

    It steers proofs, rewrites and pictures; whatever follows from it is checked against the weights.
    """

    def __str__(self) -> str:
        return type(self).__name__.lower()


@dataclasses.dataclass(frozen=True)
class Stated(Origin):
    """The claim was attached by `dc.claim`: nothing is known of the network's wiring."""


@dataclasses.dataclass(frozen=True)
class Built(Origin):
    """By a builder.

    Attributes:
        builder: its name.
        arguments: pairs of name and value, defaults included; arrays as static ones, mappings as pairs.
        plan: what the builder knew of its own wiring, or `None`.
    """

    builder: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()
    plan: Any = None

    def __post_init__(self):
        if not isinstance(self.builder, str):
            raise TypeError(f"Built: builder must be a name; got {self.builder!r}")
        pairs = self.arguments if isinstance(self.arguments, tuple) else (self.arguments,)
        if not all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
            raise TypeError(f"Built: arguments must be pairs of a name and a value; got {self.arguments!r}")

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_short(value)}" for name, value in self.arguments if value is not None)
        return f"{self.builder}({shown})"


@dataclasses.dataclass(frozen=True)
class Series(Origin):
    """One after another; `merge` as in `dc.series`."""

    parts: tuple["Construction", ...]
    merge: bool

    def __post_init__(self):
        _check_parts("Series", self.parts)
        check_flag("Series", "merge", self.merge)

    def __str__(self) -> str:
        return _call("series", self.parts) if self.merge else _call("series", self.parts, "merge=False")


@dataclasses.dataclass(frozen=True)
class Parallel(Origin):
    """Side by side."""

    parts: tuple["Construction", ...]

    def __post_init__(self):
        _check_parts("Parallel", self.parts)

    def __str__(self) -> str:
        return _call("parallel", self.parts)


@dataclasses.dataclass(frozen=True)
class FanOut(Origin):
    """On the same input."""

    parts: tuple["Construction", ...]

    def __post_init__(self):
        _check_parts("FanOut", self.parts)

    def __str__(self) -> str:
        return _call("fan_out", self.parts)


@dataclasses.dataclass(frozen=True)
class Repeated(Origin):
    """`times` times after itself; `merge` as in `dc.repeat`."""

    part: "Construction"
    times: int
    merge: bool

    def __post_init__(self):
        _check_parts("Repeated", (self.part,))
        check_size("Repeated", "times", self.times)
        check_flag("Repeated", "merge", self.merge)

    def __str__(self) -> str:
        return _call("repeat", (self.part,), str(self.times))


@dataclasses.dataclass(frozen=True)
class Rewritten(Origin):
    """By a rule that keeps the function, such as `"densify"`."""

    rule: str
    of: "Construction"

    def __post_init__(self):
        _check_parts("Rewritten", (self.of,))
        if not isinstance(self.rule, str):
            raise TypeError(f"Rewritten: rule must be a name; got {self.rule!r}")

    def __str__(self) -> str:
        return _call(self.rule, (self.of,))


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result", bound="Construction")


def builder(build: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A builder that records its name and arguments in what it gives.

    A plan that the builder knows is passed on as `Construction(network, claim, Built(plan=plan))`.
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def recording(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        built = build(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        if "dtype" in given:  # its default may be another when it is built again
            given["dtype"] = built.claim.dtype
        arguments = tuple((name, frozen(value)) for name, value in given.items())
        plan = built.origin.plan if isinstance(built.origin, Built) else None
        return dataclasses.replace(built, origin=Built(build.__name__, arguments, plan))

    return recording


_PLAIN = (bool, int, float, complex, str, bytes, type(None), AbstractActivation, AbstractDomain, IFS, StaticArray)


def frozen(value: Any) -> Any:
    """An argument as a value that can be hashed, compared and stored.

    Arrays become static ones, mappings pairs of a tuple and a value; functions and other objects are
    kept by their names alone, as `"<function f>"`.
    """
    if isinstance(value, np.ndarray | jax.Array) and np.ndim(value):
        return StaticArray(np.asarray(value))
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        value = np.asarray(value).item()
    if isinstance(value, _PLAIN) and not (isinstance(value, str) and value.startswith("<")):
        return value
    if isinstance(value, numbers.Number):  # of another library
        return int(value) if isinstance(value, numbers.Integral) else float(value)  # pyright: ignore[reportArgumentType]
    if isinstance(value, Mapping):
        return tuple((_key(name), frozen(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return tuple(frozen(part) for part in value)
    return f"<{_described(value)}>"


def thawed(value: Any) -> Any:
    """An argument as builders take it, from what `frozen` made of it.

    Raises:
        ValueError: what was kept by its name alone.
    """
    if isinstance(value, StaticArray):
        return value.array
    if isinstance(value, str) and value.startswith("<"):
        raise ValueError(f"rebuild: {value} was kept by its name alone; build it anew with the function itself")
    if not isinstance(value, tuple):
        return value
    parts = [(part[0], thawed(part[1])) if _is_pair(part) else thawed(part) for part in value]
    return dict(parts) if all(_is_pair(part) for part in value) else tuple(parts)


def _key(name: Any) -> tuple:
    return frozen(name) if isinstance(name, tuple) else (frozen(name),)


def _is_pair(part: Any) -> bool:
    """Whether this comes from a mapping: of exponents to a coefficient, never two rows of an array."""
    return isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], tuple) and not isinstance(part[1], tuple)


def _described(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return f"{'class' if isinstance(value, type) else 'function'} {name}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value)).strip("<>")


def _check_parts(owner: str, parts: Any) -> None:
    """Refuse what aren't constructions (whose class is defined by the help of this module)."""
    whole = isinstance(parts, tuple) and all(hasattr(part, "claim") and hasattr(part, "origin") for part in parts)
    if not parts or not whole:
        raise TypeError(f"{owner}: parts must be constructions; got {parts!r}")


def _call(name: str, parts: tuple["Construction", ...], *more: str) -> str:
    return f"{name}({', '.join([*(part.name for part in parts), *more])})"


def _short(value: Any) -> str:
    if isinstance(value, StaticArray):
        return f"{value.array.dtype}[{','.join(map(str, value.array.shape))}]"
    if isinstance(value, tuple) and value and all(_is_pair(part) for part in value):
        value = dict(value)
    text = value if isinstance(value, str) and value.startswith("<") else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
