"""Probabilities of classes given bits."""

import math
from typing import Any

import numpy as np

from ..._checks import check_dtype, check_scalar
from ...activations import AbstractActivation
from ...construction import Bound, Claim, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...domains import Bits
from ...targets import BooleanClassifier
from ..gates.network import behind_softmax, probabilities, with_softmax
from .conjunction import resolve_conjunction
from .function import check_table, check_table_error
from .table import check_range, errors, majority, network, terms_of
from .ways import table_ways

_SOURCE = "Lin, Tegmark & Rolnick (2017), Eqs. 8 and 12"


@builder
def boolean_classifier(
    log_probabilities: Any,
    *,
    basis: str = "moebius",
    activation: str | AbstractActivation = "relu",
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The probabilities `p(y | x)` of classes given `n` bits: ANDs, then a softmax.

    Args:
        log_probabilities: `ln p(y | x)` up to a constant a row, shape `(2^n, classes)`; row `i` is
            for the binary digits of `i`, lowest first. Finite: a class that can't be gets a large
            negative number.
        basis: as for `boolean_function`.
        activation: `"relu"`, `"step"` or `"sigmoid"`, or such an object.
        tolerance: the largest error of a probability that will do; refused if it can't be claimed.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, classes)`.

    Raises:
        ValueError: a table that hasn't `2^n` rows, has fewer than two classes or isn't finite, more
            than 16 bits, unknown names, sums beyond the range of the dtype or too long for it, or a
            tolerance below the claimed error.

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
    wanted = None if tolerance is None else check_scalar(owner, "tolerance", tolerance, strict=True)
    check_range(owner, terms, logits, resolved)
    # A softmax halves errors; the other half of the tolerance is for rounding.
    unit = resolve_conjunction(owner, activation, wanted, terms.mass)
    net = network(terms, unit, resolved)
    found, moved = errors(terms, unit, net, logits)
    classes = logits.shape[1]

    def behind(error: float, dtype: Any) -> float:
        return behind_softmax(error, moved, classes, dtype)[0]

    error = behind(found, resolved) if math.isfinite(found) else math.inf
    ways = table_ways(logits, basis, unit, resolved, wanted, behind)
    check_table_error(owner, error, tolerance, terms, unit, resolved, ways)
    claim = Claim(
        target,
        Bits(len(logits).bit_length() - 1),
        probabilities(classes),
        Bound(absolute=error),
        behind_softmax(found, moved, classes, resolved)[1],
        dtype=resolved.name,
        source=_SOURCE,
    )
    return Construction(with_softmax(net), claim)


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
