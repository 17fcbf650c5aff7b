"""Any function of bits, from its table."""

import math
from typing import Any

import numpy as np

from ..._checks import check_dtype, check_scalar
from ...activations import AbstractActivation
from ...construction import Bound, Claim, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...domains import AbstractDomain, Bits, Box
from ...targets import BooleanFunction
from ..gates.arguments import Way, check_tolerance, ways_out
from .conjunction import Conjunction, resolve_conjunction
from .table import Terms, check_range, errors, majority, network, terms_of
from .ways import table_ways

_SOURCE = "Lin, Tegmark & Rolnick (2017), Eq. 12"
_LARGEST = 16


@builder
def boolean_function(
    table: Any,
    *,
    basis: str = "moebius",
    activation: str | AbstractActivation = "relu",
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """Any function of `n` bits, in one hidden layer of ANDs.

    Args:
        table: its values, shape `(2^n,)` or `(2^n, outputs)`; row `i` is for the binary digits of
            `i`, lowest first.
        basis: `"moebius"`: ANDs of sets of bits, weighted by the Moebius coefficients, which can
            be as large as `2^(n-1) max|f|`; `"minterm"`: one AND of all literals an input,
            weighted by the value itself: nothing cancels.
        activation: `"relu"`, `"step"` or `"sigmoid"`, or such an object. By name, a sigmoid gets
            the inverse temperature that keeps the tolerance.
        tolerance: the largest error that will do; for `"sigmoid"` 1e-6 times the largest value if
            `None`.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, outputs)`.

    Raises:
        ValueError: a table that hasn't `2^n` rows or isn't finite, more than 16 bits, unknown
            names, sums beyond the range of the dtype or too long for it, or a tolerance that can't
            be kept.

    *Exactness*: over the reals exact with ReLU and step units. Bit for bit where the coefficients
    are floats whose sums don't round, as for tables of small integers; else rounding of up to
    `sum |h_S|` terms. Sigmoids err by up to `S(-beta / 2) sum |h_S|`.

    *Cost*: depth 1; at most `2^n - 1` neurons and `n 2^(n-1) + 2^n - 1` synapses in the Moebius
    basis, `2^n` and `(n + 1) 2^n` in the other; terms of weight 0 are left out.

    *Source*: Lin, Tegmark & Rolnick (2017), Eq. 12; Moebius inversion for its coefficients. The
    second basis is the disjunctive normal form. Departure: in Eq. 12 `x_i y_j` should read
    `x_i x_j`.

    Example:
        >>> import deepconstruct as dc
        >>> majority = dc.boolean_function([0, 0, 0, 1, 0, 1, 1, 1])
        >>> majority([[1, 0, 1], [0, 0, 1]]).tolist()
        [[1.0], [0.0]]
    """
    owner = "boolean_function"
    target = BooleanFunction(table)
    values = target.table.array
    check_table(owner, values)
    terms = terms_of(owner, values, basis)
    if tolerance is not None:
        tolerance = check_scalar(owner, "tolerance", tolerance, strict=True)
    resolved = check_dtype(owner, dtype)
    check_range(owner, terms, values, resolved)
    size = float(np.abs(values).max()) or 1.0
    unit = resolve_conjunction(owner, activation, 1e-6 * size if tolerance is None else tolerance / 2, terms.mass)
    net = network(terms, unit, resolved)
    error, robustness = errors(terms, unit, net, values)
    wanted = None if tolerance is None else tolerance / 2
    ways = table_ways(values, basis, unit, resolved, wanted, lambda error, dtype: error)
    check_table_error(owner, error, tolerance, terms, unit, resolved, ways)
    return Construction(
        net,
        Claim(
            target,
            Bits(target.n),
            _codomain(values),
            Bound(absolute=error),
            robustness,
            dtype=resolved.name,
            source=_SOURCE,
        ),
    )


def check_table(owner: str, values: np.ndarray) -> None:
    """Refuse tables that aren't finite or are too long."""
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{owner}: the table must be finite")
    if len(values) > 2**_LARGEST:
        raise ValueError(f"{owner}: at most {_LARGEST} bits, as every input may need a unit; got {len(values)} rows")


def check_table_error(
    owner: str,
    error: float,
    tolerance: float | None,
    terms: Terms,
    unit: Conjunction,
    dtype: np.dtype,
    ways: list[Way],
) -> None:
    """Refuse an error that is infinite, since sums are too long, or above a tolerance."""
    if not math.isfinite(error):
        advice = ways_out(ways) or "no other choice of arguments has one"
        raise ValueError(f"{owner}: sums of {len(terms.signs)} terms have no error bound in {dtype.name}; {advice}")
    if tolerance is not None:
        check_tolerance(owner, tolerance, error, f"{unit.activation.name()} in {dtype.name}", ways)


def _codomain(values: np.ndarray) -> AbstractDomain:
    if np.all((values == 0) | (values == 1)):
        return Bits(values.shape[1])
    # The values in the dtype may be those of the table rounded.
    room = 2.0**-20 * float(np.abs(values).max())
    return Box(values.shape[1], float(values.min()) - room, float(values.max()) + room)


def _majority(n: int) -> dict[str, Any]:
    return {"table": majority(n)}


# An AND of a set of j bits has a weight, (-1)^(j-t) C(j-1, t-1), if j is at least the threshold t = floor(n/2) + 1.
_SETS = formula(
    "sum C(n, j) (j + 1) over j > n/2", lambda n: sum(math.comb(n, j) * (j + 1) for j in range(n // 2 + 1, n + 1))
)
_INPUTS = formula(
    "(n + 1) sum C(n, j) over j > n/2", lambda n: (n + 1) * sum(math.comb(n, j) for j in range(n // 2 + 1, n + 1))
)

ENTRIES = (
    Entry(
        "boolean_function", "majority of n bits, ReLU ANDs", boolean_function, {"n": 5}, sizes("n", 1, 3, 5), _SETS,
        made=_majority,
    ),
    Entry(
        "boolean_minterm", "majority of n bits, one ReLU unit an input", boolean_function,
        {"n": 5}, sizes("n", 1, 3, 5), _INPUTS, fixed={"basis": "minterm"}, made=_majority,
    ),
    Entry(
        "boolean_sigmoid", "majority of n bits, sigmoid ANDs", boolean_function, {"n": 5}, sizes("n", 1, 3, 5), _SETS,
        fixed={"activation": "sigmoid"}, made=_majority,
    ),
)  # fmt: skip
