"""The largest modulus of a polynomial on `[-1, 1]^n`, from above, by cells in double precision.

On a cell with center `c` and half widths `h`, by Taylor's theorem,

    |E(y)| <= |E(c)| + sum_i h_i |d_i E(c)| + 1/2 sum_ij h_i h_j |d_ij E(c)| + 1/6 sum_a |c_a| (c + h)^a (a s)^3

with `s_i = h_i / (c_i + h_i)`: third derivatives of monomials are largest at the far corner, and there at most
`a_i a_j a_k` times the monomial, over `y_i y_j y_k`. Cells whose bound is too large are halved.
"""

import dataclasses

import numpy as np

_DOUBLE = 2.0**-53
_MOST_SIGNS, _MOST_VARIABLES = 64, 12
_MOST_CELLS = 400_000
# Cells times terms, for every derivative and every variable.
_WORK = 2**31
_BATCH = 4096
# Bounds needn't be nearer to what is reached than this share of it, or a larger one of more than four variables.
_SHARE = 2.0**-10


@dataclasses.dataclass(frozen=True)
class Peak:
    """A bound of the modulus, a modulus that is nearly reached, and how many cells it took."""

    bound: float
    reached: float
    cells: int


def largest_modulus(exponents: np.ndarray, coefficients: np.ndarray, enough: float) -> Peak:
    """A bound of `|sum_a c_a x^a|` on `[-1, 1]^n`, at most `enough` or 1/1000 above the truth where cells suffice.

    Args:
        exponents: shape `(terms, n)`.
        coefficients: shape `(terms,)`.
        enough: when to stop.
    """
    moduli = np.abs(coefficients)
    order = np.argsort(-moduli, kind="stable")
    exponents, coefficients, moduli = exponents[order], coefficients[order], moduli[order]
    mass = _total(moduli)
    # The smallest terms, up to a quarter of what is enough, are only added up; equal ones are kept together.
    rest = np.cumsum(moduli[::-1])[::-1] * (1 + 2 * len(moduli) * _DOUBLE)
    kept = int((moduli >= moduli[rest > enough / 4].min(initial=np.inf)).sum())
    dropped = float(rest[kept]) if kept < len(rest) else 0.0
    exponents, coefficients = exponents[:kept], coefficients[:kept]
    orthants = _orthants(exponents, coefficients)
    if orthants is None:
        return Peak(mass, 0.0, 0)
    bound, reached, cells = 0.0, 0.0, 0
    for signs in orthants:
        found = _on_cells(exponents, signs * coefficients, enough / 2, reached, _MOST_CELLS - cells)
        bound, reached, cells = max(bound, found.bound), found.reached, cells + found.cells
    return Peak(min((bound + dropped) * (1 + 2.0**-50), mass), reached, cells)


def _total(moduli: np.ndarray) -> float:
    """A sum of positive numbers from above: adding `T` of them rounds by at most `T` units."""
    return float(moduli.sum()) * (1 + 2 * (len(moduli) + 1) * _DOUBLE)


def _orthants(exponents: np.ndarray, coefficients: np.ndarray) -> list[np.ndarray] | None:
    """The signs of all terms in each orthant, once each up to a common sign; `None` if there are too many.

    Of orthants that are alike by symmetry there is the one in which flipped variables come first.
    """
    n = exponents.shape[1]
    if n > _MOST_VARIABLES:
        return None
    if not len(coefficients):
        return []
    parities, index = np.unique(exponents % 2, axis=0, return_inverse=True)
    flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    alike = _exchangeable(exponents, coefficients)
    flips = flips[np.all((flips[:, :-1] >= flips[:, 1:]) | ~alike, axis=1)]
    table = 1 - 2 * ((flips @ parities.T) % 2)
    table = np.unique(table * table[:, :1], axis=0)
    return [row[index.ravel()].astype(float) for row in table] if len(table) <= _MOST_SIGNS else None


