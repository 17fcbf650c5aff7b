"""Exact numbers: integers and fractions in NumPy's arrays, and balls of Arb where no fraction will do.

Integers of 64 bits are kept as such, for speed; all else is an array of Python's objects.
"""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._flint import flint
from .._static import StaticArray

# Digits of balls: some four times those of a 64-bit float.
DIGITS = 212
# Integers up to this size are added and doubled without overflow.
_SAFE = 2**53


def exact_numbers(owner: str, x: Any) -> np.ndarray:
    """Numbers as they are, at least one axis: 64-bit integers where all are small ones, else objects.

    Raises:
        TypeError: what isn't an array of numbers.
        ValueError: a single number, or numbers that aren't finite.
    """
    array = x if isinstance(x, np.ndarray) else np.asarray(x, None if hasattr(x, "dtype") else object)
    if array.ndim == 0:
        raise ValueError(f"{owner}: expected numbers on the last axis, such as [0, 1]; got {x!r} alone")
    if array.dtype == bool or np.issubdtype(array.dtype, np.signedinteger):
        return array.astype(np.int64)
    if array.dtype != object and not jnp.issubdtype(array.dtype, np.complexfloating):
        return _from_reals(owner, array)
    flat = [_number(owner, value) for value in array.ravel().tolist()]
    return narrowed(objects(flat, array.shape))


def _from_reals(owner: str, array: np.ndarray) -> np.ndarray:
    """Floats of any width, or unsigned integers."""
    if not (np.issubdtype(array.dtype, np.number) or jnp.issubdtype(array.dtype, np.floating)):
        raise TypeError(f"{owner}: expected an array of numbers; got {array!r}")
    wide = array if array.dtype == np.longdouble else array.astype(np.float64)
    if not np.all(np.isfinite(wide)):
        raise ValueError(f"{owner}: exact values are those of finite numbers")
    if np.all((wide == np.floor(wide)) & (np.abs(wide) <= _SAFE)):
        return wide.astype(np.int64)
    # Many numbers are few different ones.
    values, places = np.unique(array, return_inverse=True)
    return objects([_number(owner, value) for value in values], values.shape)[places].reshape(array.shape)


def _number(owner: str, value: Any) -> Any:
    """An integer, a fraction or a ball; complex numbers are balls."""
    if is_ball(value):
        return value
    value = value.item() if isinstance(value, np.generic) and value.dtype != np.longdouble else value
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        if np.iscomplexobj(value):
            return flint().acb(ball(Fraction(float(value.real))), ball(Fraction(float(value.imag))))
        found = Fraction(*value.as_integer_ratio()) if hasattr(value, "as_integer_ratio") else Fraction(value)
    except TypeError:
        raise TypeError(f"{owner}: expected an array of numbers; got {value!r}") from None
    except (ValueError, OverflowError):
        raise ValueError(f"{owner}: exact values are those of finite numbers; got {value!r}") from None
    return found.numerator if found.denominator == 1 else found


def objects(values: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array of Python's objects."""
    found = np.empty(len(values), object)
    found[:] = values
    return found.reshape(shape)


def widened(x: np.ndarray) -> np.ndarray:
    """Python's integers instead of those of 64 bits, which overflow."""
    return x if x.dtype == object else x.astype(object)


def narrowed(x: np.ndarray) -> np.ndarray:
    """Integers of 64 bits where all are small ones."""
    if x.dtype == object and all(type(value) is int and abs(value) <= _SAFE for value in x.ravel()):
        return x.astype(np.int64)
    return x


def is_small(x: np.ndarray, most: float) -> bool:
    """Whether an array holds 64-bit integers up to `most` in modulus."""
    return x.dtype == np.int64 and (not x.size or (int(x.max()) <= most and int(x.min()) >= -most))


def bits_of(owner: str, x: np.ndarray) -> np.ndarray:
    """Zeros and ones as 64-bit integers.

    Raises:
        ValueError: other numbers.
    """
    x = x.astype(np.int64) if x.dtype == object and all(value in (0, 1) for value in x.ravel()) else x
    if not is_small(x, 1) or (x.size and int(x.min()) < 0):
        raise ValueError(f"{owner}: exact values are those of bits, 0 and 1")
    return x


@functools.lru_cache(maxsize=64)
def exact_table(table: StaticArray) -> np.ndarray:
    """The floats of a table as they are."""
    return exact_numbers("table", table.array)


def is_ball(value: Any) -> bool:
    """Whether a number is a real or complex ball."""
    return type(value).__name__ in ("arb", "acb") and type(value).__module__.startswith("flint")


def ball(value: Any) -> Any:
    """A ball that holds a number; one itself stays what it is."""
    if is_ball(value):
        return value
    value = Fraction(value)
    return flint().arb(flint().fmpq(value.numerator, value.denominator))


def balls(x: np.ndarray) -> np.ndarray:
    """Balls that hold all numbers of an array."""
    return objects([ball(value) for value in widened(x).ravel().tolist()], x.shape)


def unified(x: np.ndarray) -> tuple[np.ndarray, Callable[[Any], Any]]:
    """Objects that can be added and multiplied, all of them balls if one is; and what makes such of a number."""
    x = widened(x)
    has_balls = any(map(is_ball, x.ravel().tolist()))
    return (balls(x), ball) if has_balls else (x, Fraction)


def digits() -> Any:
    """A context in which balls have their digits."""
    return flint().ctx.workprec(DIGITS)


def probabilities(logits: Sequence[Any]) -> list[Any]:
    """The softmax of balls."""
    middle = max(logits, key=lambda value: float(value.mid()))
    odds = [(value - middle).exp() for value in logits]
    total = sum(odds[1:], start=odds[0])
    return [value / total for value in odds]
