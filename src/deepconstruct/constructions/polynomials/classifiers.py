"""Classifiers with `p(y | x)` proportional to `exp(-H_y(x)) p(y)`, `H_y` a polynomial."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..._checks import check_dtype
from ...activations import AbstractActivation
from ...construction import Claim, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...construction.plans import Circuit, Sum
from ...targets import AbstractTarget, GaussianClassifier, HamiltonianClassifier
from ..gates.arguments import resolve_smooth
from ..gates.network import probabilities
from ..gates.wiring import construct
from .polynomial import box
from .scheduling import schedule
from .terms import as_target, read_array, read_bounds, read_terms
from .whitening import whiten

_SOURCE = "Lin, Tegmark & Rolnick (2017), Eqs. 2 to 8"


@builder
def hamiltonian_classifier(
    polynomials: Sequence[Mapping | Any],
    prior: Any = None,
    *,
    variables: Any = None,
    activation: str | AbstractActivation | Callable = "square",
    bound: Any = 1.0,
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The probabilities `p(y | x)` of classes with polynomial Hamiltonians: `softmax(-H(x) - mu)`.

    If `x` given `y` has the density `exp(-H_y(x))`, and `y` the prior `exp(-mu_y)`, these are the
    posterior probabilities.

    Args:
        polynomials: one Hamiltonian a class, each as for `polynomial`.
        prior: the probabilities of the classes (equal if `None`); scaled to sum to 1.
        variables: as for `polynomial`.
        activation: as for `multiplication_gate`.
        bound: inputs lie in `[-bound, bound]`; a number, or one a variable.
        tolerance: the largest error of a probability that will do; refused if it can't be claimed.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, variables) -> (*batch, classes)`.

    Raises:
        ValueError: fewer than two polynomials, different numbers of variables, a prior that isn't
            positive, or a tolerance below the claimed error.

    *Exactness*: with `"square"` rounding only. Errors of the logits count half.

    *Cost*: that of the polynomials, products of all classes shared; the softmax is the readout.

    *Source*: Lin, Tegmark & Rolnick (2017), Eqs. 2 to 8. Departures: in Eq. 3 `mu_x` should read
    `mu_y`, and in Eq. 7 the denominator sums over `exp(x_i)`.

    Example:
        >>> import deepconstruct as dc
        >>> coin = dc.hamiltonian_classifier([{(1,): 1.0}, {(1,): -1.0}], bound=1.0)
        >>> [round(float(p), 4) for p in coin([0.5])]
        [0.2689, 0.7311]
    """
    owner = "hamiltonian_classifier"
    read = [read_terms(owner, terms, variables) for terms in polynomials]
    counts = {count for _, count in read}
    if len(read) < 2 or len(counts) != 1:
        raise ValueError(
            f"{owner}: expected at least two polynomials in the same variables; got {len(read)} "
            f"in {', '.join(map(str, sorted(counts)))} variables"
        )
    count = counts.pop()
    shares = _prior(owner, prior, len(read))
    bounds = read_bounds(owner, bound, count)
    constant = (0,) * count
    logits = []
    for (terms, _), share in zip(read, shares, strict=True):
        negated = {key: -value for key, value in terms.items()}
        negated[constant] = negated.get(constant, 0.0) + math.log(share)
        logits.append(negated)
    target = HamiltonianClassifier(as_target(count, [terms for terms, _ in read]), shares)
    act, resolved = resolve_smooth(owner, activation), check_dtype(owner, dtype)
    return _classifier(owner, target, schedule(logits, bounds), act, resolved, tolerance)


