"""What a method of certification is."""

import dataclasses
from collections.abc import Callable

from ..construction import Construction
from .certificate import Certificate


@dataclasses.dataclass(frozen=True)
class Options:
    """What methods are given: how many inputs are drawn, where any are, and the methods for parts, in order."""

    samples: int = 10_000
    methods: tuple["Method", ...] = ()


@dataclasses.dataclass(frozen=True)
class Method:
    """One way of checking a claim.

    Attributes:
        name: how it is asked for.
        where: what it applies to, as text.
        does: what it does, as text.
        verdicts: those it can give besides `"refuted"` and `"undecided"`.
        applies: why it doesn't apply to a construction, or `None` if it does.
        run: checks a construction to which it applies.
        leaves: why `"auto"` leaves a construction to methods before it, or `None`.
        searches: whether it may look for long where a claim is false; inputs are tried first.
    """

    name: str
    where: str
    does: str
    verdicts: tuple[str, ...]
    applies: Callable[[Construction], str | None]
    run: Callable[[Construction, Options], Certificate]
    leaves: Callable[[Construction], str | None] = lambda construction: None
    searches: bool = False
