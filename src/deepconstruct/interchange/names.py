"""Activations as short texts, for files that hold texts beside numbers.

A text is a name as layers take it, with its number where it has one, or a sum of names with the numbers of
units: `relu`, `sigmoid(10.0)`, `power(3)`, `relu * 2 + identity * 3`.
"""

import re
from typing import Any

from .. import activations
from .._checks import hint
from ..activations import AbstractActivation, groups, join
from ..activations.names import NAMED
from .plain import refusal

_GROUP = re.compile(r"(\w+)(?:\(([^()]+)\))?(?: \* ([1-9][0-9]{0,8}))?")
_LONGEST = 10_000


def activation_text(owner: str, activation: AbstractActivation, layer: int) -> str:
    """The text of an activation.

    Raises:
        ValueError: one that isn't the library's own; the message names the layer.
    """
    if type(activation) is not activations.Concatenate:
        return _text(owner, activation, layer)
    parts = groups(activation, sum(activation.widths))
    return " + ".join(f"{_text(owner, part, layer)} * {width}" for part, width in parts)


def _text(owner: str, activation: AbstractActivation, layer: int) -> str:
    kind = type(activation)
    if kind is activations.Sigmoid:
        return f"sigmoid({activation.inverse_temperature!r})"  # pyright: ignore[reportAttributeAccessIssue]
    if kind is activations.Power:
        return f"power({activation.n})"  # pyright: ignore[reportAttributeAccessIssue]
    for name, known in NAMED.items():
        if kind is type(known) and activation == known:
            return name
    raise refusal(owner, activation, layer)


def parsed(owner: str, text: Any) -> AbstractActivation:
    """The activation of a text.

    Raises:
        ValueError: what isn't such a text.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise ValueError(f"{owner}: the name of an activation must be a short text; got {str(text)[:80]!r}")
    found = [_GROUP.fullmatch(part) for part in text.split(" + ")]
    if not all(found) or (len(found) > 1 and not all(match[3] for match in found if match)):
        raise ValueError(f"{owner}: an activation must read as 'relu' or 'relu * 2 + identity * 3'; got {text[:80]!r}")
    pairs = [(_parsed(owner, match[1], match[2]), match[3]) for match in found if match]
    if len(pairs) == 1 and pairs[0][1] is None:
        return pairs[0][0]
    return join([(activation, int(width)) for activation, width in pairs])


def _parsed(owner: str, name: str, number: str | None) -> AbstractActivation:
    try:
        if name == "sigmoid" and number is not None:
            return activations.Sigmoid(float(number))
        if name == "power" and number is not None:
            return activations.Power(int(number))
    except ValueError as error:
        raise ValueError(f"{owner}: the number of an activation is wrong: {error}") from error
    if name not in NAMED or number is not None:
        raise ValueError(f"{owner}: no activation {name!r}; known are {', '.join(NAMED)}{hint(name, NAMED)}")
    return NAMED[name]
