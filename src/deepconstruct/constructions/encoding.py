"""Bits as signs, and signs as bits: one linear layer each, between both encodings.

A bit `b` is the sign `1 - 2 b`, so a sign `s` is the bit `(1 - s) / 2`.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.rounding import unit_roundoff
from .._checks import check_allocation, check_dtype, check_size, digits
from .._static import to_jax
from ..construction import Claim, Construction, Robustness, builder
from ..construction.entry import Entry, formula, sizes
from ..domains import AbstractDomain, Bits, Signs
from ..linear import BlockDiagonal
from ..network import Label, Layer, Network
from ..targets import AbstractTarget, BitsToSigns, SignsToBits

__all__ = ["bits_to_signs", "signs_to_bits"]


@builder
def bits_to_signs(n: int, *, dtype: Any = None) -> Construction:
    """The signs `1 - 2 b` of `n` bits.

    Args:
        n: the number of bits, at least 1.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, n)` from `Bits(n)` to `Signs(n)`.

    Raises:
        ValueError: `n` below 1, or more than the machine's memory holds.
        TypeError: `n` isn't an integer.

    *Exactness*: exact on bits, in every dtype. Inputs off by `delta` cost `2 delta`, and one
    rounding, up to a quarter of the largest number.

    *Cost*: one linear layer, which `series` merges into a nonlinear one behind it; `n` synapses.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bits_to_signs(3)([0, 1, 1]).tolist()
        [1.0, -1.0, -1.0]
        >>> bits = dc.series(dc.bits_to_signs(8), dc.parity(8, encoding="signs"), dc.signs_to_bits(1))
        >>> bits([1, 0, 0, 1, 1, 0, 0, 0]).tolist()
        [1.0]
    """
    return _affine("bits_to_signs", n, -2.0, 1.0, BitsToSigns, Bits, Signs, dtype)


@builder
def signs_to_bits(n: int, *, dtype: Any = None) -> Construction:
    """The bits `(1 - s) / 2` of `n` signs.

    Args:
        n: the number of signs, at least 1.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, n)` from `Signs(n)` to `Bits(n)`.

    Raises:
        ValueError: `n` below 1, or more than the machine's memory holds.
        TypeError: `n` isn't an integer.

    *Exactness*: exact on signs, in every dtype. Inputs off by `delta` cost `delta / 2`, and
    one rounding, up to a quarter of the largest number.

    *Cost*: one linear layer, which `series` merges into a nonlinear one behind it; `n` synapses.

    Example:
        >>> import deepconstruct as dc
        >>> dc.signs_to_bits(3)([1, -1, -1]).tolist()
        [0.0, 1.0, 1.0]
    """
    return _affine("signs_to_bits", n, -0.5, 0.5, SignsToBits, Signs, Bits, dtype)


def _affine(
    owner: str,
    n: int,
    slope: float,
    shift: float,
    target: type[AbstractTarget],
    domain: type[AbstractDomain],
    codomain: type[AbstractDomain],
    dtype: Any,
) -> Construction:
    """`slope x + shift` on `n` numbers, where one of both is minus twice the other."""
    n = check_size(owner, "n", n)
    resolved = check_dtype(owner, dtype)
    check_allocation(owner, f"the weights of n={digits(n)}", 2 * n, resolved)
    linear = BlockDiagonal(to_jax(np.full((1, 1, 1, n), slope), resolved))
    layer = Layer(linear, to_jax(np.full(n, shift), resolved), label=Label("sign" if slope == -2 else "bit"))
    # Multiplying by a power of two is exact, so the sum alone rounds: values of up to 1 + |slope| delta.
    u = unit_roundoff(resolved)
    # So far off, twice an input and one is still a number of the dtype.
    radius = float(jnp.finfo(resolved).max) / 4
    claim = Claim(
        target=target(n),  # pyright: ignore[reportCallIssue]
        domain=domain(n),  # pyright: ignore[reportCallIssue]
        codomain=codomain(n),  # pyright: ignore[reportCallIssue]
        robustness=Robustness(radius, gain=abs(slope) * (1 + u), rounding=u),
        dtype=resolved.name,
        source="b = (1 - s) / 2",
    )
    return Construction(Network((layer,)), claim)


_WIRES = formula("n", lambda n: n)

ENTRIES = (
    Entry("bits_to_signs", "n bits written as signs", bits_to_signs, {"n": 8}, sizes("n", 1, 2, 5), _WIRES),
    Entry("signs_to_bits", "n signs written as bits", signs_to_bits, {"n": 8}, sizes("n", 1, 2, 5), _WIRES),
)
