"""Descriptions of users' own classes and functions, by name, code and content."""

import dataclasses
import functools
import types
import uuid
from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np

# Their functions and classes are known by name.
_LIBRARIES = {"builtins", "deepconstruct", "equinox", "functools", "math", "numpy", "scipy"}
_LIBRARIES |= {"jax", "jaxlib", "jaxtyping", "ml_dtypes"}
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
_OTHER_CONTENT = ("__dict__", "__weakref__", "__doc__", "__module__", "__init__", "__eq__", "__hash__", "__repr__")


def fingerprint(value: Any, encode: Callable[[Any], Any], known: Container[type]) -> Any:
    """A tree of JSON that describes `value`: equal where the code and the content are.

    Args:
        value: anything.
        encode: gives the trees of plain values and arrays.
        known: the classes that `encode` takes.
    """
    return _Describer(encode, known).describe(value)


class _Describer:
    """Describes one value; what is met again is referred to by number."""

    def __init__(self, encode: Callable[[Any], Any], known: Container[type]):
        self.encode, self.known = encode, known
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []

    def describe(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.ndarray):
            return self.encode(value)
        if type(value) in self.known or hasattr(value, "__array__"):
            return self.encode(value)
        if id(value) in self.seen:
            return {"seen": self.seen[id(value)]}
        self.seen[id(value)] = len(self.seen)
        self.alive.append(value)  # its id isn't given away
        return self._new(value)

    def _new(self, value: Any) -> Any:
        if isinstance(value, tuple | list):
            return [type(value).__name__, *map(self.describe, value)]
        if isinstance(value, set | frozenset):
            return {"set": sorted(repr(self.describe(item)) for item in value)}
        if isinstance(value, Mapping):
            return {"mapping": [[self.describe(key), self.describe(part)] for key, part in value.items()]}
        if isinstance(value, types.ModuleType):
            return {"module": value.__name__}
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, type):
            return self._class(value)
        if _is_named(value):
            return {"name": _name(value)}
        if isinstance(value, _FUNCTIONS) or hasattr(value, "__wrapped__"):
            return self._function(value)
        return self._object(value)

    def _function(self, value: Any) -> Any:
        if isinstance(value, functools.partial):
            return {"partial": [self.describe(part) for part in (value.func, value.args, dict(value.keywords))]}
        if isinstance(value, types.MethodType):
            return {"method": [self.describe(value.__func__), self.describe(value.__self__)]}
        if isinstance(value, types.BuiltinFunctionType):
            return {"name": _name(value), "of": self.describe(getattr(value, "__self__", None))}
        if not isinstance(value, types.FunctionType):
            return {"wrapped": _name(type(value)), "function": self.describe(value.__wrapped__)}
        content = {
            "defaults": self.describe([value.__defaults__, value.__kwdefaults__]),
            "closure": [self._cell(cell) for cell in value.__closure__ or ()],
        }
        module = str(value.__globals__.get("__name__"))
        if _is_library(module):  # what `jax.vmap` and the like give
            return content | {"name": f"{module}.{value.__code__.co_qualname}"}
        named = {name: value.__globals__[name] for name in sorted(_names(value.__code__)) if name in value.__globals__}
        return content | {"code": self._code(value.__code__), "globals": self.describe(named)}

    def _cell(self, cell: Any) -> Any:
        try:
            return self.describe(cell.cell_contents)
        except ValueError:
            return None  # it isn't filled yet

    def _code(self, code: types.CodeType) -> Any:
        names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
        shape = [code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags]
        constants = [self.describe(constant) for constant in code.co_consts]
        return [code.co_code.hex(), constants, [list(part) for part in names], shape]

    def _class(self, cls: type) -> Any:
        if _is_named(cls):
            return {"name": _name(cls)}
        content = {name: self._member(part) for name, part in sorted(vars(cls).items()) if name not in _OTHER_CONTENT}
        described = {name: part for name, part in content.items() if part is not None}
        return {"name": _name(cls), "bases": [self.describe(base) for base in cls.__bases__], "content": described}

    def _member(self, value: Any) -> Any:
        """Methods and plain values of a class; nothing for what Python and the library put there."""
        for attribute in ("fget", "func", "method", "__func__"):
            value = getattr(value, attribute, None) or value
        if isinstance(value, types.FunctionType):
            return self.describe(value)
        if isinstance(value, bool | int | float | complex | str | bytes | np.ndarray | tuple | list):
            return self.describe(value)
        return None

    def _object(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
        elif hasattr(value, "__dict__") or hasattr(value, "__slots__"):
            slots = getattr(type(value), "__slots__", ())
            names = [slots] if isinstance(slots, str) else slots
            fields = dict(getattr(value, "__dict__", {})) | {n: getattr(value, n) for n in names if hasattr(value, n)}
        elif type(value) is object:
            fields = {}  # a mark without content
        else:
            return {"unknown": _name(type(value)), "once": uuid.uuid4().hex}
        return {"class": self.describe(type(value)), "fields": self.describe(fields)}


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _is_named(value: Any) -> bool:
    """Whether a function or class is one of a library's own, found under its name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<")
    return isinstance(module, str) and _is_library(module) and "<" not in name


def _is_library(module: str) -> bool:
    return module.split(".")[0] in _LIBRARIES


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))
