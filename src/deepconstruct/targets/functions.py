"""Functions of real numbers and of bits."""

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._checks import check_all, check_choice, check_scalar, check_shape, check_size
from .._static import StaticArray, check_static, inexact, like, namespace
from .base import Formula, concatenate, own
from .exact import bits_of, exact_table, is_small, unified, widened


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

    def _exactness(self, given):
        return own(self, given if given == "rational" or self.encoding == "signs" else None)

    def _exact(self, x):
        if self.encoding == "signs":
            return _product(x)
        x = x if is_small(x, 2**60 // self.n) else widened(x)
        return x.sum(axis=-1, keepdims=True) % 2


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

    def _exactness(self, given):
        return own(self, given)

    def _exact(self, x):
        return _product(x)


@dataclasses.dataclass(frozen=True)
class Largest(Formula):
    """The largest of `n` real numbers.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> dc.targets.Largest(3)(np.array([0.5, 2.0, -1.0])).tolist()
        [2.0]
    """

    n: int

    def __post_init__(self):
        check_size("Largest", "n", self.n)

    @property
    def name(self):
        return f"largest({self.n})"

    def _evaluate(self, x):
        return x.max(axis=-1, keepdims=True)

    def _exactness(self, given):
        return own(self, given if given == "rational" else None)

    def _exact(self, x):
        return x.max(axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True, init=False)
class PiecewiseAffine(Formula):
    """The largest of some affine functions, less the largest of others.

    Every continuous piecewise affine function of real numbers is of this form, and every function that a ReLU
    network computes.

    Args:
        rising: shape `(pieces, n + 1)`, or `(outputs, pieces, n + 1)`: a row holds the `n` slopes of an affine
            function and its constant.
        falling: likewise, what is taken off; nothing by default.

    Raises:
        ValueError: other shapes, sizes that differ, or numbers that aren't finite.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> tent = dc.targets.PiecewiseAffine([[2, 0]], falling=[[0, 0], [4, -2]])  # 2x - max(0, 4x - 2)
        >>> tent(np.array([[0.25], [0.5], [1.0]])).tolist()
        [[0.5], [1.0], [0.0]]
    """

    rising: StaticArray
    falling: StaticArray

    def __init__(self, rising: Any, falling: Any = None):
        rows = _pieces("rising", rising)
        off = np.zeros((rows.shape[0], 1, rows.shape[2])) if falling is None else _pieces("falling", falling)
        object.__setattr__(self, "rising", StaticArray(rows))
        object.__setattr__(self, "falling", StaticArray(off))
        self.__post_init__()

    def __post_init__(self):
        shapes = []
        for argument in ("rising", "falling"):
            rows = check_static("PiecewiseAffine", argument, getattr(self, argument), np.float64, 3)
            if 0 in rows.shape or rows.shape[-1] < 2:
                raise ValueError(
                    f"PiecewiseAffine: {argument} must have shape (pieces, n + 1) or (outputs, pieces, n + 1), none of "
                    f"them 0 and n at least 1; got {rows.shape}"
                )
            if not np.all(np.isfinite(rows)):
                raise ValueError(f"PiecewiseAffine: {argument} must be finite; got {rows.tolist()}")
            shapes.append((rows.shape[0], rows.shape[2]))
        if shapes[0] != shapes[1]:
            raise ValueError(
                "PiecewiseAffine: rising and falling must be of as many outputs and inputs; got "
                f"{self.rising.array.shape} and {self.falling.array.shape}"
            )

    @property
    def n(self) -> int:
        """The number of inputs."""
        return self.rising.array.shape[-1] - 1

    @property
    def name(self):
        pieces = self.rising.array.shape[1], self.falling.array.shape[1]
        return f"piecewise affine({self.n} inputs, {pieces[0]} - {pieces[1]} pieces)"

    def _evaluate(self, x):
        x = inexact(x)
        return _most(self.rising.array, x) - _most(self.falling.array, x)

    def _exactness(self, given):
        return own(self, given if given == "rational" else None)

    def _exact(self, x):
        x, number = unified(x)
        up, down = (
            (x[..., None, None, :] * rows[..., :-1]).sum(axis=-1) + rows[..., -1]
            for rows in (_objects(part.array, number) for part in (self.rising, self.falling))
        )
        return up.max(axis=-1) - down.max(axis=-1)


def _most(rows: np.ndarray, x: Any) -> Any:
    """The largest of affine functions, `(outputs, pieces, n + 1)`, at `(*batch, n)`."""
    outputs, pieces, size = rows.shape
    columns = rows.reshape((1,) * (x.ndim - 1) + (outputs * pieces, size))
    total = like(x, columns[..., -1])
    for at in range(size - 1):
        total = total + x[..., at : at + 1] * like(x, columns[..., at])
    return total.reshape((*x.shape[:-1], outputs, pieces)).max(axis=-1)


def _pieces(argument: str, rows: Any) -> np.ndarray:
    try:
        found = np.array(rows.array if isinstance(rows, StaticArray) else rows, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"PiecewiseAffine: {argument} must be an array of numbers; got {rows!r}") from None
    if found.ndim not in (2, 3):
        raise ValueError(
            f"PiecewiseAffine: {argument} must have the axes (pieces, n + 1) or (outputs, pieces, n + 1); "
            f"got the shape {found.shape}"
        )
    return found[None] if found.ndim == 2 else found


def _objects(rows: np.ndarray, number: Callable[[Any], Any]) -> np.ndarray:
    return np.array([number(Fraction(value)) for value in rows.ravel().tolist()], object).reshape(rows.shape)


def _product(x: np.ndarray) -> np.ndarray:
    x = x if is_small(x, 1) else unified(x)[0]
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

    def _exactness(self, given):
        return own(self, given)

    def _exact(self, x):
        x, number = unified(x)
        columns = [self._exact_sum(terms, x, number) for terms in self.outputs]
        return np.concatenate(columns, axis=-1) if columns else x[..., :0]

    def _exact_sum(self, terms: tuple[Term, ...], x: np.ndarray, number: Callable[[Any], Any]) -> np.ndarray:
        total = 0 * x[..., :1]
        for exponents, coefficient in terms:
            term = np.full(total.shape, number(_as_it_is(coefficient)), object)
            for i, exponent in enumerate(exponents):
                term = term * x[..., i : i + 1] ** exponent if exponent else term
            total = total + term
        return total


def _as_it_is(value: Any) -> Fraction:
    """A coefficient of any type of numbers."""
    return Fraction(value) if isinstance(value, int | float | Fraction) else Fraction(float(value))


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
        check_table("BooleanFunction", "table", self.table)

    @property
    def n(self) -> int:
        """The number of bits."""
        return len(self.table.array).bit_length() - 1

    @property
    def name(self):
        return f"boolean function({self.n})"

    def _evaluate(self, x):
        return rows_of(self.table.array, x)

    def _exact(self, x):
        return exact_table(self.table)[row_numbers(self.name, x, self.n)]


def check_table(owner: str, argument: str, table: Any) -> None:
    """Refuse what isn't a static table with one row an input."""
    shape = check_static(owner, argument, table, np.float64, 2).shape
    if 0 in shape or shape[0] < 2 or shape[0] & (shape[0] - 1):
        raise ValueError(f"{owner}: {argument} must have shape (2^n,) or (2^n, outputs) with n at least 1; got {shape}")


def rows_of(table: np.ndarray, x: Any) -> Any:
    """The rows of a table that bits number, of the kind and precision of `x`."""
    x, xp = inexact(x), namespace(x)
    # In integers, since narrow floats don't hold the numbers of many rows.
    digits = xp.round(x.real).astype("int32")
    index = (digits << like(digits, np.arange(x.shape[-1]))).sum(axis=-1)
    return xp.asarray(table, dtype=x.dtype)[index]


def row_numbers(owner: str, x: np.ndarray, n: int) -> np.ndarray:
    """The numbers of the rows of a table for exact bits."""
    x = bits_of(owner, x)
    if x.shape[-1] != n:
        raise ValueError(f"{owner}: expected {n} bits; got {x.shape[-1]}")
    return (x << np.arange(n)).sum(axis=-1)
