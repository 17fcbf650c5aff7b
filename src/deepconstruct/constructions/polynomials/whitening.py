"""Directions in which a normal distribution is standard, to many digits."""

import numpy as np


def whiten(covariance: np.ndarray) -> tuple[np.ndarray, float, float]:
    """`D` with `D C D^T = I` along the eigenvectors of `C`, and `log|det D|`.

    A step of Newton's iteration in extended precision mends what the decomposition loses where `C`
    is ill-conditioned.

    Returns:
        `D` in extended precision, `log|det D|`, and a bound `e` such that `|D x|^2` is off
        `x^T C^-1 x` by at most `2 e |D x|^2`, and `log|det D|` off by at most `2 n e`.
    """
    variances, vectors = np.linalg.eigh(covariance)
    variances = np.maximum(variances, np.finfo(float).tiny)
    wide, one = covariance.astype(np.longdouble), np.eye(len(covariance), dtype=np.longdouble)
    basis = vectors.T.astype(np.longdouble)
    directions = basis / np.sqrt(variances.astype(np.longdouble))[:, None]
    # The eigenvectors are orthonormal up to rounding, which shows in the determinant at second order.
    volume = -np.log(variances.astype(np.longdouble)).sum() / 2 + np.trace(basis @ basis.T - one) / 2
    for _ in range(2):
        step = one - (directions @ wide @ directions.T - one) / 2
        directions = step @ directions
        volume += np.longdouble(np.linalg.slogdet(step.astype(float))[1])
    sizes = np.abs(directions) @ np.abs(wide) @ np.abs(directions).T
    noise = 4 * len(covariance) * float(np.finfo(np.longdouble).eps) * float(sizes.sum(axis=1).max())
    rest = float(np.abs(directions @ wide @ directions.T - one).sum(axis=1).max()) + noise
    return directions, float(volume), rest / (1 - rest) if rest < 0.5 else np.inf
