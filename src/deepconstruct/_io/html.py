"""Tables for notebooks."""

import html
from collections.abc import Iterable, Sequence
from typing import Any


def html_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a heading; texts are escaped, and numbers stand on the right."""
    head = "".join(f"<th>{html.escape(str(column))}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    right = "" if isinstance(value, str) else ' style="text-align: right"'
    return f"<td{right}>{html.escape(str(value))}</td>"
