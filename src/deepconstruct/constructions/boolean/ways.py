"""Other arguments for a table, and the error bounds that they reach."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...activations import ReLU, Sigmoid
from ..gates.arguments import Way
from .conjunction import Conjunction, temperature
from .table import error_bound, terms_of


def table_ways(
    table: np.ndarray,
    basis: str,
    unit: Conjunction,
    dtype: np.dtype,
    wanted: float | None,
    final: Callable[[float, Any], float],
) -> list[Way]:
    """Another basis, activation or dtype, or a basis and a dtype.

    Args:
        table: the values.
        basis: what was asked for.
        unit: the conjunction that was.
        dtype: and the dtype.
        wanted: the error of the table that a steeper sigmoid is chosen for, if any.
        final: `final(error, dtype)` is the error that is claimed where the table's is `error`.
    """

    def reached(basis: str, unit: Conjunction, dtype: Any) -> float:
        terms = terms_of("table", table, basis)
        error = error_bound(terms, unit, dtype) if terms.fits(dtype) else math.inf
        return final(error, dtype) if math.isfinite(error) else math.inf

    ways: list[Way] = []
    double = np.dtype("float64")
    if isinstance(unit.activation, Sigmoid):
        if wanted is not None:
            beta = math.ceil(temperature(terms_of("table", table, basis).mass, wanted))
            ways.append((f"Sigmoid({beta})", lambda: reached(basis, Conjunction(Sigmoid(float(beta))), dtype)))
        ways.append(("activation='relu'", lambda: reached(basis, Conjunction(ReLU()), dtype)))
    elif basis == "moebius":
        ways.append(("basis='minterm'", lambda: reached("minterm", unit, dtype)))
        if dtype != double:
            ways.append(("basis='minterm' and dtype='float64'", lambda: reached("minterm", unit, double)))
    if dtype != double:
        ways.append(("dtype='float64'", lambda: reached(basis, unit, double)))
    return ways
