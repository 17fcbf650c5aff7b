"""A-priori rounding bounds under the claims' model: any order, FMA allowed."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._static import to_jax
from ..linear import AbstractLinear, Butterfly
from ..linear.butterfly import merge_stages
from ..network import Layer, Network, block_layers, flat_layers, plan

# A complex product is right to sqrt(5) u (Brent, Percival, Zimmermann 2007), with FMA to 2 u.
_COMPLEX_PRODUCT = math.sqrt(5)


def unit_roundoff(dtype: Any) -> float:
    """Half the spacing of the floats just above 1."""
    return float(jnp.finfo(dtype).eps) / 2  # JAX knows bfloat16 and its kin too


def underflow(in_size: int, dtype: Any) -> float:
    """Bounds of rounding suppose that nothing underflows: what is flushed to zero on the way is less than this."""
    return 16 * in_size * float(jnp.finfo(dtype).smallest_normal)


def gamma(terms: float, u: float) -> float:
    """`n u / (1 - n u)`: the relative error of a sum of products in any order."""
    if terms * u >= 0.5:
        raise ValueError(f"rounding: sums of {terms:g} terms have no useful bound at u = {u:g}")
    return terms * u / (1 - terms * u)


def growth(terms: Any, u: float) -> Any:
    """`gamma` of one number of terms or of many, infinite where it has no bound."""
    product = np.asarray(terms, float) * u
    found = np.where(product < 0.5, product / (1 - np.minimum(product, 0.5)), math.inf)
    return found if found.ndim else float(found)


def are_powers_of_two(values: Any) -> np.ndarray:
    """Which floats multiply without rounding."""
    return np.frexp(np.abs(values))[0] == 0.5


def is_power_of_two(value: Fraction) -> bool:
    """Whether a fraction multiplies without rounding; 0 does."""
    top, bottom = abs(value.numerator), value.denominator
    return top & (top - 1) == 0 and bottom & (bottom - 1) == 0


def holds_grid(dtype: Any, step: float, largest: float) -> bool:
    """Whether a dtype holds every multiple of `step`, a power of two, up to `largest` in modulus.

    Then sums of such multiples whose partial sums stay within `largest` don't round.
    """
    info = jnp.finfo(dtype)
    fits = largest <= step * 2.0 ** (info.nmant + 1) and largest <= float(info.max)
    return bool(fits and step >= float(info.tiny))


def dot_terms(terms: int) -> int:
    """The `n` of `gamma` for a sum of `terms` products with a bias: one rounding of each weight
    when it was stored, one of each product, and the additions.
    """
    return terms + 2


def is_linear_network(network: Network) -> bool:
    """Whether a network is a product of matrices: identity activations, no biases."""
    return all(layer.is_linear and layer.bias is None for layer in block_layers(network.layers))


def linear_rounding(network: Network, u: float, *, merged: bool = True) -> tuple[float, float]:
    """Bounds `(rounding, norm)` of a linear network in the 2-norm.

    `|fl(N x) - N x| <= rounding |x|` where `N` is the exact product of the stored weights, and
    `|N x| <= norm |x|`. Pairs of stages that are `merged` may be run one by one as well, as they are beside others.
    """
    rounding, norm, layers = 0.0, 1.0, flat_layers(network)
    for ways in _steps(layers) if merged else ([[(layer.linear, None)]] for layer in layers):
        ends = [_passed(way, rounding, norm, u) for way in ways]
        rounding, norm = (max(numbers) for numbers in zip(*ends, strict=True))
    return rounding * (1 + 2**-40), norm * (1 + 2**-40)


# Maps that are run one after another; with one that is merged from two goes the map that is 1 where both were exact.
_Way = Sequence[tuple[AbstractLinear, AbstractLinear | None]]


def _passed(way: _Way, rounding: float, norm: float, u: float) -> tuple[float, float]:
    for linear, exact in way:
        local, size = _step_rounding(linear, exact, u)
        # Errors made so far pass this step, errors made here act on a slightly wrong input.
        rounding = rounding * (size + local) + local * norm
        norm *= size
    return rounding, norm


def _steps(layers: tuple[Layer, ...]) -> Iterator[Sequence[_Way]]:
    """The maps in all ways in which they are run."""
    stored, left = {id(layer) for layer in layers}, iter(layers)
    for step in plan(layers):
        assert isinstance(step, Layer)
        first = next(left).linear
        if id(step) in stored:
            yield [[(first, None)]]
        else:
            second = next(left).linear
            merged = step.linear, merge_stages(_exact_factors(first), _exact_factors(second))
            yield [[merged], [(first, None), (second, None)]]


def _exact_factors(stage: AbstractLinear) -> Butterfly:
    assert isinstance(stage, Butterfly)
    exact = _is_exact_factor(np.asarray(stage.twiddles)).astype(np.float32)
    return Butterfly(to_jax(exact), None if stage.permutation is None else stage.permutation.array)


def _step_rounding(linear: AbstractLinear, exact: AbstractLinear | None, u: float) -> tuple[float, float]:
    """Bounds of the rounding of one step and of its norm; `exact` says that it is merged from two."""
    rows, cols, values = (np.asarray(part) for part in linear.entries())
    shape = (linear.out_size, linear.in_size)
    size = block_norm(rows, cols, values, shape)
    terms = int(np.bincount(rows[values != 0], minlength=1).max())
    is_exact = _is_exact_factor(values) if exact is None else np.asarray(exact.entries()[2]) == 1
    # A merged stage multiplies two weights before it meets the input: two roundings a term.
    per_product = (1 if exact is None else 2) * (_COMPLEX_PRODUCT if np.iscomplexobj(values) else 1.0)
    costs = np.where(is_exact, 0.0, per_product) * np.abs(values)
    products = u * block_norm(rows, cols, costs, shape)
    # One addition errs relative to its result; more, in any order, relative to the moduli.
    sums = u * size if terms == 2 else u * max(terms - 1, 0) * block_norm(rows, cols, np.abs(values), shape)
    # The weights of a merged stage were rounded before they came here.
    return (products + sums) * (1 + 8 * terms * u), size if exact is None else size * (1 + 8 * u)


def _is_exact_factor(values: np.ndarray) -> np.ndarray:
    """Which factors multiply without rounding: powers of two, times a power of i."""
    real, imag = np.abs(np.real(values)), np.abs(np.imag(values))
    one_axis = (real == 0) | (imag == 0)
    return one_axis & are_powers_of_two(real + imag)


def block_norm(rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> float:
    """An upper bound of the 2-norm of a sparse matrix, tight for small connected blocks.

    The matrix is block-diagonal up to permutations, one block a connected component of the graph
    of its entries; its norm is that of the largest block.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, cols, values = rows[values != 0], cols[values != 0], values[values != 0]
    if len(values) == 0:
        return 0.0
    n_out, n_in = shape
    graph = coo_array((np.ones(len(rows)), (rows, n_out + cols)), shape=(n_out + n_in, n_out + n_in))
    count, labels = connected_components(graph, directed=False)
    local_rows, height = _within(labels[:n_out], count)
    local_cols, width = _within(labels[n_out:], count)
    if count * height * width > 2**26:  # too irregular to lay out: the classical bound
        return _mixed_norm(rows, cols, values, shape)
    double = np.complex128 if np.iscomplexobj(values) else np.float64
    blocks = np.zeros((count, height, width), double)
    blocks[labels[rows], local_rows[rows], local_cols[cols]] = values
    return float(np.linalg.norm(blocks, 2, axis=(1, 2)).max()) * (1 + 2**-40)


def _within(labels: np.ndarray, count: int) -> tuple[np.ndarray, int]:
    """The rank of every element among those with its label, and the largest group."""
    sizes = np.bincount(labels, minlength=count)
    order = np.argsort(labels, kind="stable")
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks, max(int(sizes.max()), 1)


def _mixed_norm(rows: np.ndarray, cols: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> float:
    moduli = np.abs(values)
    row_sums = np.bincount(rows, moduli, shape[0]).max()
    col_sums = np.bincount(cols, moduli, shape[1]).max()
    return float(np.sqrt(row_sums * col_sums)) * (1 + 2**-40)
