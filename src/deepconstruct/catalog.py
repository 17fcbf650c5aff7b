"""The catalog: every construction of the library, with the sizes at which it is tested.

Whatever is listed here is run through every law of `deepconstruct.testing`, certified by the tour
and shown in the README's table. The entries stand at the end of their builders' files.
"""

import dataclasses
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ._analysis.cost import cost
from ._certify import certify
from ._certify.certificate import error_text
from ._checks import hint
from ._compose import fan_out, parallel, realify, repeat, series
from ._io.html import html_table
from ._io.progress import progress_bar
from ._io.tables import dataframe, text_table
from .construction import Built, Construction, FanOut, Origin, Parallel, Repeated, Rewritten, Series
from .construction.entry import Entry, Formula, shown
from .construction.origin import thawed
from .constructions import BUILDERS
from .rewrite import change_activation, densify, merge_affine, merge_duplicates, prune_dead, simplify, to_sparse

__all__ = [
    "ENTRIES",
    "Entry",
    "Formula",
    "Row",
    "Table",
    "Verdict",
    "build",
    "certificates",
    "get",
    "names",
    "rebuild",
    "row",
    "table",
    "verdict",
]


def names() -> list[str]:
    """The names of all constructions.

    Example:
        >>> import deepconstruct as dc
        >>> "parity" in dc.catalog.names()
        True
    """
    return list(ENTRIES)


def get(name: str) -> Entry:
    """One entry.

    Raises:
        ValueError: an unknown name.
    """
    if name not in ENTRIES:
        raise ValueError(f"catalog: no construction {name!r}; known are {', '.join(ENTRIES)}{hint(name, ENTRIES)}")
    return ENTRIES[name]


def build(name: str, size: Any = None, *, dtype: Any = None) -> Construction:
    """Build a construction by name, at its usual size if none is given.

    Args:
        name: one of `names()`.
        size: arguments of its builder by name, as many as are to differ from the usual; or the
            leading one alone.
        dtype: a dtype of the entry's kind; JAX's default if `None`.

    Raises:
        ValueError: an unknown name, or a size that the builder refuses.

    Example:
        >>> import deepconstruct as dc
        >>> dc.catalog.build("fft", 8).name, dc.catalog.build("parity_bounded_depth", {"n": 9, "depth": 4}).name
        ('dft(8)', 'parity(9)')
    """
    return get(name).build(size, dtype=dtype)


def rebuild(origin: Origin) -> Construction:
    """Build a construction anew from its origin, with equal bits.

    Args:
        origin: how it came about: built by a builder, or composed or rewritten from such.

    Raises:
        ValueError: an origin that only states a claim, a builder or a rule that isn't the library's,
            or an argument that was kept by its name alone, such as a function.

    Example:
        >>> import deepconstruct as dc
        >>> both = dc.parity(8, arity=3)
        >>> dc.catalog.rebuild(both.origin).claim == both.claim
        True
    """
    if isinstance(origin, Built):
        if origin.builder not in BUILDERS:
            raise ValueError(f"rebuild: no builder {origin.builder!r}{hint(origin.builder, BUILDERS)}")
        return BUILDERS[origin.builder](**{name: thawed(value) for name, value in origin.arguments})
    if isinstance(origin, Series):
        return series(*map(_again, origin.parts), merge=origin.merge)
    if isinstance(origin, Parallel):
        return parallel(*map(_again, origin.parts))
    if isinstance(origin, FanOut):
        return fan_out(*map(_again, origin.parts))
    if isinstance(origin, Repeated):
        return repeat(_again(origin.part), origin.times, merge=origin.merge)
    if isinstance(origin, Rewritten) and origin.rule in _RULES:
        return _RULES[origin.rule](_again(origin.of))
    raise ValueError(f"rebuild: nothing says how to build {origin}")


_RULES = {
    "realify": realify,
    "densify": densify,
    "merge_affine": merge_affine,
    "merge_affine(linear=True)": partial(merge_affine, linear=True),
    "merge_duplicates": merge_duplicates,
    "merge_duplicates(rounded=True)": partial(merge_duplicates, rounded=True),
    "prune_dead": prune_dead,
    "simplify": simplify,
    "to_sparse": to_sparse,
    "simplify(affine=True)": partial(simplify, affine=True),
    "change_activation(ReLU())": partial(change_activation, activation="relu"),
    "change_activation(Step())": partial(change_activation, activation="step"),
    "change_activation(Sigmoid(1.0))": partial(change_activation, activation="sigmoid"),
}


def _again(part: Construction) -> Construction:
    return rebuild(part.origin)


@dataclasses.dataclass(frozen=True)
class Row:
    """One construction, counted.

    Attributes:
        name: of the entry.
        computes: its summary.
        size: arguments by name, as text.
        depth: hidden layers.
        neurons: of the hidden layers.
        synapses: weights that aren't zero.
        theorem: the formula of the synapses, or nothing.
        expected: what the formula gives, `None` where it doesn't hold.
        error: that is claimed.
    """

    name: str
    computes: str
    size: str
    depth: int
    neurons: int
    synapses: int
    theorem: str
    expected: int | None
    error: str


