"""Catalog entries: a builder, sizes at which it is tested, and its synapses by formula."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .._checks import check_size, hint
from .construction import Construction

# Arguments by name, such as {"n": 16, "depth": 3}.
Size = Mapping[str, Any]


class Formula(NamedTuple):
    """A theorem's synapse count.

    Attributes:
        text: a closed form, and where it is one.
        count: the number, of the entry's sizes as arguments. It is right at every size that it takes;
            others it refuses with a `ValueError` that says which it takes.

    Example:
        >>> import deepconstruct as dc
        >>> text, count = dc.catalog.get("parity").formula
        >>> text, count(16), count(17)
        ('6 n - 6 for n = 2^k', 90, 97)
    """

    text: str
    count: Callable[..., int]


def formula(
    text: str, count: Callable[..., int] | int, *, where: str = "", holds: Callable[..., bool] | None = None
) -> Formula:
    """A formula that refuses what it doesn't hold for: sizes below 1, and those that `holds` denies.

    Args:
        text: as in `Formula`.
        count: a function of sizes, which are integers; or one number for all sizes of any kind.
        where: says in words what `holds` asks.
        holds: of the same arguments as `count`.
    """
    if isinstance(count, int):
        return Formula(text, lambda *args, **size: count)
    signature = inspect.signature(count)

    @functools.wraps(count)
    def checked(*args: Any, **size: Any) -> int:
        given = signature.bind(*args, **size)
        sizes = {name: check_size(f"formula {text!r}", name, value) for name, value in given.arguments.items()}
        if holds is not None and not holds(**sizes):
            raise ValueError(f"formula {text!r}: it holds for {where}; got {shown(sizes)}")
        return count(**sizes)

    return Formula(text, checked)


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """One named construction.

    Attributes:
        name: its key.
        summary: what it computes, in a line.
        builder: a function of arguments and a dtype that gives the construction.
        size: the size that is shown: arguments by name, the leading one first.
        sizes: the sizes that are tested, the least first.
        formula: the theorem's synapse count (`None` where no closed form is known).
        fixed: arguments that are the same at every size.
        made: arguments that the builder is given instead of the size, as a function of it.

    Example:
        >>> import deepconstruct as dc
        >>> entry = dc.catalog.get("parity_bounded_depth")
        >>> entry.size, entry.build({"n": 8, "depth": 4}).name
        ({'n': 16, 'depth': 3}, 'parity(8)')
    """

    name: str
    summary: str
    builder: Callable[..., Construction]
    size: Size
    sizes: tuple[Size, ...]
    formula: Formula | None = None
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    made: Callable[..., Mapping[str, Any]] | None = None

    def resolve(self, size: Size | Any = None) -> dict[str, Any]:
        """A whole size from a part of one, or from the leading argument alone; the rest is as shown."""
        if size is None:
            return dict(self.size)
        return {**self.size, **(size if isinstance(size, Mapping) else {next(iter(self.size)): size})}

    def build(self, size: Size | Any = None, *, dtype: Any = None) -> Construction:
        """Build it, at its usual size if none is given.

        Args:
            size: arguments by name, as many as are to differ; or the leading one alone.
            dtype: of the weights; JAX's default if `None`.

        Raises:
            ValueError: an unknown argument, or a size that the builder refuses.
        """
        arguments = self.resolve(size)
        self._check(arguments)
        if self.made is not None:
            used = {name: arguments.pop(name) for name in self.size}
            arguments |= self.made(**used)
        return self.builder(**{**self.fixed, **arguments}, dtype=dtype)

    def _check(self, arguments: Mapping[str, Any]) -> None:
        taken = dict.fromkeys([*self.size, *inspect.signature(self.builder).parameters])
        for name in arguments:
            if name not in taken or name == "dtype":
                known = ", ".join(other for other in taken if other != "dtype")
                raise ValueError(f"{self.name}: no argument {name!r}; it takes {known}{hint(name, taken)}")

    def synapses(self, size: Size | Any = None) -> int | None:
        """How many synapses the theorem gives; `None` without a formula.

        Raises:
            ValueError: a size for which the formula doesn't hold.
        """
        arguments = self.resolve(size)
        if self.formula is None:
            return None
        if arguments.keys() != self.size.keys():
            of = ", ".join(self.size)
            raise ValueError(f"{self.name}: its formula is of {of}, with all else as usual; got {shown(arguments)}")
        return self.formula.count(**arguments)

    @functools.cached_property
    def _claim(self) -> Any:
        return self.build(self.sizes[0]).claim

    @property
    def kind(self) -> str:
        """`"real"` or `"complex"` weights."""
        return "complex" if self._claim.dtype.startswith("complex") else "real"

    def dtype(self, *, double: bool = False) -> str:
        """The name of its dtype in 32 bits a part, or in 64."""
        names = {"real": ("float32", "float64"), "complex": ("complex64", "complex128")}
        return names[self.kind][double]

    @property
    def source(self) -> str:
        """Paper and place."""
        return self._claim.source

    def __repr__(self) -> str:
        return f"Entry({self.name}: {self.summary}; shown at {shown(self.size)})"


def shown(size: Size) -> str:
    """A size as text."""
    return ", ".join(f"{name}={value}" for name, value in size.items())


def sizes(name: str, *values: Any) -> tuple[Size, ...]:
    """Sizes of one argument."""
    return tuple({name: value} for value in values)
