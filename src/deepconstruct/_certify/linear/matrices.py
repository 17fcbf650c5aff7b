"""Matrices of linear targets, their norms and errors."""

import math
from fractions import Fraction

import numpy as np

from ...targets import DFT, AbstractTarget, Composed, FanOut, Iterated, Parallel, Realified
from .roots import roots

EXTENDED = float(np.finfo(np.longdouble).eps) / 2
# Up to this size the stretching of a target of one's own is computed from its matrix.
_COMPUTED = 512


def norm(matrix: np.ndarray) -> float:
    """An upper bound of the 2-norm: Frobenius after three squarings, at most n^(1/16) too large."""
    scale = float(np.abs(matrix).max(initial=0.0))
    if scale == 0:
        return 0.0
    power = (matrix / scale).astype(np.complex128)
    gram = power.conj().T @ power
    exponent = 2
    for _ in range(2):
        gram, exponent = gram @ gram, 2 * exponent
    return scale * float(np.linalg.norm(gram)) ** (1 / exponent) * (1 + 2.0**-30)


def is_known_target(target: AbstractTarget) -> bool:
    """Whether a linear target is one of this library's, whose matrix and stretching are known to be right."""
    if type(target) is DFT:
        return True
    if type(target) is Composed:
        return is_known_target(target.outer) and is_known_target(target.inner)
    if type(target) is Iterated or type(target) is Realified:
        return is_known_target(target.target)
    return (type(target) is Parallel or type(target) is FanOut) and all(map(is_known_target, target.targets))


def is_product(target: AbstractTarget) -> bool:
    """Whether the matrix of a known target is a product, or made of some."""
    if type(target) is Parallel or type(target) is FanOut:
        return any(map(is_product, target.targets))
    return is_product(target.target) if type(target) is Realified else type(target) is not DFT


def is_real(target: AbstractTarget) -> bool:
    """Whether a known target takes real vectors to real ones, as far as its kind tells."""
    if type(target) is DFT:
        return target.n <= 2
    if type(target) is Composed:
        return is_real(target.outer) and is_real(target.inner)
    if type(target) is Parallel or type(target) is FanOut:
        return all(map(is_real, target.targets))
    return is_real(target.target) if type(target) is Iterated else type(target) is Realified


def matrix_of(target: AbstractTarget) -> np.ndarray:
    """The matrix of a linear target: known ones are made here, by another route than weights are."""
    if not is_known_target(target):
        return target.matrix()
    if type(target) is DFT:
        high, low = roots(target.n)
        found = (high.astype(np.clongdouble) + low) * target.scale
        index = np.arange(target.n)
        return (found if target.inverse else found.conj())[np.outer(index, index) % target.n]
    if type(target) is Composed:
        return matrix_of(target.outer) @ matrix_of(target.inner)
    if type(target) is Iterated:
        return np.linalg.matrix_power(matrix_of(target.target), target.times)
    if type(target) is Realified:
        w = matrix_of(target.target)
        return np.block([[np.real(w), -np.imag(w)], [np.imag(w), np.real(w)]])
    assert isinstance(target, Parallel | FanOut)
    blocks = [matrix_of(part) for part in target.targets]
    return np.concatenate(blocks) if type(target) is FanOut else _side_by_side(blocks)


def _side_by_side(blocks: list[np.ndarray]) -> np.ndarray:
    heights, widths = ([0, *np.cumsum([block.shape[axis] for block in blocks])] for axis in (0, 1))
    joined = np.zeros((heights[-1], widths[-1]), np.result_type(*blocks))
    for row, col, block in zip(heights, widths, blocks, strict=False):
        joined[row : row + block.shape[0], col : col + block.shape[1]] = block
    return joined