@builder
def gaussian_classifier(
    means: Any,
    covariances: Any,
    prior: Any = None,
    *,
    activation: str | AbstractActivation | Callable = "square",
    bound: Any = None,
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The probabilities `p(y | x)` of classes that are normally distributed.

    The Hamiltonians are quadratic: each is a sum of squares along the eigenvectors of its
    covariance, in one hidden layer.

    Args:
        means: shape `(classes, n)`.
        covariances: shape `(classes, n, n)`, or `(n, n)` for all; symmetric (up to rounding: the
            mean with the transpose is taken) and positive definite.
        prior: the probabilities of the classes (equal if `None`); scaled to sum to 1.
        activation: as for `multiplication_gate`.
        bound: inputs lie in `[-bound, bound]`; a number, or one a variable. By default six standard
            deviations around every mean are covered.
        tolerance: the largest error of a probability that will do; refused if it can't be claimed.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, classes)`.

    Raises:
        ValueError: shapes that don't match, fewer than two classes, a covariance that isn't
            symmetric and positive definite (or nearly isn't), a prior that isn't positive, or a
            tolerance below the claimed error.

    *Exactness*: with `"square"` rounding only, of the order of the largest Hamiltonian in the box.

    *Cost*: depth 1; `classes n` neurons with `"square"`, else `2 classes n` and one constant unit a
    distinct bias; the softmax is the readout.

    *Source*: Lin, Tegmark & Rolnick (2017), section II.B, Eqs. 2 to 8.

    Example:
        >>> import deepconstruct as dc
        >>> two = dc.gaussian_classifier([[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> [round(float(p), 4) for p in two([0.5])]
        [0.2689, 0.7311]
    """
    owner = "gaussian_classifier"
    centers, spreads = _parameters(owner, means, covariances)
    classes, n = centers.shape
    shares = _prior(owner, prior, classes)
    if bound is None:
        deviations = np.sqrt(np.maximum(np.diagonal(spreads, axis1=1, axis2=2), 0.0))
        bound = np.ceil((np.abs(centers) + 6 * deviations).max(axis=0)).tolist()
    bounds = read_bounds(owner, bound, n)
    level, outputs, lost = [], [], 0.0
    for center, spread, share in zip(centers, spreads, shares, strict=True):
        white = whiten(spread)
        first, reach = len(level), np.abs(white.directions) @ np.array(bounds, np.longdouble)
        shifts, slips = white.shifts(center)
        for direction, shift in zip(white.directions, shifts, strict=True):
            part = Sum(tuple((i, float(v)) for i, v in enumerate(direction) if v), float(shift))
            level.append((part, part))
        outputs.append(Sum(tuple((first + i, -0.5) for i in range(n)), white.volume + math.log(share)))
        lost = max(lost, white.lost(reach + np.abs(shifts), slips) + 2.0**-50 * (1 + abs(math.log(share))))
    if not lost < 0.1:
        raise ValueError(
            f"{owner}: a covariance is too close to singular for double precision; "
            f"got {covariances!r} in a box of {bound}"
        )
    target = GaussianClassifier(centers, spreads, shares)
    circuit = Circuit(bounds, (tuple(level),), tuple(outputs))
    act, resolved = resolve_smooth(owner, activation), check_dtype(owner, dtype)
    return _classifier(owner, target, circuit, act, resolved, tolerance, lost=lost)


def _classifier(
    owner: str,
    target: AbstractTarget,
    circuit: Circuit,
    activation: AbstractActivation,
    dtype: np.dtype,
    tolerance: Any,
    *,
    lost: float = 0.0,
) -> Construction:
    """The circuit of the logits with a softmax behind; `lost` is what it is off the target's."""
    codomain = probabilities(len(circuit.outputs))
    claim = Claim(target, box(circuit.inputs), codomain, dtype=dtype.name, source=_SOURCE)
    return construct(owner, circuit, activation, claim, tolerance=tolerance, lost=lost, softmax=True)


def _prior(owner: str, prior: Any, classes: int) -> tuple[float, ...]:
    values = np.full(classes, 1.0) if prior is None else read_array(owner, "prior", prior)
    if values.shape != (classes,) or not np.all(values > 0):
        raise ValueError(f"{owner}: prior must be {classes} positive numbers, one a class; got {prior!r}")
    values = values / values.max()
    shares = values / values.sum()
    if shares.min() < np.finfo(float).tiny:
        raise ValueError(f"{owner}: prior must be {classes} numbers whose ratios double precision holds; got {prior!r}")
    return tuple(shares.tolist())


def _parameters(owner: str, means: Any, covariances: Any) -> tuple[np.ndarray, np.ndarray]:
    centers, spreads = read_array(owner, "means", means), read_array(owner, "covariances", covariances)
    if centers.ndim != 2 or len(centers) < 2 or not centers.shape[1]:
        raise ValueError(f"{owner}: means must have shape (classes, n) with two classes at least; got {centers.shape}")
    classes, n = centers.shape
    if spreads.shape == (n, n):
        spreads = np.broadcast_to(spreads, (classes, n, n))
    if spreads.shape != (classes, n, n):
        raise ValueError(
            f"{owner}: covariances must have shape ({classes}, {n}, {n}) or ({n}, {n}); got {spreads.shape}"
        )
    off = np.abs(spreads - np.swapaxes(spreads, 1, 2)).max() / (np.abs(spreads).max() or 1.0)
    if not off <= 1e-12:
        raise ValueError(f"{owner}: every covariance must be symmetric and positive definite; got one off by {off:.2g}")
    # Both the target and the network are those of the symmetric part.
    spreads = spreads / 2 + np.swapaxes(spreads, 1, 2) / 2
    if np.linalg.eigvalsh(spreads).min() <= 0:
        raise ValueError(
            f"{owner}: every covariance must be symmetric and positive definite; got eigenvalues down to "
            f"{np.linalg.eigvalsh(spreads).min():.3g}"
        )
    return centers, spreads


def _spin_chain(n: int) -> dict[str, Any]:
    pairs = [tuple(int(i in (j, j + 1)) for i in range(n)) for j in range(n - 1)]
    return {"polynomials": [dict.fromkeys(pairs, sign) for sign in (-0.5, 0.5)], "prior": [0.75, 0.25]}


def _three_normals(n: int) -> dict[str, Any]:
    means = np.stack([np.full(n, center) for center in (-1.0, 0.0, 1.0)])
    return {"means": means, "covariances": np.stack([scale * (np.eye(n) + 0.5) for scale in (0.5, 1.0, 0.5)])}


ENTRIES = (
    Entry(
        "hamiltonian_classifier", "chain of n spins, coupled or opposed", hamiltonian_classifier,
        {"n": 4}, sizes("n", 2, 3, 5),
        formula("8 n - 8", lambda n: 8 * n - 8, where="two spins or more", holds=lambda n: n > 1), made=_spin_chain,
    ),
    Entry(
        "gaussian_classifier", "three normal classes in n dimensions", gaussian_classifier,
        {"n": 2}, sizes("n", 1, 2, 4), formula("3 n^2 + 3 n", lambda n: 3 * n * n + 3 * n), made=_three_normals,
    ),
)  # fmt: skip
