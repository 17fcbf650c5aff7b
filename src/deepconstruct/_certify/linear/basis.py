"""Proof for linear networks on all of R^n or C^n: their matrix, plus rounding.

With `W` the product of the stored weights and `F` the target's matrix, in the 2-norm

    |fl(N)(x) - F x| <= |W - F| |x| + |fl(N)(x) - W x| <= (|W - F| + rounding) / least * |F x|,

where `least` is the least stretching of `F`. `W` is multiplied out in extended precision; of a fast transform it is
compared stage by stage (`butterflies`). The matrices of transforms are made of roots of unity that are summed up here
(`roots`), not of the table of which weights are made. For inputs beside others see `_stands_moved`.
"""

import dataclasses
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import block_norm, linear_rounding, unit_roundoff
from ..._arithmetic.trust import is_known
from ...activations import Identity
from ...construction import Bound, Claim, Construction, spread
from ...domains import AbstractDomain, Product, Space
from ...linear import AbstractLinear, Composed, DirectSum, Stack
from ...linear.queries import concrete_entries
from ...network import Network, flat_layers
from ...targets import DFT, AbstractTarget
from ..certificate import Certificate, MatrixBound, Tried, proved, undecided
from ..comparison import Comparison, block_size, conclude, range_exponent, range_text
from ..method import Method, Options
from .butterflies import has_stages, read_stages, transform_of
from .matrices import (
    EXTENDED,
    disagrees,
    is_known_target,
    is_product,
    is_real,
    least_stretch,
    matrix_of,
    matrix_slack,
    norm,
    row_sums,
)

_LARGEST = 4096
# Up to this size products of targets' matrices are made in extended precision, which is slow.
_PRODUCTS = 512
# Beyond this size transforms are looked at stage by stage, if at all.
_WHOLE = 256
_LARGEST_STAGES = 2**17


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    if type(claim.domain) is not Space:
        return f"the basis proof is about all of R^n or C^n; {construction.name} is on {claim.domain}"
    if not _is_linear(network):
        return "the basis proof needs a linear network of this library's maps, without biases or maps of two factors"
    if not claim.target.is_linear:
        return f"the basis proof needs a target that declares itself linear; {claim.target.name} doesn't"
    if claim.domain.field == "complex" and not jnp.issubdtype(network.dtype, jnp.complexfloating):
        return f"{claim.domain} holds complex vectors, which a network of {claim.dtype} weights doesn't take"
    return _too_large(construction) or _wrong_target(claim)


def _too_large(construction: Construction) -> str | None:
    size, target = construction.claim.domain.size, construction.claim.target
    if _by_stages(construction):
        return f"stages are compared up to n = 2^17; got {size}" if size > 2 * _LARGEST_STAGES else None
    if size > _LARGEST:
        return f"the basis proof takes sizes up to {_LARGEST}, but for stages of a fast transform; got {size}"
    if size > _PRODUCTS and is_known_target(target) and is_product(target):
        return f"the basis proof multiplies targets' matrices up to a size of {_PRODUCTS}; got {size}"
    return None


def _by_stages(construction: Construction) -> bool:
    return construction.claim.domain.size > _WHOLE and has_stages(construction.network, construction.claim.target)


def _wrong_target(claim: Claim) -> str | None:
    """Why a target that declares itself linear doesn't allow the proof."""
    target, matrix = claim.target, None
    if is_known_target(target):
        real = is_real(target)
    else:
        matrix = target.matrix()
        real = not np.any(np.imag(matrix))
    if not _holds_range(claim.codomain, complex_too=not real or claim.domain.is_complex):
        return f"the values of a linear target fill a linear space; {claim.codomain} doesn't hold them"
    if least_stretch(target, matrix) <= 0:
        return f"the basis proof needs a target that takes no vector to zero; {target.name} may"
    if matrix is not None and disagrees(target, matrix):
        return f"{target.name} computes something else than the matrix that it declares"
    return None


def _is_linear(network: Network) -> bool:
    layers = flat_layers(network)
    return is_known(network, [Identity]) and all(
        layer.bias is None and not _has_factors(layer.linear) for layer in layers
    )


def _has_factors(linear: AbstractLinear) -> bool:
    """Whether the entries of a map are products of stored weights."""
    if isinstance(linear, DirectSum | Stack):
        return any(map(_has_factors, linear.parts))
    return isinstance(linear, Composed)


def _holds_range(codomain: AbstractDomain, *, complex_too: bool) -> bool:
    if type(codomain) is Product:
        return all(_holds_range(part, complex_too=complex_too) for part in codomain.domains)
    return type(codomain) is Space and (codomain.field == "complex" or not complex_too)


