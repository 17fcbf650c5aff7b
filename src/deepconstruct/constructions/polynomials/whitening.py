"""Directions in which a normal distribution is standard, to many digits."""

import dataclasses

import numpy as np

_EPS = float(np.finfo(np.longdouble).eps)


@dataclasses.dataclass(frozen=True, eq=False)
class Whitening:
    """`D` with `D C D^T = I` along the eigenvectors of `C`, up to what double precision allows.

    Attributes:
        directions: `D` in extended precision.
        volume: `log|det D|`.
        off: a bound `e` such that `|D x|^2` is off `x^T C^-1 x` by at most `e |D x|^2`, and every
            eigenvalue of `D C D^T` off 1 by at most `e`.
    """

    directions: np.ndarray
    volume: float
    off: float

    def shifts(self, center: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`-D center`, and bounds of its rounding, which counts where it cancels."""
        moduli = np.abs(self.directions) @ np.abs(center)
        return -self.directions @ center, (len(center) + 2) * _EPS * moduli

    def lost(self, reach: np.ndarray, slips: np.ndarray) -> float:
        """What `|D (x - center)|^2 / 2 - volume` may be off, where the parts reach so far and are off by `slips`."""
        n = len(self.directions)
        squares = float((reach**2).sum()) * self.off / 2 + float(((reach + slips) * slips).sum())
        # The determinant's logarithm is half the sum of those of the eigenvalues.
        return squares + n * self.off + 2.0**-50 * (1 + abs(self.volume))


def whiten(covariance: np.ndarray) -> Whitening:
    """The whitening of a symmetric matrix; `off` is infinite where it isn't shown to be positive definite.

    Steps of Newton's iteration in extended precision mend what the decomposition loses where `C`
    is ill-conditioned.
    """
    variances, vectors = np.linalg.eigh(covariance)
    variances = np.maximum(variances, np.finfo(float).tiny)
    wide, one = covariance.astype(np.longdouble), np.eye(len(covariance), dtype=np.longdouble)
    basis = vectors.T.astype(np.longdouble)
    directions = basis / np.sqrt(variances.astype(np.longdouble))[:, None]
    # The eigenvectors are orthonormal up to rounding, which shows in the determinant at second order.
    volume = -np.log(variances.astype(np.longdouble)).sum() / 2 + np.trace(basis @ basis.T - one) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(2):
            step = one - (directions @ wide @ directions.T - one) / 2
            directions = step @ directions
            volume += np.longdouble(np.linalg.slogdet(step.astype(float))[1])
        sizes = np.abs(directions) @ np.abs(wide) @ np.abs(directions).T
        noise = 4 * len(covariance) * _EPS * float(sizes.sum(axis=1).max())
        rest = float(np.abs(directions @ wide @ directions.T - one).sum(axis=1).max()) + noise
    return Whitening(directions, float(volume), rest / (1 - rest) if rest < 0.5 else np.inf)
