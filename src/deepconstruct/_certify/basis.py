"""Proof for linear networks on all of R^n or C^n: their matrix, plus what rounding can add."""

import numpy as np

from .._arithmetic.rounding import is_linear_network, linear_rounding, unit_roundoff
from ..construction import Construction
from ..linear.queries import concrete_entries
from ..network import Network, flat_layers
from .certificate import Certificate, certificate

LARGEST = 4096


def is_linear_claim(construction: Construction) -> bool:
    """Whether the basis proof applies."""
    claim = construction.claim
    low, _ = claim.target.stretch() if claim.target.is_linear else (0.0, 0.0)
    return claim.domain.is_space and low > 0 and is_linear_network(construction.network)


def by_basis(construction: Construction) -> Certificate:
    """Bound `|fl(N x) - F x| / |F x|` by the difference of the matrices and a-priori rounding.

    The stored weights are multiplied out in extended precision and compared with the target's own
    matrix; neither XLA nor the network's kernels take part, only their rounding model does.
    """
    if not is_linear_claim(construction):
        raise ValueError(
            f"certify: the basis proof needs a linear network on R^n or C^n and a target that declares "
            f"itself linear and injective; {construction.name} is on {construction.claim.domain}"
        )
    claim, network = construction.claim, construction.network
    if claim.domain.size > LARGEST:
        raise ValueError(f"certify: the basis proof takes sizes up to {LARGEST}; got {claim.domain.size}")
    low, _ = claim.target.stretch()
    product, slack = network_matrix(network)
    difference = product - claim.target.matrix()
    rounding, _ = linear_rounding(network, unit_roundoff(network.dtype))
    error = (_norm(difference) + slack + rounding) / low * (1 + 2.0**-40)
    proved = error <= claim.error.relative or (error == 0 and claim.error.is_exact)
    verdict, example = ("proved", None) if proved else _refutation(difference, slack, claim)
    return certificate(
        construction,
        "basis",
        verdict,
        inputs=claim.domain.size,
        error=error,
        claimed=claim.error.relative,
        relative=True,
        counterexample=example,
    )


def network_matrix(network: Network) -> tuple[np.ndarray, float]:
    """The product of the stored weights in extended precision, and a bound of its own error."""
    layers = flat_layers(network)
    wide = np.clongdouble if np.iscomplexobj(np.zeros(0, network.dtype)) else np.longdouble
    matrix = np.eye(network.in_size, dtype=wide)
    for layer in layers:
        rows, cols, values = concrete_entries(layer.linear)
        terms = values.astype(wide)[:, None] * matrix[cols]
        matrix = np.zeros((layer.out_size, network.in_size), wide)
        np.add.at(matrix, rows, terms)
    slack, _ = linear_rounding(network, float(np.finfo(np.longdouble).eps) / 2)
    return matrix, slack


def _norm(matrix: np.ndarray) -> float:
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


def _refutation(difference: np.ndarray, slack: float, claim) -> tuple[str, tuple | None]:
    """A basis vector whose column is provably too far off refutes; else nothing is known."""
    _, high = claim.target.stretch()
    columns = np.linalg.norm(difference.astype(np.complex128), axis=0)
    worst = int(np.argmax(columns))
    if columns[worst] - slack <= claim.error.relative * high + claim.error.absolute * len(difference) ** 0.5:
        return "tested", None
    return "refuted", tuple(np.eye(len(columns))[worst].tolist())