def row_sums(target: AbstractTarget, matrix: np.ndarray | None) -> list[Fraction]:
    """Bounds of the sums of the moduli in every row; those of a transform follow from its kind."""
    if type(target) is DFT:
        return [_size(target)] * target.n
    if type(target) is Realified and type(target.target) is DFT:
        # |Re w| + |Im w| is at most sqrt(2) |w|.
        return [_size(target.target) * _root(2)] * (2 * target.target.n)
    assert matrix is not None
    moduli = np.abs(matrix)
    room = Fraction(1) + 8 * sum(matrix.shape) * Fraction(EXTENDED)
    slack = Fraction(matrix_slack(target, max(matrix.shape)) * math.sqrt(matrix.shape[1]) * (1 + 2.0**-40))
    tops = np.nextafter(moduli.sum(axis=1).astype(np.float64), np.inf)
    return [Fraction(top) * room + slack if math.isfinite(top) else Fraction(10) ** 400 for top in tops.tolist()]


def _size(target: DFT) -> Fraction:
    """`n` times the scale of a transform, from above."""
    if target.norm == "ortho":
        return _root(target.n)
    return Fraction(1 if (target.norm == "backward") == target.inverse else target.n)


def _root(n: int) -> Fraction:
    """The square root of an integer, from above."""
    root = math.isqrt(n)
    return Fraction(root) if root * root == n else Fraction(math.isqrt(n << 200) + 1, 1 << 100)


def least_stretch(target: AbstractTarget, matrix: np.ndarray | None) -> float:
    """The least stretching: declared by this library's targets, else computed; 0 where it isn't known."""
    if matrix is None or is_known_target(target):
        return target.stretch()[0]
    if max(matrix.shape) > _COMPUTED or matrix.shape[0] < matrix.shape[1] or not np.all(np.isfinite(matrix)):
        return 0.0
    singular = np.linalg.svd(matrix.astype(np.complex128), compute_uv=False)
    return max(float(singular[-1] - 2.0**-40 * max(matrix.shape) * singular[0]), 0.0)


def disagrees(target: AbstractTarget, matrix: np.ndarray) -> bool:
    """Whether a target of one's own, called on vectors, gives something else than its matrix does."""
    if is_known_target(target):
        return False
    size = matrix.shape[1]
    drawn = np.random.default_rng(0).standard_normal((8, size))
    x = np.concatenate([np.eye(size), drawn])
    wanted = x @ matrix.T
    room = 2.0**-30 * np.abs(x) @ np.abs(matrix.T)
    return not np.all(np.abs(target.wide(x) - wanted) <= room)


def matrix_slack(target: AbstractTarget, size: int) -> float:
    """A bound of the error of `target.matrix()`, up to `size` rows and columns; a target of one's own is its matrix."""
    if type(target) is DFT:
        # Roots of unity to a few units of extended precision, times a scale.
        return 16 * EXTENDED * math.sqrt(target.n) * target.stretch()[1] if target.n > 1 else 0.0
    if type(target) is Composed:
        factors = [(part.stretch()[1], matrix_slack(part, size)) for part in (target.outer, target.inner)]
        return _product_slack(factors, size)
    if type(target) is Iterated:
        return _product_slack([(target.target.stretch()[1], matrix_slack(target.target, size))] * target.times, size)
    if type(target) is Realified:
        return matrix_slack(target.target, size)
    if type(target) is Parallel or type(target) is FanOut:
        slacks = [matrix_slack(part, size) for part in target.targets]
        return max(slacks) if type(target) is Parallel else math.hypot(*slacks)
    return 0.0


def _product_slack(factors: list[tuple[float, float]], size: int) -> float:
    """The error of a product of matrices with these 2-norms and errors, multiplied in any order."""
    exact = math.prod(norm for norm, _ in factors)
    # A product rounds by n units of the product of the moduli, whose norms are at most sqrt(n) times larger.
    rounded = math.prod((norm + slack) * (1 + 8 * size**2 * EXTENDED) for norm, slack in factors)
    return max(rounded - exact, 0.0) + 2.0**-40 * rounded * (rounded > exact) * 2.0**-12
