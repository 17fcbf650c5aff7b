"""Proof for linear networks on all of R^n or C^n: their matrix, plus rounding."""

import math

import jax.numpy as jnp
import numpy as np

from .._arithmetic.rounding import block_norm, linear_rounding, unit_roundoff
from .._arithmetic.trust import is_known
from ..activations import Identity
from ..construction import Bound, Construction
from ..domains import AbstractDomain, Product, Space
from ..linear import AbstractLinear, Composed, DirectSum, Stack
from ..linear.queries import concrete_entries
from ..network import Network, flat_layers
from .certificate import Certificate, MatrixBound, Tried, certificate, undecided
from .comparison import Comparison, block_size, conclude
from .matrices import EXTENDED, disagrees, least_stretch, matrix_slack, norm
from .method import Method, Options

_LARGEST = 4096


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    if type(claim.domain) is not Space:
        return f"the basis proof is about all of R^n or C^n; {construction.name} is on {claim.domain}"
    if claim.domain.size > _LARGEST:
        return f"the basis proof takes sizes up to {_LARGEST}; got {claim.domain.size}"
    if not _is_linear(network):
        return "the basis proof needs a linear network of this library's maps, without biases or maps of two factors"
    if not claim.target.is_linear:
        return f"the basis proof needs a target that declares itself linear; {claim.target.name} doesn't"
    if claim.domain.field == "complex" and not jnp.issubdtype(network.dtype, jnp.complexfloating):
        return f"{claim.domain} holds complex vectors, which a network of {claim.dtype} weights doesn't take"
    matrix = claim.target.matrix()
    if not _holds_range(claim.codomain, complex_too=bool(np.any(np.imag(matrix))) or claim.domain.field == "complex"):
        return f"the values of a linear target fill a linear space; {claim.codomain} doesn't hold them"
    if least_stretch(claim.target, matrix) <= 0:
        return f"the basis proof needs a target that takes no vector to zero; {claim.target.name} may"
    if disagrees(claim.target, matrix):
        return f"{claim.target.name} computes something else than the matrix that it declares"
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
    """Bound `|fl(N x) - F x| / |x|` by the difference of the matrices and a-priori rounding.

    The stored weights are multiplied out in extended precision and compared with the target's own
    matrix; neither XLA nor the network's kernels take part, only their rounding model does.
    """
    claim, network = construction.claim, construction.network
    product, target = network_matrix(network), claim.target.matrix()
    difference = product - target
    flushed, exponent = _flushed(network)
    evidence = MatrixBound(
        difference=norm(difference),
        arithmetic=linear_rounding(network, EXTENDED)[0] + matrix_slack(claim.target, max(target.shape)),
        rounding=linear_rounding(network, unit_roundoff(network.dtype))[0],
        flushed=flushed,
        least=least_stretch(claim.target, target),
        exponent=exponent,
    )
    parts = (evidence.difference, evidence.arithmetic, evidence.rounding, evidence.flushed)
    error = math.fsum(parts) / evidence.least * (1 + 2.0**-40)
    if not error <= claim.error.relative:
        return _tried(construction, difference, f"it gives {error:.3g} relative, above the claim")
    return certificate(
        construction,
        METHOD.name,
        "proved",
        ran=False,
        found=Bound(relative=error),
        inputs=0,
        evidence=evidence,
        trusts=(
            "the matrix that the target declares",
            f"normal inputs, with norms from 2^-{exponent} to 2^{exponent}: others may be flushed or overflow",
        ),
    )


def _tried(construction: Construction, difference: np.ndarray, reason: str) -> Certificate:
    """Without a proof, the directions in which the matrices differ most are run: one may refute the claim."""
    comparison, size = Comparison(construction), construction.in_size
    columns = np.argsort(-np.abs(difference).max(axis=0))[: min(size, 256, block_size(construction.network))]
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
    tiny, exponent = float(info.tiny), int(math.log2(float(info.max))) // 2
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
    where="linear networks on R^n or C^n up to n = 4096, and targets that give their matrix",
    does="the stored weights are multiplied out and compared with the matrix, rounding is bounded",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
