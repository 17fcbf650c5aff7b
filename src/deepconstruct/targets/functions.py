"""Functions of real numbers and of bits."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import check_all, check_choice, check_scalar, check_shape, check_size
from .._static import StaticArray, check_static, inexact, like, namespace
from .base import Formula, concatenate


@dataclasses.dataclass(frozen=True)
class Parity(Formula):
    """The parity of `n` bits: 1 where an odd number is set; as signs, their product."""

    n: int
    encoding: str = "bits"

    def __post_init__(self):
        check_size("Parity", "n", self.n)
        check_choice("Parity", "encoding", self.encoding, ("bits", "signs"))

    @property
    def name(self):
        return f"parity({self.n})" if self.encoding == "bits" else f"parity({self.n}, signs)"

    def _evaluate(self, x):
        if self.encoding == "signs":
            return x.prod(axis=-1, keepdims=True)
        half = jnp.issubdtype(x.dtype, np.inexact) and x.dtype.itemsize < 4  # which doesn't hold every count
        odd = (x.astype("float32") if half else x).sum(axis=-1, keepdims=True) % 2
        return odd.astype(x.dtype) if half else odd


@dataclasses.dataclass(frozen=True)
class Product(Formula):
    """The product of `n` numbers; of bits, their AND."""

    n: int

    def __post_init__(self):
        check_size("Product", "n", self.n)

    @property
    def name(self):
        return f"product({self.n})"

    def _evaluate(self, x):
        return x.prod(axis=-1, keepdims=True)


Term = tuple[tuple[int, ...], float]


@dataclasses.dataclass(frozen=True)
class Polynomial(Formula):
    """Polynomials of the same variables, one an output.

    Args:
        variables: their number.
        outputs: for each output its terms, pairs of exponents (one a variable) and coefficient.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> square_sum = dc.targets.Polynomial(2, ((((2, 0), 1.0), ((0, 2), 1.0)),))
        >>> square_sum(jnp.array([3.0, 4.0])).tolist()
        [25.0]
    """

    variables: int
    outputs: tuple[tuple[Term, ...], ...]

    def __post_init__(self):
        check_size("Polynomial", "variables", self.variables)
        check_all("Polynomial", "outputs", self.outputs, tuple)
        for exponents, coefficient in (term for terms in self.outputs for term in terms):
            if len(exponents) != self.variables:
                raise ValueError(f"Polynomial: expected {self.variables} exponents a term; got {exponents}")
            check_shape("Polynomial", "exponents", exponents, self.variables, minimum=0)
            check_scalar("Polynomial", "a coefficient", coefficient, minimum=-math.inf)

    @property
    def degree(self) -> int:
        """The largest degree of a term."""
        return max((sum(exponents) for terms in self.outputs for exponents, _ in terms), default=0)

    @property
    def name(self):
        if len(self.outputs) == 1 and len(self.outputs[0]) <= 4 and self.variables <= 6:
            return " + ".join(map(_term_name, self.outputs[0])).replace("+ -", "- ") or "0"
        terms = sum(map(len, self.outputs))
        return f"polynomial({self.variables} variables, degree {self.degree}, {terms} terms)"

    def _evaluate(self, x):
        x = inexact(x)
        return concatenate([self._sum(terms, x) for terms in self.outputs])

    def _sum(self, terms: tuple[Term, ...], x: Any) -> Any:
        total = 0 * x[..., :1]
        for exponents, coefficient in terms:
            term = total * 0 + coefficient
            for i, exponent in enumerate(exponents):
                for _ in range(exponent):
                    term = term * x[..., i : i + 1]
            total = total + term
        return total


def _term_name(term: Term) -> str:
    exponents, coefficient = term
    letters = "xyzuvw"
    factors = [
        letter if exponent == 1 else f"{letter}^{exponent}"
        for letter, exponent in zip(letters, exponents, strict=False)
        if exponent
    ]
    shown = [] if coefficient == 1 and factors else [f"{coefficient:g}"]
    return " ".join([*shown, *factors])


@dataclasses.dataclass(frozen=True, init=False)
class BooleanFunction(Formula):
    """A function of bits by its table, one row an input; row `i` is for the binary digits of `i`, lowest first.

    Args:
        table: shape `(2^n,)`, or `(2^n, outputs)`.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.targets.BooleanFunction([0, 1, 1, 0])(jnp.array([1.0, 0.0])).tolist()
        [1.0]
    """

    table: StaticArray

    def __init__(self, table: Any):
        values = np.asarray(table.array if isinstance(table, StaticArray) else table, np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2:
            raise ValueError(
                f"BooleanFunction: table must have shape (2^n,) or (2^n, outputs) with n at least 1; got {values.shape}"
            )
        object.__setattr__(self, "table", StaticArray(values))
        self.__post_init__()

    def __post_init__(self):
        _check_table("BooleanFunction", "table", self.table)

    @property
    def n(self) -> int:
        """The number of bits."""
        return len(self.table.array).bit_length() - 1

    @property
    def name(self):
        return f"boolean function({self.n})"

    def _evaluate(self, x):
        return _rows(self.table.array, x)


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
        _check_table("BooleanClassifier", "logits", self.logits)

    @property
    def name(self):
        rows, classes = self.logits.array.shape
        return f"boolean classifier({rows.bit_length() - 1} bits, {classes} classes)"

    def _evaluate(self, x):
        logits = self.logits.array.astype(np.longdouble)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return _rows(odds / odds.sum(axis=1, keepdims=True), x)


def _check_table(owner: str, argument: str, table: Any) -> None:
    """Refuse what isn't a static table with one row an input."""
    shape = check_static(owner, argument, table, np.float64, 2).shape
    if 0 in shape or shape[0] < 2 or shape[0] & (shape[0] - 1):
        raise ValueError(f"{owner}: {argument} must have shape (2^n,) or (2^n, outputs) with n at least 1; got {shape}")


def _check_prior(owner: str, prior: Any, classes: int) -> None:
    if not isinstance(prior, tuple) or len(prior) != classes:
        raise ValueError(f"{owner}: prior must be {classes} numbers; got {prior!r}")
    for share in prior:
        check_scalar(owner, "prior", share, strict=True)


def _rows(table: np.ndarray, x: Any) -> Any:
    """The rows of a table that bits number, of the kind and precision of `x`."""
    x, xp = inexact(x), namespace(x)
    # In integers, since narrow floats don't hold the numbers of many rows.
    digits = xp.round(x.real).astype("int32")
    index = (digits << like(digits, np.arange(x.shape[-1]))).sum(axis=-1)
    return xp.asarray(table, dtype=x.dtype)[index]


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
