"""Where parts of a composition meet: how stages are run, whether values stay inside."""

from ..construction import Claim
from ..domains import AbstractDomain, Box, Product
from ..linear import Butterfly, DirectSum, SignProduct, Stack
from ..linear.operator import AbstractLinear
from ..network import UNITS_HELD, Network, Repeat, block_layers, flat_layers, plan
from .polynomials.asked import asked
from .polynomials.monomials import Budget, Unknown, value_range

# How stages are run --------------------------------------------------------------------------------


def count_layers(network: Network) -> int:
    """How many layers are run, repeated blocks unrolled."""
    return sum(part.times * len(part.layers) if isinstance(part, Repeat) else 1 for part in network.layers)


def may_pair(network: Network) -> bool:
    """Whether some of a network may be run two layers at a time: stages, and large product gates."""
    return any(_pairs_up(layer.linear) for layer in block_layers(network.layers))


def _pairs_up(linear: AbstractLinear) -> bool:
    if isinstance(linear, DirectSum | Stack):
        return any(map(_pairs_up, linear.parts))
    return isinstance(linear, Butterfly) or (isinstance(linear, SignProduct) and linear.n > UNITS_HELD)


def pairs(network: Network) -> set[int]:
    """Which layers run as one with the next, repeated blocks unrolled."""
    layers = flat_layers(network)
    stored, found, index = {id(layer) for layer in layers}, set(), 0
    for step in plan(layers):
        if id(step) in stored:
            index += 1
        else:
            found.add(index)
            index += 2
    return found


# Whether values stay inside ------------------------------------------------------------------------


def stays_inside(claim: Claim, domain: AbstractDomain) -> bool:
    """Whether a proof of a claim also shows that the target's values lie in a domain that holds its codomain.

    Methods of proof look at the codomain, but may leave the faces of a box the room of their own rounding: then
    the ranges of polynomials are looked at again, without any.
    """
    if domain.is_space or not _has_faces(claim.codomain):
        return True
    try:
        wanted = asked(claim, Budget())
    except Unknown:
        return False
    low, high = claim.codomain.box()
    ends = [value_range(poly, wanted.low, wanted.high) for poly in wanted.outputs]
    return not wanted.classes and all(
        bottom <= least and most <= top
        for (least, most), bottom, top in zip(ends, low.tolist(), high.tolist(), strict=True)
    )


def _has_faces(domain: AbstractDomain) -> bool:
    return any(map(_has_faces, domain.domains)) if type(domain) is Product else isinstance(domain, Box)
