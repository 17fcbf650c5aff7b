"""What all compositions share: their parts."""

from typing import TypeVar

from ..construction import Construction, as_network
from ..network import Layer, Network, Repeat

Part = TypeVar("Part", Network, Construction)
Layers = tuple[Layer | Repeat, ...]


def check_parts(owner: str, parts: tuple) -> None:
    if not parts:
        raise ValueError(f"{owner}: expected at least one network or construction; got none")
    kinds = {type(part) for part in parts}
    if kinds not in ({Network}, {Construction}):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"{owner}: pass either networks or constructions, not a mix; got {found}")
    for part in parts:
        as_network(owner, part)
