"""The product of `n` numbers by a tree of four-neuron gates."""

from collections.abc import Callable
from typing import Any

from ..._checks import check_allocation, check_dtype, check_scalar, check_size, digits
from ...activations import AbstractActivation
from ...construction import Claim, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...construction.plans import Circuit, Operation, Sum
from ...domains import Box
from ...targets import Product
from ..gates.arguments import resolve_smooth
from ..gates.network import product_size
from ..gates.wiring import construct

# What is written down about a gate takes more than so many numbers.
_RECORD = 64

_SOURCE = "Lin, Tegmark & Rolnick (2017), section III.H"


@builder
def product_tree(
    n: int,
    *,
    activation: str | AbstractActivation | Callable = "sigmoid",
    bound: float = 1.0,
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The product of `n` numbers, by a tree of gates for two.

    Every level halves the wires; one that is left over is copied (by two units). The scale of the
    gates follows the range of their wires, `bound^(2^level)`, so that errors stay relative to
    `bound^n`.

    Args:
        n: how many numbers, at least 1; `product_tree(1)` is the identity.
        activation: as for `multiplication_gate`; with `"square"` gates have two neurons.
        bound: inputs lie in `[-bound, bound]`.
        tolerance: the largest error that will do; refused if it can't be claimed.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, 1)` on `[-bound, bound]^n`.

    Raises:
        ValueError: `n` below 1, a tolerance below the claimed error, an unknown activation.
        TypeError: `n` isn't an integer.

    *Exactness*: about `(n - 1) bound^n` times the error of one gate of bound 1.

    *Cost*: depth `ceil(log2 n)`; `4 (n - 1)` neurons, and two for every wire that is copied past a
    level; for `n = 2^k` width `2 n` and `20 n - 28` synapses. With `"square"` half the neurons.

    *Source*: Lin, Tegmark & Rolnick (2017), section III.H. Departures: `n` copies of a gate are
    one too many, and `4 n = 160` at `n = 32` is a slip: 124 neurons do.

    Example:
        >>> import deepconstruct as dc
        >>> tree = dc.product_tree(4, activation="square")
        >>> tree([1.0, 0.5, -0.5, 1.0]).tolist(), dc.cost(dc.product_tree(32)).neurons
        ([-0.25], 124)
    """
    owner = "product_tree"
    n = check_size(owner, "n", n)
    bound = check_scalar(owner, "bound", bound, strict=True)
    act = resolve_smooth(owner, activation)
    resolved = check_dtype(owner, dtype)
    check_allocation(owner, f"the gates of n={digits(n)}", _RECORD * n)
    size = product_size(owner, bound, n, resolved)
    claim = Claim(Product(n), Box(n, -bound, bound), Box(1, -size, size), dtype=resolved.name, source=_SOURCE)
    return construct(owner, _circuit(n, bound), act, claim, tolerance=tolerance, at=f" at n={n}")


def _circuit(n: int, bound: float) -> Circuit:
    levels: list[tuple[Operation, ...]] = []
    wires = n
    while wires > 1:
        pairs = wires // 2
        level: list[Operation] = [(Sum(((2 * i, 1.0),)), Sum(((2 * i + 1, 1.0),))) for i in range(pairs)]
        if wires % 2:
            level.append((Sum(((wires - 1, 1.0),)),))
        levels.append(tuple(level))
        wires = len(level)
    return Circuit((bound,) * n, tuple(levels), (Sum(((0, 1.0),)),))


def _zeros(n: int) -> int:
    """The zeros among the binary digits of `n - 1`, set in a number: one for each level that copies a wire."""
    return ~(n - 1) & ((1 << (n - 1).bit_length()) - 1)


def _smooth_synapses(n: int) -> int:
    """`20 n - 28 + 6 e + 4 q` for `n > 1`: `e` is 1 for odd `n`, `q` counts pairs of levels that copy in turn."""
    zeros = _zeros(n)
    return 20 * n - 28 + 6 * (zeros & 1) + 4 * (zeros & zeros >> 1).bit_count() if n > 1 else 1


def _square_synapses(n: int) -> int:
    """`6 n - 6 + 4 z` for `n > 1` and `z` levels that copy."""
    return 6 * n - 6 + 4 * _zeros(n).bit_count() if n > 1 else 1


ENTRIES = (
    Entry(
        "product_tree", "product of n numbers, tree of four-sigmoid gates", product_tree,
        {"n": 8}, sizes("n", 2, 3, 8), formula("20 n - 28 for n = 2^k > 1", _smooth_synapses),
    ),
    Entry(
        "product_tree_square", "product of n numbers, tree of two-square gates", product_tree,
        {"n": 8}, sizes("n", 1, 2, 5, 8), formula("6 n - 6 for n = 2^k > 1", _square_synapses),
        fixed={"activation": "square"},
    ),
)  # fmt: skip
