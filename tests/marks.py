"""Marks of single parameters."""

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def slow_among(values: Iterable[Any], slow: Collection[Any]) -> list[Any]:
    """Parameters, of which those in `slow` are left to the slow tests."""
    return [pytest.param(*_arguments(value), marks=pytest.mark.slow) if value in slow else value for value in values]


def _arguments(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)
