"""What errors of logits become behind a softmax."""

import math

from ..activations import Softmax


def softmax_error(error: float, classes: int, u: float) -> float:
    """The largest error of a probability, for logits off by `error`, evaluation included.

    A row of the Jacobian `diag(p) - p p^T` has moduli that add up to `2 p_i (1 - p_i) <= 1/2`. In
    the evaluation, `z_i - max z` is rounded: `p_i |z_i - max z| <= 1 / e`, and the mean of these
    differences under `p` is at most `log(classes)`.
    """
    rounding = (2 + math.log(classes) + 4 * Softmax().ulps() + classes + 2) * u
    return min(error / 2 + rounding, 1.0)
