"""Tables as text, and as data frames."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def text_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a heading; texts stand on the left, and numbers on the right."""
    rows = [tuple(row) for row in rows]
    cells = [list(columns), *([str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    texts = [all(isinstance(row[index], str) for row in rows) for index in range(len(columns))]
    return "\n".join(_line(line, widths, texts) for line in cells)


def _line(cells: list[str], widths: list[int], texts: list[bool]) -> str:
    padded = [
        cell.ljust(width) if text else cell.rjust(width) for cell, width, text in zip(cells, widths, texts, strict=True)
    ]
    return "  ".join(padded).rstrip()


def dataframe(owner: str, columns: Mapping[str, Any]) -> Any:
    """A `pandas.DataFrame` of columns of equal length.

    Raises:
        ImportError: pandas isn't there.
    """
    try:
        import pandas  # imported on use: it is optional, and slow to import
    except ImportError:
        raise ImportError(f"{owner}: to_dataframe needs pandas: pip install 'deepconstruct[sweep]'") from None
    return pandas.DataFrame(dict(columns))
