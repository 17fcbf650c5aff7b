"""Hidden units split, scaled and put in another order: the same function over the reals, with exact weights."""

import numpy as np

from ._matrices import Matrices

# A unit becomes copies with these shares of what follows; it is scaled by powers of two up to this one.
_SHARES, _CHANCES, _EXPONENT = ((1.0,), (0.5, 0.5), (0.5, 0.25, 0.25)), (0.7, 0.2, 0.1), 3


def rewritten(layers: Matrices, generator: np.random.Generator) -> Matrices:
    """The same network with every hidden unit in another place; about a third of them is split."""
    found = [(weights.copy(), bias.copy()) for weights, bias in layers]
    for index, (_, bias) in enumerate(layers[:-1]):
        drawn = generator.choice(len(_SHARES), len(bias), p=_CHANCES)
        copies = [(unit, share) for unit, kind in enumerate(drawn) for share in _SHARES[kind]]
        units, shares = map(np.array, zip(*(copies[at] for at in generator.permutation(len(copies))), strict=True))
        scales = 2.0 ** generator.integers(-_EXPONENT, _EXPONENT + 1, len(units))
        weights, bias = found[index]
        found[index] = weights[units] * scales[:, None], bias[units] * scales
        weights, bias = found[index + 1]
        found[index + 1] = weights[:, units] * (shares / scales), bias
    return found
