"""What a certification returns."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax

from .._io.html import html_table
from ..construction import Bound, Construction
from ..construction.encoding import digest


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a method found: a record of its own."""


@dataclasses.dataclass(frozen=True)
class Enumerated(Evidence):
    """Every input of the domain was run; `digits` is the most that a sum on the way needs, if nothing rounds."""

    digits: int | None


@dataclasses.dataclass(frozen=True)
class MatrixBound(Evidence):
    """Parts of a bound of `|network(x) - target(x)| / |x|` in the 2-norm.

    Attributes:
        difference: of the product of the stored weights to the target's matrix.
        arithmetic: what the two were computed with.
        rounding: of the network's operations.
        flushed: what numbers below the least normal one add.
        least: the least stretching of the target.
        exponent: the bound holds for inputs whose norms lie between 2^-exponent and 2^exponent.
    """

    difference: float
    arithmetic: float
    rounding: float
    flushed: float
    least: float
    exponent: int


@dataclasses.dataclass(frozen=True)
class Sampled(Evidence):
    """Inputs were drawn with the keys `jax.random.key(0)` to `jax.random.key(blocks - 1)`."""

    blocks: int


@dataclasses.dataclass(frozen=True)
class Tried(Evidence):
    """Inputs were run at which the network was suspected to fail."""


@dataclasses.dataclass(frozen=True)
class Attempts(Evidence):
    """Why methods decided nothing: pairs of name and reason."""

    reasons: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Certificate:
    """How a claim was checked, and what came out.

    Attributes:
        verdict: `"proved"`: the claim holds on the whole domain under the rounding model of claims, in
            any order of operations, on any backend that keeps it; `"enumerated"`: it held at every input
            when this program ran on this backend; `"tested"`: it held on samples; `"undecided"`: nothing
            was found either way; `"refuted"`: it fails at `counterexample` when that is run.
        method: the name of the method; `""` if none decided.
        name: of the target.
        domain: the claim's domain, as text.
        covers: what was checked of the claim: `"error"`, and `"robustness"` where inputs beside the
            domain were looked at too.
        found: the largest error found, or a proved bound, split as the claimed one: what exceeds its absolute
            part counts as relative, if it has a relative part. `None` if there is no finite one.
        claimed: the error that was claimed.
        evidence: the method's own record.
        trusts: on what else the verdict rests.
        inputs: how many were run.
        dtype: of the network.
        backend: what ran it, or `None` if nothing was run.
        digest: of the network: structure, activations and weights.
        claim_digest: of the claim.
        seconds: how long it took.
        counterexample: an input at which the claim fails, or `None`.
    """

    verdict: str
    method: str
    name: str
    domain: str
    covers: tuple[str, ...]
    found: Bound | None
    claimed: Bound
    evidence: Evidence
    trusts: tuple[str, ...]
    inputs: int
    dtype: str
    backend: str | None
    digest: str
    claim_digest: str
    seconds: float = 0.0
    counterexample: tuple[float | complex, ...] | None = None

    @property
    def holds(self) -> bool:
        """Whether the claim was proved, or held at all inputs that were run."""
        return self.verdict in ("proved", "enumerated", "tested")

    def _repr_html_(self) -> str:
        names = ("verdict", "method", "name", "domain", "found", "claimed", "inputs", "dtype", "backend", "digest")
        rows = [(name, str(getattr(self, name))) for name in names]
        rows += [("covers", ", ".join(self.covers)), ("trusts", "; ".join(self.trusts))]
        rows += [("counterexample", str(self.counterexample))] * (self.counterexample is not None)
        return html_table(("certificate", str(self)), rows)

    def __str__(self) -> str:
        if isinstance(self.evidence, Attempts):
            return f"{self.verdict}: " + "; ".join(f"{name}: {reason}" for name, reason in self.evidence.reasons)
        inputs = f", {self.inputs:,} inputs" if self.inputs else ""
        text = f"{self.verdict} ({self.method}{inputs}): error {error_text(self.found)}"
        if self.counterexample is None:
            return text
        values = ", ".join(f"{value:g}" for value in self.counterexample[:8])
        return f"{text} at ({values}{', ...' if len(self.counterexample) > 8 else ''})"


def error_text(found: Bound | None) -> str:
    """A bound as certificates show it."""
    if found is None:
        return "not finite"
    return "0" if found.is_exact else str(found)


def certificate(
    construction: Construction,
    method: str,
    verdict: str,
    *,
    ran: bool,
    covers: tuple[str, ...] = ("error",),
    **fields: Any,
) -> Certificate:
    """A certificate with what follows from the construction filled in; `covers` may name `"robustness"` too."""
    claim = construction.claim
    return Certificate(
        verdict=verdict,
        method=method,
        name=construction.name,
        domain=repr(claim.domain),
        covers=covers,
        claimed=claim.error,
        dtype=claim.dtype,
        backend=jax.default_backend() if ran else None,
        digest=digest(construction.network),
        claim_digest=digest(claim),
        **fields,
    )


def proved(
    construction: Construction,
    method: str,
    found: Bound,
    evidence: Evidence,
    trusts: Iterable[str],
    *,
    moved: bool,
    inputs: int = 0,
) -> Certificate:
    """The certificate of a proof that ran nothing; `moved` says that it covers inputs beside the domain."""
    covers = ("error", "robustness") if moved else ("error",)
    fields = {"found": found, "evidence": evidence, "trusts": tuple(trusts), "inputs": inputs}
    return certificate(construction, method, "proved", ran=False, covers=covers, **fields)


def undecided(construction: Construction, method: str, reason: str, *, inputs: int = 0) -> Certificate:
    """A certificate of a method that says why it decided nothing."""
    return open_case(construction, method, ((method, reason),), inputs=inputs)


def open_case(
    construction: Construction, method: str, reasons: tuple[tuple[str, str], ...], *, inputs: int = 0
) -> Certificate:
    """A certificate that says why none of some methods decided."""
    fields = {"found": None, "evidence": Attempts(reasons), "trusts": (), "inputs": inputs}
    return certificate(construction, method, "undecided", ran=inputs > 0, **fields)
