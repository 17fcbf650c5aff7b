"""Certificates in files: a member of JSON beside the tree, whose records are tagged as those of trees.

A method's evidence needs no entry anywhere: every dataclass that derives from `Evidence` in a module of a
method is known, and those that its fields name.
"""

import dataclasses
import functools
import math
import types
import typing
from typing import Any

from .._certify import METHODS, Certificate
from .._certify.certificate import Evidence
from ..construction import Bound, Construction
from ..construction.encoding import Encoder, digest
from .decoding import Decoder, refused

MEMBER, FORMAT, VERSION = "certificate.json", "deepconstruct certificate", 1

_VERDICTS = ("proved", "enumerated", "tested", "undecided", "refuted")
_COVERS = (("error",), ("error", "robustness"))


@functools.cache
def classes() -> dict[str, type]:
    """Every class that certificates hold, by name."""
    evidence = {f"evidence.{cls.__name__}": cls for cls in _records(Evidence, set())}
    return {"Certificate": Certificate, "Bound": Bound} | evidence


def _records(base: type, seen: set[type]) -> list[type]:
    """The library's own kinds of evidence, and the records that they are made of."""
    assert METHODS  # whose modules define what derives from it
    found = [cls for kind in base.__subclasses__() for cls in [kind, *_records(kind, seen)]]
    waiting = [cls for cls in found if cls.__module__.startswith(Evidence.__module__.rpartition(".")[0])]
    while waiting:
        cls = waiting.pop()
        if cls not in seen and cls is not Bound:
            seen.add(cls)
            waiting += [part for hint in typing.get_type_hints(cls).values() for part in _inside(hint)]
    return sorted(seen, key=lambda cls: cls.__name__)


def _inside(hint: Any) -> list[type]:
    """The dataclasses that a type is made of."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [cls for part in typing.get_args(hint) for cls in _inside(part)]


def encoded(owner: str, value: Any, certificate: Any) -> dict[str, Any]:
    """What the member holds.

    Raises:
        TypeError: no certificate, or evidence that isn't the library's own.
        ValueError: a certificate of another network or claim.
    """
    if not isinstance(certificate, Certificate):
        raise TypeError(f"{owner}: certificate must be what certify gives; got {type(certificate).__name__}")
    check_belongs(owner, value, certificate)
    tree = Encoder(owner, classes()).encode(certificate)
    header = {"format": FORMAT, "version": VERSION, "certificate": tree}
    with refused(owner, "the certificate can't be stored"):
        decoded(owner, header)  # whatever couldn't be read again is noticed now
    return header


def check_belongs(owner: str, value: Any, certificate: Certificate) -> None:
    """Refuse a certificate of another construction."""
    if not isinstance(value, Construction):
        raise ValueError(f"{owner}: a certificate is about a construction; a network alone has no claim")
    found = {"digest": digest(value.network), "claim_digest": digest(value.claim)}
    for name, what in (("digest", "network"), ("claim_digest", "claim")):
        if getattr(certificate, name) != found[name]:
            raise ValueError(f"{owner}: the certificate is about another {what}; certify this construction again")
    claim = value.claim
    said = {"name": value.name, "domain": repr(claim.domain), "claimed": claim.error, "dtype": claim.dtype}
    for name, expected in said.items():
        if getattr(certificate, name) != expected:
            raise ValueError(
                f"{owner}: the certificate has {name}={getattr(certificate, name)!r:.80}, not {expected!r:.80}"
            )


def decoded(owner: str, header: Any) -> Certificate:
    """The certificate of a member.

    Raises:
        ValueError: whatever is wrong with it.
    """
    if not isinstance(header, dict) or header.get("format") != FORMAT or "certificate" not in header:
        raise ValueError(f"{owner} holds no certificate that is known (its format isn't {FORMAT!r})")
    if type(header.get("version")) is not int or header["version"] != VERSION:
        raise ValueError(
            f"{owner}: its certificate is of version {header.get('version')!r}; this library reads version {VERSION}"
        )
    value = _Decoder(owner).decode(header["certificate"])
    if type(value) is not Certificate:
        raise ValueError(f"{owner} holds {type(value).__name__} instead of a certificate")
    _check_fields(owner, value)
    _check_certificate(owner, value)
    return value


class _Decoder(Decoder):
    """Certificates hold no arrays, targets or parts."""

    def __init__(self, owner: str):
        super().__init__(owner, self._refuse, {})
        self.classes = classes()

    def _refuse(self, name: str) -> Any:
        raise ValueError(f"{self.owner}: a certificate holds no arrays; got {name!r}")


def _check_fields(owner: str, value: Any) -> None:
    """Refuse values that aren't of their fields' types."""
    for name, hint in typing.get_type_hints(type(value)).items():
        part = getattr(value, name)
        if not _fits(part, hint):
            raise ValueError(f"{owner}: {type(value).__name__} has {name}={part!r:.80}, which it can't have")
        for record in part if isinstance(part, tuple) else (part,):
            if isinstance(record, Evidence):
                _check_fields(owner, record)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type: a class, a union, or a tuple."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in inner)
    if origin is typing.Literal:
        return value in inner
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        parts = inner[:1] * len(value) if len(inner) == 2 and inner[1] is ... else inner
        return len(parts) == len(value) and all(map(_fits, value, parts))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint or (isinstance(hint, type) and hint is not int and isinstance(value, hint))


def _check_certificate(owner: str, value: Certificate) -> None:
    """Refuse what no method says."""
    hexadecimal = all(len(text) == 64 and set(text) <= set("0123456789abcdef") for text in _digests(value))
    known = {"", *(method.name for method in METHODS)}
    good = {
        "verdict": value.verdict in _VERDICTS,
        "method": value.method in known,
        "covers": value.covers in _COVERS,
        "digest": hexadecimal,
        "inputs": value.inputs >= 0,
        "seconds": 0 <= value.seconds < math.inf,
        "counterexample": value.counterexample is None or value.verdict == "refuted",
        "found": value.found is not None or value.verdict != "proved",
    }
    for name, is_good in good.items():
        if not is_good:
            raise ValueError(f"{owner}: a certificate can't have {name}={getattr(value, name)!r:.80}")


def _digests(value: Certificate) -> tuple[str, str]:
    return value.digest, value.claim_digest
