"""Elementwise nodes as one activation: expressions of the sums `z` of a layer, and which activations they are.

An expression is a tuple: `("z",)`, or an operator and its arguments, such as `("sigmoid", ("mul", ("z",), 10.0))`;
`("is", ("z",), activation)` is an activation that is known already.
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
        case ("is", ("z",), activation):
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

    They are none for `z` itself, and `None` where there are no such.
    """
    cuts = sorted({part for part in _parts(expression) if _is_cut(expression, part)}, key=size)
    found: dict[Expression, list[Expression]] = {Z: []}
    for index, upper in enumerate(cuts):
        for lower in cuts[:index]:  # as much as can be one activation first
            outer = _replaced(upper, lower, Z)
            if lower in found and (_is_affine(outer) or activation_of(outer) is not None):
                found[upper] = [*found[lower], outer]
                break
    return found.get(expression)


def _is_cut(expression: Expression, part: Expression) -> bool:
    """Whether an expression is one of this part of it alone."""
    return Z not in _parts(_replaced(expression, part, ("w",)))


def _is_affine(expression: Expression) -> bool:
    return expression[0] in ("add", "mul") and expression[1] == Z


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
        case ("add", ("erf", inner), one) if one == 1 and _is_scaled(inner, np.sqrt(0.5)):
            return activations.GELU(approximate=False)
        case ("add", ("tanh", inner), one) if one == 1 and _is_tanh_argument(inner):
            return activations.GELU(approximate=True)
    return None


def _is_scaled(expression: Expression, scale: float) -> bool:
    constant, factors = _factors(expression)
    return factors == [Z] and _near(constant, scale)


def _is_tanh_argument(expression: Expression) -> bool:
    """Whether it is `sqrt(2 / pi) (z + 0.044715 z^3)`."""
    constant, factors = _factors(expression)
    if not _near(constant, np.sqrt(2 / np.pi)) or len(factors) != 1 or factors[0][0] != "plus":
        return False
    terms = list(factors[0][1:])
    if Z not in terms:
        return False
    terms.remove(Z)
    small, powers = _factors(terms[0])
    return powers in ([("pow", Z, 3)], [Z, Z, Z]) and _near(small, 0.044715)


def _factors(expression: Expression) -> tuple[float, list[Expression]]:
    """A product as a number and expressions that are no products."""
    match expression:
        case ("mul", inner, scale):
            constant, factors = _factors(inner)
            return constant * float(scale), factors
        case ("div", inner, scale):
            constant, factors = _factors(inner)
            return constant / float(scale), factors
        case ("times", first, second):
            (one, left), (two, right) = _factors(first), _factors(second)
            return one * two, [*left, *right]
    return 1.0, [expression]


def _near(value: Any, wanted: float) -> bool:
    return abs(value - wanted) <= _CLOSE * wanted
