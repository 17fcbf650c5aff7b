"""Hidden units in another order, scaled and split: written down, so that equality is seen at once.

A record lists for every hidden layer the units of the new one: triples of a unit of the old one, an exponent `e` and a
`part`. The new unit has the old one's row times `2^e`, and what follows weighs it by `2^-(e + part)` of the old weight.
The function stays, over the reals, if the shares `2^-part` of every old unit sum to 1; and weights stay floats.
"""

from collections import defaultdict
from fractions import Fraction

import numpy as np

from ._matrices import Matrices

Record = list[list[list[int]]]

_PARTS = ((0,), (1, 1), (1, 2, 2))
_EXPONENTS = 3
# At most so many units stand for one.
COPIES = 3


def drawn(widths: list[int], generator: np.random.Generator) -> Record:
    """A record for hidden layers of these widths; about a third of the units is split."""
    record = []
    for width in widths:
        units = []
        for unit in range(width):
            parts = _PARTS[int(generator.choice(3, p=(0.7, 0.2, 0.1)))]
            units += [[unit, int(generator.integers(-_EXPONENTS, _EXPONENTS + 1)), part] for part in parts]
        record.append([units[at] for at in generator.permutation(len(units)).tolist()])
    return record


def widths(layers: Matrices) -> list[int]:
    """Of the hidden layers."""
    return [len(bias) for _, bias in layers[:-1]]


def rewritten(layers: Matrices, record: Record) -> Matrices:
    """The network that a record describes.

    Raises:
        ValueError: a record that changes the function.
    """
    _check(widths(layers), record)
    found = [(weights.copy(), bias.copy()) for weights, bias in layers]
    for index, units in enumerate(record):
        olds = [unit for unit, _, _ in units]
        scales = 2.0 ** np.array([exponent for _, exponent, _ in units])
        shares = 2.0 ** -np.array([exponent + part for _, exponent, part in units])
        weights, bias = found[index]
        found[index] = weights[olds] * scales[:, None], bias[olds] * scales
        weights, bias = found[index + 1]
        found[index + 1] = weights[:, olds] * shares, bias
    return found


def _check(widths: list[int], record: Record) -> None:
    if len(widths) != len(record):
        raise ValueError("a record is of another number of layers")
    for width, units in zip(widths, record, strict=True):
        total: dict[int, Fraction] = defaultdict(Fraction)
        for unit, _, part in units:
            total[unit] += Fraction(1, 2**part)
        if set(total) != set(range(width)) or any(share != 1 for share in total.values()):
            raise ValueError("a record doesn't keep all units whole")