def _exchangeable(exponents: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Which neighboring variables may be exchanged without any change."""
    terms = {tuple(a): c for a, c in zip(exponents.tolist(), coefficients.tolist(), strict=True)}

    def is_same(i: int) -> bool:
        moved = ((*a[:i], a[i + 1], a[i], *a[i + 2 :]) for a in terms)
        return all(terms.get(other) == value for other, value in zip(moved, terms.values(), strict=True))

    return np.array([is_same(i) for i in range(exponents.shape[1] - 1)], bool)


class _Polynomial:
    """A polynomial on `[0, 1]^n`, with what its evaluation rounds."""

    def __init__(self, exponents: np.ndarray, coefficients: np.ndarray):
        self.n, self.top = exponents.shape[1], int(exponents.max(initial=0))
        self.exponents, self.coefficients = exponents, coefficients
        self.slopes = exponents.astype(float)
        pairs = exponents[:, :, None] * (exponents[:, None, :] - np.eye(self.n, dtype=int))
        self.curvatures = pairs.reshape(-1, self.n**2).astype(float)
        # Monomials are products of at most (degree + n) factors, sums of T terms add T roundings, and with
        # h_i <= c_i the orders 0 to 3 are at most 1, d, d^2 and d^3 times the sum of the moduli.
        degree = float(exponents.sum(axis=1).max(initial=0))
        units = (degree + self.n + len(coefficients) + 16) * _DOUBLE * 2
        self.slack = units * _total(np.abs(coefficients)) * (1 + degree) ** 3
        self.symmetric = _exchangeable(exponents, coefficients)

    def _terms(self, points: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """All terms at points, shape `(points, terms)`."""
        powers = np.ones((self.top + 1, *points.shape))
        for k in range(1, self.top + 1):
            powers[k] = powers[k - 1] * points
        found = powers[self.exponents[:, 0], :, 0] * coefficients[:, None]
        for i in range(1, self.n):
            found *= powers[self.exponents[:, i], :, i]
        return found.T

    def bounds(self, center: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of cells: moduli at centers, bounds, and how much each variable adds to the bound."""
        terms, end = self._terms(center, self.coefficients), center + half
        near, far = half / center, half / end
        value = np.abs(terms.sum(axis=1))
        second = np.abs(terms @ self.curvatures).reshape(-1, self.n, self.n)
        steep = np.abs(terms @ self.slopes) + np.einsum("cij,cj->ci", second, near) / 2
        most = self._terms(end, np.abs(self.coefficients))
        third = (most * (far @ self.slopes.T) ** 2) @ self.slopes / 6
        parts = near * steep + far * third
        return value, value + parts.sum(axis=1) + self.slack, parts


def _on_cells(exponents: np.ndarray, coefficients: np.ndarray, enough: float, reached: float, most: int) -> Peak:
    """Halve cells of `[0, 1]^n` until none can exceed what is reached by more than what is enough."""
    polynomial = _Polynomial(exponents, coefficients)
    n = polynomial.n
    share = _SHARE if n <= 4 else _SHARE * 2.0 ** (2 * n - 8)
    center, half = np.full((1, n), 0.5), np.full((1, n), 0.5)
    closed, count, most = 0.0, 0, min(most, _WORK // (len(coefficients) * n**2))
    waiting = [(center, half)]
    while waiting:
        center, half = waiting.pop()
        value, bound, parts = polynomial.bounds(center, half)
        count += len(center)
        # The modulus at a center is a lower bound, up to rounding; only the upper ones are relied on.
        reached = max(reached, float(value.max()))
        open_ = ~(bound <= reached + max(enough, reached * min(share, 0.125)))
        if count > most or np.any(np.isnan(bound)):
            ends = [float(bound.max())] + [float(polynomial.bounds(*cells)[1].max()) for cells in waiting]
            return Peak(max(closed, *ends) if not np.any(np.isnan(ends)) else np.inf, reached, count)
        closed = max(closed, float(bound[~open_].max(initial=0.0)))
        if np.any(open_):
            waiting += _halved(center[open_], half[open_], parts[open_], polynomial.symmetric)
    return Peak(closed, reached, count)


def _halved(
    center: np.ndarray, half: np.ndarray, parts: np.ndarray, symmetric: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each cell cut along the variable that adds most; of cells that are alike by symmetry the sorted one."""
    rows, which = np.arange(len(center)), parts.argmax(axis=1)
    half = half.copy()
    half[rows, which] /= 2
    low, high = center.copy(), center.copy()
    low[rows, which] -= half[rows, which]
    high[rows, which] += half[rows, which]
    center, half = np.concatenate([low, high]), np.concatenate([half, half])
    for i in np.flatnonzero(symmetric):
        kept = center[:, i] + half[:, i] >= center[:, i + 1] - half[:, i + 1]
        center, half = center[kept], half[kept]
    return [(center[k : k + _BATCH], half[k : k + _BATCH]) for k in range(0, len(center), _BATCH)]
