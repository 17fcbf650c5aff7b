"""Quadratic forms, through their eigenvectors."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._checks import check_dtype
from ...activations import AbstractActivation
from ...construction import Claim, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...construction.plans import Circuit, Sum
from ..gates.arguments import resolve_smooth
from ..gates.wiring import construct
from .polynomial import box, output_box
from .terms import as_target, read_array, read_bounds

_SOURCE = "Lin, Tegmark & Rolnick (2017), section II.D"


@builder
def quadratic_form(
    matrix: Any,
    *,
    activation: str | AbstractActivation | Callable = "square",
    bound: Any = 1.0,
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """`x^T Q x` as a sum of squares along the eigenvectors of `Q`.

    Args:
        matrix: `Q`, shape `(n, n)`, real; only its symmetric part counts.
        activation: as for `multiplication_gate`.
        bound: inputs lie in `[-bound, bound]`; a number, or one a variable.
        tolerance: the largest error that will do; refused if it can't be claimed.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, 1)`.

    Raises:
        ValueError: a matrix that isn't square, real and finite, or a tolerance below the claimed
            error.

    *Exactness*: rounding with `"square"`, of the eigenvectors too; `dc.polynomial` computes the same
    function with exact weights and more neurons.

    *Cost*: depth 1; as many neurons as `Q` has rank with `"square"`, else twice as many and one.

    *Source*: Lin, Tegmark & Rolnick (2017), section II.D, on quadratic Hamiltonians.

    Example:
        >>> import deepconstruct as dc
        >>> form = dc.quadratic_form([[0.0, 1.0], [1.0, 0.0]])
        >>> round(float(form([0.5, -0.5])[0]), 6), dc.cost(form).neurons
        (-0.5, 2)
    """
    owner = "quadratic_form"
    symmetric = _symmetric(owner, matrix)
    n = len(symmetric)
    bounds = read_bounds(owner, bound, n)
    act = resolve_smooth(owner, activation)
    resolved = check_dtype(owner, dtype)
    with np.errstate(over="ignore"):
        size = float(np.abs(symmetric) @ np.array(bounds) @ np.array(bounds)) * (1 + 2.0**-20)
    codomain = output_box(owner, size, resolved)
    circuit, lost = _circuit(symmetric, bounds)
    target = as_target(n, [_terms(symmetric)])
    claim = Claim(target, box(bounds), codomain, dtype=resolved.name, source=_SOURCE)
    return construct(owner, circuit, act, claim, tolerance=tolerance, lost=lost)


def _symmetric(owner: str, matrix: Any) -> np.ndarray:
    values = read_array(owner, "matrix", matrix)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not len(values) or not np.all(np.isfinite(values)):
        raise ValueError(f"{owner}: matrix must be square, real and finite; got shape {values.shape}")
    return (values + values.T) / 2


def _circuit(symmetric: np.ndarray, bounds: tuple[float, ...]) -> tuple[Circuit, float]:
    """Squares along the eigenvectors, and what their rounding, and what is dropped, loses."""
    values, vectors = np.linalg.eigh(symmetric)
    kept = np.abs(values) > 2.0**-45 * np.abs(values).max(initial=0.0)
    # Entries of eigenvectors that are zero come out as rounding errors, which would be synapses.
    values, vectors = values[kept], np.where(np.abs(vectors) > 2.0**-45, vectors, 0.0)[:, kept]
    sums = [Sum(tuple((i, float(v)) for i, v in enumerate(vector) if v)) for vector in vectors.T]
    level = tuple((part, part) for part in sums)
    output = Sum(tuple((i, float(value)) for i, value in enumerate(values)))
    lost = np.abs((vectors * values) @ vectors.T - symmetric) + 2.0**-50 * (
        np.abs(vectors * values) @ np.abs(vectors.T)
    )
    reach = np.array(bounds)
    return Circuit(bounds, (level,) if level else (), (output,)), float(reach @ lost @ reach)


def _terms(symmetric: np.ndarray) -> dict[tuple[int, ...], float]:
    n = len(symmetric)
    terms: dict[tuple[int, ...], float] = {}
    for i in range(n):
        for j in range(i, n):
            value = float(symmetric[i, j]) * (1 if i == j else 2)
            if value:
                terms[tuple(int(k == i) + int(k == j) for k in range(n))] = value
    return terms


def _neighbors(n: int) -> dict[str, Any]:
    return {"matrix": 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)}


# The eigenvectors are sin(i j pi / (n + 1)), which is 0 at `gcd(j, n + 1) - 1` places.
_NEIGHBORS = formula(
    "n^2 + 2 n - sum of gcd(j, n + 1) for j = 1 .. n",
    lambda n: n * n + 2 * n - sum(math.gcd(j, n + 1) for j in range(1, n + 1)),
)

ENTRIES = (
    Entry(
        "quadratic_form", "sum of squared differences of n neighbors", quadratic_form,
        {"n": 8}, sizes("n", 1, 2, 5), _NEIGHBORS, made=_neighbors,
    ),
)  # fmt: skip