def _run(construction: Construction, options: Options) -> Certificate:
    """Bound `|fl(N x) - F x| / |x|` by what the stored weights are off over the reals, and a-priori rounding.

    Neither XLA nor the network's kernels take part, only their rounding model does.
    """
    claim, network = construction.claim, construction.network
    measured = _measured(construction)
    if measured is None:
        return undecided(construction, METHOD.name, "its entries don't lie where those of the transform's stages do")
    flushed, exponent = _flushed(network)
    evidence = MatrixBound(
        difference=measured.difference,
        arithmetic=measured.arithmetic,
        rounding=linear_rounding(network, unit_roundoff(network.dtype))[0],
        flushed=flushed,
        least=measured.least,
        exponent=exponent,
    )
    parts = (evidence.difference, evidence.arithmetic, evidence.rounding, evidence.flushed)
    error = math.fsum(parts) / evidence.least * (1 + 2.0**-40)
    if not error <= claim.error.relative:
        reason = f"it gives {error:.3g} relative, above the claim"
        return _tried(construction, measured.suspects, reason)
    return proved(
        construction,
        METHOD.name,
        moved=_stands_moved(claim, measured, error),
        found=Bound(relative=error),
        evidence=evidence,
        trusts=(_source(claim.target), "double and extended precision as IEEE 754 says", range_text(network.dtype)),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Measured:
    """Bounds of the 2-norms of `W - F`: `difference`, and `arithmetic`, by which that may be off.

    `least` and `most` bound the stretching of `F`, `rows` the sums of its moduli in every row; `suspects` are
    inputs, those first that show most of the difference.
    """

    difference: float
    arithmetic: float
    least: float
    most: float
    rows: list[Fraction]
    suspects: np.ndarray


def _measured(construction: Construction) -> _Measured | None:
    """The weights against the target; `None` where the stages of a transform aren't found."""
    network, target = construction.network, construction.claim.target
    stages = read_stages(network, target) if _by_stages(construction) else None
    if stages is not None:
        least, most = target.stretch()
        return _Measured(stages.difference * most, 0.0, least, most, row_sums(target, None), stages.suspects)
    if network.in_size > _LARGEST:
        return None
    matrix = matrix_of(target)
    difference = network_matrix(network) - matrix
    # A column is off by no more than the network itself, run in extended precision; there are so many columns.
    arithmetic = math.sqrt(network.in_size) * linear_rounding(network, EXTENDED, merged=False)[0]
    return _Measured(
        difference=norm(difference),
        arithmetic=arithmetic * (1 + 2.0**-40) + matrix_slack(target, max(matrix.shape)),
        least=least_stretch(target, matrix),
        most=target.stretch()[1] if is_known_target(target) else norm(matrix),
        rows=row_sums(target, matrix),
        suspects=np.argsort(-np.abs(difference).max(axis=0)),
    )


def _stands_moved(claim: Claim, measured: _Measured, error: float) -> bool:
    """Whether what is claimed of moved inputs follows: for `x' = x + d` with `|d| <= delta` in the max norm

        |fl(N x') - F x| <= |fl(N x') - F x'| + |F d|,   |fl(N x') - F x'|_2 <= error (|F x|_2 + |F d|_2),

    which in output `k` adds `row_k delta + error |F|_2 sqrt(n) delta`.
    """
    if claim.robustness.radius == 0:
        return True
    target, size = claim.target, claim.domain.size
    # All singular values of a transform are `most`, so that `most sqrt(n)` is the sum of a row.
    whole = Fraction(measured.most) * Fraction(math.sqrt(size) * (1 + 2.0**-50))
    reach = max(measured.rows) if transform_of(target) is not None or type(target) is DFT else whole
    gains = spread(claim.robustness.gain, claim.codomain.size).tolist()
    return all(
        math.isinf(gain) or row + Fraction(error) * reach <= Fraction(gain)
        for gain, row in zip(gains, measured.rows, strict=True)
    )


def _source(target: AbstractTarget) -> str:
    if is_known_target(target):
        return "roots of unity by their Taylor series in integers, not the table that weights are made of"
    return "the matrix that the target declares"


def _tried(construction: Construction, suspects: np.ndarray, reason: str) -> Certificate:
    """Without a proof, the directions in which the matrices differ most are run: one may refute the claim."""
    comparison, size = Comparison(construction), construction.in_size
    columns = suspects[: min(size, 256, block_size(construction.network))]
    x = np.zeros((len(columns), size))
    x[np.arange(len(columns)), columns] = 1
    comparison.add(x)
    if not comparison.broken:
        return undecided(construction, METHOD.name, reason, inputs=len(x))
    return conclude(construction, METHOD.name, "refuted", comparison, len(x), Tried())


def network_matrix(network: Network) -> np.ndarray:
    """The product of the stored weights in extended precision."""
    is_complex = jnp.issubdtype(network.dtype, jnp.complexfloating)
    matrix = np.eye(network.in_size, dtype=np.clongdouble if is_complex else np.longdouble)
    for layer in flat_layers(network):
        rows, cols, values = concrete_entries(layer.linear)
        terms = values.astype(matrix.dtype)[:, None] * matrix[cols]
        matrix = np.zeros((layer.out_size, network.in_size), matrix.dtype)
        np.add.at(matrix, rows, terms)
    return matrix


def _flushed(network: Network) -> tuple[float, int]:
    """What numbers below the least normal one add to the error, relative to the input's norm, and for which norms.

    For norms up to `2^exponent` no sum overflows (else the first number is infinite); norms from
    `2^-exponent` on are so large that what is lost is small beside them.
    """
    info = jnp.finfo(network.dtype)
    tiny, exponent = float(info.tiny), range_exponent(network.dtype)
    size, lost = 1.0, 0.0
    for layer in flat_layers(network):
        rows, cols, values = (np.asarray(part) for part in layer.linear.entries())
        moduli = np.abs(values).astype(np.float64)
        terms = int(np.bincount(rows, minlength=1).max())
        sums = float(np.bincount(rows, moduli, layer.out_size).max()) * size
        if not sums * 2.0**exponent * (1 + 2.0**-20) <= float(info.max):
            return math.inf, exponent
        step = block_norm(rows, cols, moduli, (layer.out_size, layer.in_size))
        # Every weight, product and sum may be flushed, which takes less than the least normal number from it.
        here = 4 * terms * math.sqrt(layer.out_size) * tiny * (2.0**exponent + size)
        if terms == 1 and np.all(moduli == 1):
            here = 0.0  # copies of normal numbers
        lost = lost * step + here
        size *= step
    return lost, exponent


METHOD = Method(
    name="basis",
    where="linear networks on R^n or C^n up to n = 4096, of a fast transform's stages up to 2^17, and targets that "
    "give their matrix",
    does="the stored weights are multiplied out, or taken stage by stage, and compared with the matrix, rounding is "
    "bounded",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
