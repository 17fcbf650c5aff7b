"""What a certification returns."""

import dataclasses
import hashlib
from typing import Any

import jax
import numpy as np

from ..construction import Construction


@dataclasses.dataclass(frozen=True)
class Certificate:
    """How a claim was checked, and what came out.

    Attributes:
        verdict: `"proved"`: the claimed error holds on the whole domain, for this backend;
            `"tested"`: it held on samples; `"refuted"`: it fails at `counterexample`.
        method: `"exhaustive"`, `"basis"` or `"sampling"`.
        name: of the target.
        domain: the claim's domain, as text.
        inputs: how many were run.
        error: the largest error found, or the proved bound (`"basis"`); relative where `relative`.
        claimed: the error that was claimed, in the same terms.
        relative: whether the two are relative to the 2-norm of the target.
        dtype, backend: what ran, and where.
        digest: of the network's weights.
        counterexample: an input at which the claim fails, or `None`.
    """

    verdict: str
    method: str
    name: str
    domain: str
    inputs: int
    error: float
    claimed: float
    relative: bool
    dtype: str
    backend: str
    digest: str
    counterexample: tuple[float | complex, ...] | None = None

    @property
    def holds(self) -> bool:
        """Whether the claim was not refuted."""
        return self.verdict != "refuted"

    def __str__(self) -> str:
        kind = " relative" if self.relative else ""
        text = f"{self.verdict} ({self.method}, {self.inputs:,} inputs): error {self.error:.2g}{kind}"
        if self.counterexample is None:
            return text
        shown = ", ".join(f"{value:g}" for value in self.counterexample[:8])
        return f"{text} at ({shown}{', ...' if len(self.counterexample) > 8 else ''})"


def certificate(construction: Construction, method: str, verdict: str, **fields: Any) -> Certificate:
    """A certificate with what follows from the construction filled in."""
    claim = construction.claim
    return Certificate(
        verdict=verdict,
        method=method,
        name=construction.name,
        domain=repr(claim.domain),
        dtype=claim.dtype,
        backend=jax.default_backend(),
        digest=digest(construction),
        **fields,
    )


def digest(construction: Construction) -> str:
    """A short hash of all weights, in order."""
    hasher = hashlib.blake2b(digest_size=8)
    for leaf in jax.tree.leaves(construction.network):
        array = np.asarray(leaf)
        hasher.update(repr((array.shape, array.dtype.str)).encode())
        hasher.update(np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()