def row(entry: Entry, construction: Construction, size: Any = None) -> Row:
    """The row of a construction that the entry has built at a size."""
    counted = cost(construction)
    return Row(
        name=entry.name,
        computes=entry.summary,
        size=shown(entry.resolve(size)),
        depth=counted.depth,
        neurons=counted.neurons,
        synapses=counted.synapses,
        theorem=entry.formula.text if entry.formula else "",
        expected=_expected(entry, size),
        error=str(construction.claim.error),
    )


def _expected(entry: Entry, size: Any) -> int | None:
    try:
        return entry.synapses(size)
    except ValueError:
        return None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a certificate says of one construction.

    Attributes:
        name: of the entry.
        size: arguments by name, as text.
        dtype: of the weights.
        verdict: as in `Certificate`.
        method: that decided; `""` if none did.
        covers: what was checked of the claim.
        found: the error found; `claimed`: the one claimed.
        seconds: how long it took, without building.
    """

    name: str
    size: str
    dtype: str
    verdict: str
    method: str
    covers: str
    found: str
    claimed: str
    seconds: float


Line = TypeVar("Line", Row, Verdict)


@dataclasses.dataclass(frozen=True, repr=False)
class Table(Generic[Line]):
    """Rows of the catalog: `print` and notebooks show them as a table."""

    rows: tuple[Line, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return text_table(self._heads, self._cells())

    def _repr_html_(self) -> str:
        return html_table(self._heads, self._cells())

    @property
    def _heads(self) -> list[str]:
        return [field.name for field in dataclasses.fields(self.rows[0] if self.rows else Row)]

    def _cells(self) -> list[list[str]]:
        return [[_cell(getattr(row, head)) for head in self._heads] for row in self.rows]

    def to_dataframe(self) -> Any:
        """A pandas data frame with a row for each construction.

        Raises:
            ImportError: without pandas.
        """
        return dataframe("catalog", {head: [getattr(row, head) for row in self.rows] for head in self._heads})


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value


def table(chosen: Iterable[str] | None = None, *, dtype: Any = None) -> Table[Row]:
    """Build constructions at their usual sizes, and count them.

    Args:
        chosen: names of the catalog; all of them (a few seconds) if `None`.
        dtype: of the weights; JAX's default if `None`.

    Returns:
        A table with `name`, `computes`, `size`, `depth`, `neurons`, `synapses`, `theorem`, `expected`
        and `error`.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> import deepconstruct as dc
        >>> counted = dc.catalog.table(["parity", "fft"])
        >>> [(row.name, row.size, row.synapses, row.expected) for row in counted.rows]
        [('parity', 'n=16', 90, 90), ('fft', 'n=64', 768, 768)]
    """
    entries = [get(name) for name in (ENTRIES if chosen is None else chosen)]
    return Table(tuple(row(entry, entry.build(dtype=dtype)) for entry in entries))


def certificates(chosen: Iterable[str] | None = None, *, double: bool = False) -> Table[Verdict]:
    """Certify constructions at their usual sizes.

    Args:
        chosen: names of the catalog; all of them if `None`, with a progress bar.
        double: in 64 bits rather than 32, which needs x64.

    Returns:
        A table with `name`, `size`, `dtype`, `verdict`, `method`, `covers`, `found`, `claimed` and `seconds`.

    Raises:
        ValueError: an unknown name, or 64 bits without x64.

    Example:
        >>> import deepconstruct as dc
        >>> (row,) = dc.catalog.certificates(["parity"]).rows
        >>> row.verdict, row.found
        ('proved', '0')
    """
    entries = [get(name) for name in (ENTRIES if chosen is None else chosen)]
    with progress_bar(total=len(entries), unit="entry", shown=chosen is None) as bar:
        rows = []
        for entry in entries:
            rows.append(verdict(entry, entry.dtype(double=double)))
            bar.update()
    return Table(tuple(rows))


def verdict(entry: Entry, dtype: str) -> Verdict:
    """Certify an entry at its usual size."""
    found = certify(entry.build(dtype=dtype))
    return Verdict(
        name=entry.name,
        size=shown(entry.size),
        dtype=dtype,
        verdict=found.verdict,
        method=found.method,
        covers=", ".join(found.covers),
        found=error_text(found.found),
        claimed=error_text(found.claimed),
        seconds=found.seconds,
    )


def _entries() -> dict[str, Entry]:
    files = dict.fromkeys(builder.__module__ for builder in BUILDERS.values())
    return {entry.name: entry for file in files for entry in sys.modules[file].ENTRIES}


ENTRIES: Mapping[str, Entry] = MappingProxyType(_entries())
