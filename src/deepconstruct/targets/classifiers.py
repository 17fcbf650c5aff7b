"""Probabilities of classes, given bits or numbers."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .._checks import check_scalar
from .._static import StaticArray, check_static, inexact, like, namespace
from .base import Formula, concatenate, own
from .exact import ball, balls, digits, exact_numbers, exact_table, objects, probabilities
from .functions import BooleanFunction, Polynomial, check_table, row_numbers, rows_of


@dataclasses.dataclass(frozen=True, init=False)
class BooleanClassifier(Formula):
    """Probabilities of classes given bits: the softmax of a table of logits, rows as in `BooleanFunction`.

    Args:
        logits: shape `(2^n, classes)`.
    """

    logits: StaticArray

    def __init__(self, logits: Any):
        object.__setattr__(self, "logits", BooleanFunction(logits).table)

    def __post_init__(self):
        check_table("BooleanClassifier", "logits", self.logits)

    @property
    def name(self):
        rows, classes = self.logits.array.shape
        return f"boolean classifier({rows.bit_length() - 1} bits, {classes} classes)"

    def _evaluate(self, x):
        logits = self.logits.array.astype(np.longdouble)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return rows_of(odds / odds.sum(axis=1, keepdims=True), x)

    def _exactness(self, given):
        return own(self, "balls" if given == "rational" else None)

    def _exact(self, x):
        index = row_numbers(self.name, x, len(self.logits.array).bit_length() - 1)
        rows, places = np.unique(index, return_inverse=True)
        with digits():
            found = [probabilities(row) for row in balls(exact_table(self.logits)[rows]).tolist()]
        classes = self.logits.array.shape[1]
        shares = objects([value for row in found for value in row], (len(rows), classes))
        return shares[places].reshape(*index.shape, classes)


def _check_prior(owner: str, prior: Any, classes: int) -> None:
    if not isinstance(prior, tuple) or len(prior) != classes:
        raise ValueError(f"{owner}: prior must be {classes} numbers; got {prior!r}")
    for share in prior:
        check_scalar(owner, "prior", share, strict=True)


@dataclasses.dataclass(frozen=True)
class HamiltonianClassifier(Formula):
    """`p(y | x)` proportional to `exp(-H_y(x)) prior_y`, for polynomials `H_y`."""

    hamiltonians: Polynomial
    prior: tuple[float, ...]

    def __post_init__(self):
        if not isinstance(self.hamiltonians, Polynomial):
            raise TypeError(f"HamiltonianClassifier: hamiltonians must be a Polynomial; got {self.hamiltonians!r}")
        _check_prior("HamiltonianClassifier", self.prior, len(self.hamiltonians.outputs))

    @property
    def name(self):
        return f"hamiltonian classifier({self.hamiltonians.variables} variables, {len(self.prior)} classes)"

    def _evaluate(self, x):
        x = inexact(x)
        return _softmax(like(x, np.log(np.array(self.prior, np.longdouble))) - self.hamiltonians(x))

    def _exactness(self, given):
        return own(self, None if self.hamiltonians._exactness(given) is None else "balls")

    def _exact(self, x):
        with digits():
            logs = [ball(share).log() for share in self.prior]
            return _shares(
                balls(self.hamiltonians._exact(x)),
                lambda energies: [log - energy for log, energy in zip(logs, energies, strict=True)],
            )


@dataclasses.dataclass(frozen=True, init=False)
class GaussianClassifier(Formula):
    """`p(y | x)` for normally distributed `x` given `y`.

    Args:
        means: shape `(classes, n)`.
        covariances: shape `(classes, n, n)`, positive definite.
        prior: shape `(classes,)`, positive.
    """

    means: StaticArray
    covariances: StaticArray
    prior: tuple[float, ...]

    def __init__(self, means: Any, covariances: Any, prior: Any):
        object.__setattr__(self, "means", StaticArray(np.asarray(means, np.float64)))
        object.__setattr__(self, "covariances", StaticArray(np.asarray(covariances, np.float64)))
        object.__setattr__(self, "prior", tuple(float(p) for p in prior))
        self.__post_init__()

    def __post_init__(self):
        means = check_static("GaussianClassifier", "means", self.means, np.float64, 2)
        covariances = check_static("GaussianClassifier", "covariances", self.covariances, np.float64, 3)
        if covariances.shape != (*means.shape, means.shape[1]):
            raise ValueError(
                f"GaussianClassifier: covariances must have shape {(*means.shape, means.shape[1])}; "
                f"got {covariances.shape}"
            )
        _check_prior("GaussianClassifier", self.prior, len(means))

    @property
    def name(self):
        classes, n = self.means.array.shape
        return f"gaussian classifier({n} numbers, {classes} classes)"

    def _evaluate(self, x):
        x, logs = inexact(x), []
        for mean, covariance, prior in zip(self.means.array, self.covariances.array, self.prior, strict=True):
            factor = _cholesky(covariance.astype(np.longdouble))
            whitened = _forward(namespace(x).asarray(factor, dtype=x.dtype), x - like(x, mean))
            constant = np.log(np.longdouble(prior)) - np.log(np.diagonal(factor)).sum()
            squares: Any = sum(part * part for part in whitened)
            logs.append((like(squares, constant) - squares / 2)[..., None])
        return _softmax(concatenate(logs))

    def _exactness(self, given):
        return own(self, "balls")

    def _exact(self, x):
        with digits():
            forms = [_normal(*form) for form in zip(self.means.array, self.covariances.array, self.prior, strict=True)]
            return _shares(balls(x), lambda point: [form(point) for form in forms])


def _normal(mean: np.ndarray, covariance: np.ndarray, prior: float) -> Callable[[list[Any]], Any]:
    """The logarithm of a normal density times its prior, up to what all have in common, in balls."""
    center, matrix = balls(exact_numbers("mean", mean)).tolist(), np.tril(covariance)
    factor, log = _exact_factor(exact_numbers("covariance", matrix).tolist()), ball(prior).log()
    pivots = [ball(factor[j][j]) for j in range(len(factor))]
    for pivot in pivots:
        log = log - pivot.log() / 2

    def logarithm(point: list[Any]) -> Any:
        solved, total = [], 0 * log
        for i, pivot in enumerate(pivots):
            rest = point[i] - center[i]
            for j, part in enumerate(solved):
                rest = rest - ball(factor[i][j]) * part
            solved.append(rest)
            total = total + rest * rest / pivot
        return log - total / 2

    return logarithm


def _exact_factor(matrix: list[list[Any]]) -> list[list[Fraction]]:
    """`L` with ones on its diagonal, and in their place `D`, such that `L D L^T` is the matrix, in fractions."""
    factor = [[Fraction(value) for value in row] for row in matrix]
    for j in range(len(factor)):
        factor[j][j] -= sum(factor[j][k] ** 2 * factor[k][k] for k in range(j))
        for i in range(j + 1, len(factor)):
            factor[i][j] -= sum(factor[i][k] * factor[j][k] * factor[k][k] for k in range(j))
            factor[i][j] /= factor[j][j]
    return factor


def _shares(rows: np.ndarray, logits: Callable[[list[Any]], list[Any]]) -> np.ndarray:
    """Probabilities of balls on the last axis."""
    found = [probabilities(logits(row)) for row in rows.reshape(-1, rows.shape[-1]).tolist()]
    classes = len(found[0]) if found else 0
    return objects([value for row in found for value in row], (*rows.shape[:-1], classes))


def _cholesky(matrix: np.ndarray) -> np.ndarray:
    """The lower factor `L` with `L L^T` the matrix, in whatever precision it has (NumPy's has double only)."""
    factor = np.zeros_like(matrix)
    for j in range(len(matrix)):
        factor[j, j] = np.sqrt(matrix[j, j] - (factor[j, :j] ** 2).sum())
        factor[j + 1 :, j] = (matrix[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]) / factor[j, j]
    return factor


def _forward(factor: Any, x: Any) -> list[Any]:
    """`L^-1 x` by forward substitution, entry by entry."""
    solved: list[Any] = []
    for i in range(x.shape[-1]):
        rest = x[..., i] - sum(factor[i, j] * part for j, part in enumerate(solved))
        solved.append(rest / factor[i, i])
    return solved


def _softmax(z: Any) -> Any:
    odds = namespace(z).exp(z - z.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)
