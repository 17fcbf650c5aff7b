"""How many units one hidden layer needs to multiply, with a certificate."""

import dataclasses
import math
from typing import Any

import numpy as np

from .._arithmetic.taylor import coefficients
from .._checks import check_scalar, check_size
from ..activations import AbstractActivation, Identity
from ..construction import as_network
from ..linear import as_matrix
from ..linear.signs import bit_table
from ..network import flat_layers

_LARGEST = 10
# Below this share of the largest derivative up to the same order a derivative counts as 0.
_ZERO = 1e-9


@dataclasses.dataclass(frozen=True)
class FlatProductBound:
    """How many units one hidden layer needs to multiply `n` numbers to any accuracy, if anything is known.

    Attributes:
        n: how many numbers.
        activation: its name.
        bias: the common bias of the units.
        derivatives: of the activation at the bias, orders 0 to `n`.
        vanishing: orders among them at which the derivative is 0.
        applies: whether the bound holds: none of the orders 0 to `n` vanishes.
        units: `2^n` where it holds, else 1, which says nothing.
        log_determinant: of the matrix that must have full rank, `-2^n log(n! |a_n|)` with the
            Taylor coefficient `a_n`; minus infinity where it doesn't hold.
        conditions: what else must hold, in words.
    """

    n: int
    activation: str
    bias: float
    derivatives: tuple[float, ...]
    vanishing: tuple[int, ...]
    applies: bool
    units: int
    log_determinant: float
    conditions: tuple[str, ...] = (
        "one hidden layer, and no output bias (with one, 2^n - 1 units do)",
        "one common bias of all units",
        "the product is reached in the limit of small input weights, order by order",
    )


def flat_product(n: int, activation: AbstractActivation, *, bias: float | None = None) -> FlatProductBound:
    """The lower bound of `2^n` units for the product of `n` numbers, with its conditions.

    Matching Taylor coefficients makes the matrix `H[S, T] = sum_j w_j prod_{i in S} a_ij
    prod_{i in T} a_ij` over sets of inputs anti-triangular with a non-zero anti-diagonal, so that
    its rank, at most the number of units `j`, is `2^n`. That needs every derivative up to order
    `n` to be non-zero at the bias.

    Args:
        n: how many numbers, at least 1.
        activation: a smooth activation.
        bias: the units' common bias; if `None`, that on a grid over [-4, 4] where the least of
            the derivatives is largest.

    Returns:
        The bound, as a frozen record.

    Raises:
        ValueError: `n` below 1.
        TypeError: an activation whose derivatives aren't known.

    *Source*: Lin, Tegmark & Rolnick (2017), appendix A.2. Departure: the paper claims the bound
    without the conditions; `dc.flat_product` builds networks below it where they fail.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bounds.flat_product(3, dc.activations.Sigmoid()).units
        8
        >>> dc.bounds.flat_product(3, dc.activations.Tanh(), bias=0.0).vanishing
        (0, 2)
    """
    n = check_size("bounds.flat_product", "n", n)
    if bias is None:
        bias = _regular_bias(n, activation)
    bias = check_scalar("bounds.flat_product", "bias", bias, minimum=-1e6)
    terms = coefficients(activation, np.array([bias]), n + 1)[:, 0]
    if len(terms) <= n:
        raise ValueError(
            f"bounds.flat_product: JAX gave only {len(terms)} derivatives of {activation.name()}; n is {n}"
        )
    derivatives = terms * np.cumprod(np.concatenate([[1.0], np.arange(1.0, n + 1)]))
    vanishing = tuple(k for k, value in enumerate(terms) if abs(value) <= _ZERO * np.abs(terms).max())
    applies = not vanishing
    return FlatProductBound(
        n=n,
        activation=activation.name(),
        bias=bias,
        derivatives=tuple(derivatives.tolist()),
        vanishing=vanishing,
        applies=applies,
        units=2**n if applies else 1,
        log_determinant=-(2.0**n) * math.log(abs(derivatives[n])) if applies else -math.inf,
    )


def _regular_bias(n: int, activation: AbstractActivation) -> float:
    grid = np.linspace(-4, 4, 257)
    terms = np.abs(coefficients(activation, grid, n + 1))
    sizes = terms.max(axis=1, keepdims=True)
    return float(grid[np.argmax((terms / np.where(sizes > 0, sizes, 1.0)).min(axis=0))])


@dataclasses.dataclass(frozen=True)
class Determinant:
    """A certificate that a one-layer product network needs all of its `2^n` units.

    Attributes:
        n: how many numbers.
        units: of the network.
        below: the largest modulus of an entry that must be 0, over the least on the anti-diagonal.
        log_determinant: of the matrix, from its anti-diagonal.
        holds: whether the matrix is anti-triangular (`below` is rounding), so that its rank is
            `2^n`, and the network has no output bias.
    """

    n: int
    units: int
    below: float
    log_determinant: float
    holds: bool


def determinant(network: Any) -> Determinant:
    """Evaluate the matrix of the lower bound for a network with one hidden layer, and its determinant.

    With rows and columns sorted by the size of their sets, entries with `|S| + |T| < n` must be 0,
    and so must those with `|S| + |T| = n` unless `S` and `T` are complementary: the matrix is
    anti-triangular, and its determinant is the product of the anti-diagonal up to sign. (A
    numerical rank isn't reliable here: the entries span many orders of magnitude.)

    Args:
        network: a network or construction with one hidden layer, one output and at most 10 inputs.

    Returns:
        The certificate.

    Raises:
        ValueError: another shape of network, or more than 10 inputs.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bounds.determinant(dc.flat_product(4)).holds
        True
        >>> dc.bounds.determinant(dc.flat_product(4, activation="power")).holds
        False
    """
    net = as_network("bounds.determinant", network)
    layers = flat_layers(net)
    if len(layers) != 2 or net.out_size != 1 or not isinstance(layers[1].activation, Identity):
        raise ValueError("bounds.determinant: expected one hidden layer, and a linear readout of one number")
    if net.in_size > _LARGEST:
        raise ValueError(
            f"bounds.determinant: at most {_LARGEST} inputs, as the matrix has 4^n entries; got {net.in_size}"
        )
    n = net.in_size
    inputs = np.asarray(as_matrix(layers[0].linear), np.float64)
    weights = np.asarray(as_matrix(layers[1].linear), np.float64)[0]
    # Scaling inputs scales rows and columns: it changes no zero, and keeps the numbers in range.
    scales = np.abs(inputs).max(axis=0)
    scales[scales == 0] = 1.0
    sets = bit_table(n).astype(bool)
    factors = np.stack([np.prod(np.where(row, inputs / scales, 1.0), axis=1) for row in sets])
    matrix = (factors * weights) @ factors.T
    sizes = sets.sum(axis=1)
    complementary = np.arange(2**n) ^ (2**n - 1)
    diagonal = matrix[np.arange(2**n), complementary]
    lower = sizes[:, None] + sizes <= n
    lower[np.arange(2**n), complementary] = False
    least = float(np.abs(diagonal).min())
    noise = 2.0**-20 * float(np.abs(diagonal).max())
    below = float(np.abs(matrix[lower]).max(initial=0.0)) / least if least else math.inf
    holds = least > noise and below < 2.0**-20 and layers[1].bias is None
    logs = np.log(np.abs(diagonal)) if least else np.array([-math.inf])
    # Each input's scale is a factor of half of the rows and half of the columns.
    log_determinant = float(logs.sum()) + 2.0**n * float(np.log(scales).sum())
    return Determinant(n, len(weights), below, log_determinant, holds)
