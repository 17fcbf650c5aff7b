"""Elementwise nodes as one activation: expressions of the sums `z` of a layer, and which activations they are.

An expression is a tuple: `("z",)`; an operator and its arguments, such as `("sigmoid", ("mul", ("z",), 10.0))`;
or `("is", activation)` for one that is known already.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import activations
from ..activations import AbstractActivation

Expression = tuple
Z: Expression = ("z",)
# Of a longer expression nobody asks which activation it is.
LONGEST = 64

_PLAIN: dict[Expression, AbstractActivation] = {
    Z: activations.Identity(),
    ("relu", Z): activations.ReLU(),
    ("sign", ("relu", Z)): activations.Step(),
    ("sigmoid", Z): activations.Sigmoid(),
    ("tanh", Z): activations.Tanh(),
    ("softplus", Z): activations.Softplus(),
    ("exp", Z): activations.Exp(),
    ("sin", Z): activations.Sin(),
    ("softmax", Z): activations.Softmax(),
    ("times", Z, Z): activations.Square(),
    ("times", Z, ("sigmoid", Z)): activations.SiLU(),
    ("times", ("sigmoid", Z), Z): activations.SiLU(),
}
_CLOSE = 1e-6


def size(expression: Expression) -> int:
    """The number of operators and arguments."""
    return sum(size(part) if isinstance(part, tuple) else 1 for part in expression)


def activation_of(expression: Expression) -> AbstractActivation | None:
    """The activation that an expression is, if it is one."""
    if expression in _PLAIN:
        return _PLAIN[expression]
    match expression:
        case ("is", activation):
            return activation
        case ("gelu", ("z",), approximate):
            return activations.GELU(approximate)
        case ("pow", ("z",), n):
            return activations.Power(n)
        case ("sigmoid", ("mul", ("z",), scale)) if scale > 0:
            return activations.Sigmoid(scale)
    return _gelu(expression)


def stages(expression: Expression) -> list[Expression] | None:
    """Expressions that are applied one after another, each an activation, or a number added or multiplied.

    `None` where there are none.
    """
    if activation_of(expression) is not None or _is_affine(expression):
        return [expression]
    inner = sorted(set(_parts(expression)) - {expression, Z}, key=size, reverse=True)
    for part in inner:
        outer = _replaced(expression, part, ("w",))
        if Z in set(_parts(outer)):
            continue
        outer = _replaced(outer, ("w",), Z)
        before = stages(part) if activation_of(outer) is not None or _is_affine(outer) else None
        if before is not None:
            return [*before, outer]
    return None


def _is_affine(expression: Expression) -> bool:
    return expression[0] in ("add", "mul") and expression[1] == Z and not isinstance(expression[2], tuple)


def _parts(expression: Expression) -> Iterator[Expression]:
    yield expression
    for part in expression[1:]:
        if isinstance(part, tuple):
            yield from _parts(part)


def _replaced(expression: Expression, old: Expression, new: Expression) -> Expression:
    if expression == old:
        return new
    return tuple(_replaced(part, old, new) if isinstance(part, tuple) else part for part in expression)


def _gelu(expression: Expression) -> AbstractActivation | None:
    """GELU written out, `z / 2 (1 + erf(z / sqrt 2))` or that by tanh, in whatever order it is multiplied."""
    constant, factors = _factors(expression)
    others = [factor for factor in factors if factor != Z]
    if len(factors) != 2 or len(others) != 1 or not _near(constant, 0.5):
        return None
    match others[0]:
        case ("add", ("erf", inner), one) if one == 1 and _is_scaled(inner, np.sqrt(0.5), Z):
            return activations.GELU(approximate=False)
        case ("add", ("tanh", inner), one) if one == 1:
            return activations.GELU(approximate=True) if _is_tanh_argument(inner) else None
    return None


def _is_tanh_argument(expression: Expression) -> bool:
    constant, factors = _factors(expression)
    if not _near(constant, np.sqrt(2 / np.pi)) or len(factors) != 1 or factors[0][0] != "plus":
        return False
    _, first, second = factors[0]
    cube = second if first == Z else first
    small, powers = _factors(cube)
    is_cube = powers == [("pow", Z, 3)] or powers == [Z, Z, Z]
    return Z in (first, second) and is_cube and _near(small, 0.044715)


def _is_scaled(expression: Expression, scale: float, of: Expression) -> bool:
    constant, factors = _factors(expression)
    return factors == [of] and _near(constant, scale)


def _factors(expression: Expression) -> tuple[float, list[Expression]]:
    """A product as a number and expressions that are no products."""
    match expression:
        case ("mul", inner, scale):
            constant, factors = _factors(inner)
            return constant * scale, factors
        case ("div", inner, scale) if scale != 0:
            constant, factors = _factors(inner)
            return constant / scale, factors
        case ("times", first, second):
            (one, left), (two, right) = _factors(first), _factors(second)
            return one * two, [*left, *right]
    return 1.0, [expression]


def _near(value: Any, wanted: float) -> bool:
    return abs(value - wanted) <= _CLOSE * wanted
