"""Probabilities of classes given bits."""

import math
from typing import Any

import numpy as np

from ..._checks import check_dtype
from ...activations import AbstractActivation
from ...construction import Construction, Entry, builder, formula, sizes
from ...domains import Bits
from ...targets import BooleanClassifier
from ..gates.probabilities import classifier
from .conjunction import resolve_conjunction
from .function import check_table
from .table import accuracy, majority, network, terms_of

_SOURCE = "Lin, Tegmark & Rolnick (2017), Eqs. 8 and 12"


@builder
def boolean_classifier(
    log_probabilities: Any,
    *,
    basis: str = "moebius",
    activation: str | AbstractActivation = "relu",
    dtype: Any = None,
) -> Construction:
    """The probabilities `p(y | x)` of classes given `n` bits: ANDs, then a softmax.

    Args:
        log_probabilities: `ln p(y | x)` up to a constant a row, shape `(2^n, classes)`; row `i` is
            for the binary digits of `i`, lowest first. Finite: a class that can't be gets a large
            negative number.
        basis: as for `boolean_function`.
        activation: `"relu"`, `"step"` or `"sigmoid"`, or such an object.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, classes)`.

    Raises:
        ValueError: a table that hasn't `2^n` rows, has fewer than two classes or isn't finite, more
            than 16 bits, or unknown names.

    *Exactness*: errors of the logarithms, as for `boolean_function`, count half.

    *Cost*: as `boolean_function`; the softmax is the readout.

    *Source*: Lin, Tegmark & Rolnick (2017), Eqs. 8 and 12.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> coin = dc.boolean_classifier(np.log([[0.9, 0.1], [0.25, 0.75]]))
        >>> [round(float(p), 4) for p in coin([1.0])]
        [0.25, 0.75]
    """
    owner = "boolean_classifier"
    target = BooleanClassifier(log_probabilities)
    logits = target.logits.array
    check_table(owner, logits)
    if logits.shape[1] < 2:
        raise ValueError(f"{owner}: expected a column for each of at least two classes; got {logits.shape}")
    terms = terms_of(owner, logits, basis)
    resolved = check_dtype(owner, dtype)
    unit = resolve_conjunction(owner, activation, None, terms.mass)
    net = network(terms, unit, resolved)
    found = accuracy(terms, unit, net, logits)
    return classifier(net, found, target, Bits(len(logits).bit_length() - 1), resolved, _SOURCE)


def _noisy_majority(n: int) -> dict[str, Any]:
    share = 0.1 + 0.8 * majority(n)
    return {"log_probabilities": np.log(np.stack([1 - share, share], axis=1))}


ENTRIES = (
    Entry(
        "boolean_classifier", "probabilities of two classes given n bits", boolean_classifier,
        {"n": 4}, sizes("n", 1, 2, 4),
        formula(
            "sum C(n, j) (j + 2) over j > n/2",
            lambda n: sum(math.comb(n, j) * (j + 2) for j in range(n // 2 + 1, n + 1)),
        ),
        made=_noisy_majority,
    ),
)  # fmt: skip
