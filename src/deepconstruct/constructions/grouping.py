"""Functions of many bits by groups of them, where a dtype can't count all at once."""

import dataclasses
from collections.abc import Callable

from .._compose import parallel, series
from ..construction import Construction
from ..targets import AbstractTarget


def in_groups(build: Callable[[int], Construction], n: int, largest: int, target: AbstractTarget) -> Construction:
    """An associative function of `n` bits: `build(m)` of the bits that `build` gives of `m` groups.

    Args:
        build: gives the function of so many bits.
        n: the number of bits.
        largest: of so many bits at most the function can be built at once; at least 2.
        target: the function of all bits.
    """
    groups = -(-n // largest)
    sizes = [n // groups + (index < n % groups) for index in range(groups)]
    parts = {size: build(size) for size in set(sizes)}
    # Joints stay: merged, the sums of a unit would be as long again as those that the dtype doesn't hold.
    whole = series(parallel(*(parts[size] for size in sizes)), build(groups), merge=False)
    claim = dataclasses.replace(whole.claim, target=target, source=parts[sizes[0]].claim.source)
    return Construction(whole.network, claim)
