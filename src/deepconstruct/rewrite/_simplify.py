"""Networks in normal form: nothing constant or double is left, and the order of the units says nothing."""

import dataclasses
from typing import Any

import numpy as np

from .._checks import check_flag
from ..domains import AbstractDomain
from ..network import Network
from ._affine import merge_affine
from ._core import Rows
from ._dead import Ends, asked, behind, drop_clean, drop_constant, drop_unused, real_sums
from ._draft import Draft, result
from ._duplicates import merge_active, merge_equal, scale, sort

_MOST_PASSES = 1000


def simplify(network: Any, *, domain: AbstractDomain | None = None, affine: bool = False) -> Any:
    """The same function in normal form, with as few units as rules on single units and pairs leave.

    Layer by layer from the inputs, until nothing changes: units are scaled by powers of two so that their largest
    weight is in [1, 2); constant and unused ones go; equal ones become one, and so do those of equal direction that
    are always active; what remains is sorted. Two networks of equal normal forms compute the same function; of
    others that don't agree, nothing follows. Activations that aren't piecewise polynomials are neither scaled nor
    folded: their units are only sorted, and merged where they are equal.

    Args:
        network: a `Network` or a `Construction`.
        domain: of a network, where the function is to be kept: without it, everywhere. A construction has its own.
        affine: whether to fold linear layers first, as `merge_affine` does: then there may be more synapses.

    Returns:
        The same kind; repeated blocks are unrolled if anything changes, and maps become `Dense` or `Sparse`. A claim
        is kept, or what other sums may round is added to it; where that can't be bounded, only those steps are taken
        after which nothing rounds anew.

    Raises:
        ValueError: a domain of another size, or one beside that of a claim.
        TypeError: neither a network nor a construction, or complex weights.

    Exactness: the same function over the reals, on the domain and within the radius of the claim. Merges after which
        a weight wouldn't be a number of the dtype are left out.

    Cost: neurons never grow, nor do synapses unless `affine`.

    Example:
        >>> import deepconstruct as dc
        >>> dust = dc.catalog.build("fractal_indicator") if "fractal_indicator" in dc.catalog.names() else dc.parity(4)
        >>> dc.cost(dc.rewrite.simplify(dust)).neurons <= dc.cost(dust).neurons
        True
    """
    check_flag("simplify", "affine", affine)
    given = merge_affine(network) if affine else network
    source, box = asked("simplify", given, domain)
    found = result("simplify", given, source, lambda draft: reduce(draft, box))
    if affine and found is not network and hasattr(found, "origin"):
        return dataclasses.replace(found, origin=dataclasses.replace(found.origin, of=network))
    return found


def reduce(draft: Draft, box: Ends) -> None:
    """All steps, until nothing changes."""
    drop_clean(draft, box)
    for _ in range(_MOST_PASSES):
        if not _pass(draft, box):
            return


def _pass(draft: Draft, box: Ends) -> bool:
    changed, held, hidden = False, box, set(draft.hidden())
    for index in range(len(draft.rows) - 1):
        if index in hidden:
            changed |= drop_unused(draft, index)
            changed |= scale(draft, index)
            changed |= drop_constant(draft, index, real_sums(draft.pair(index)[0], held), clean=False)
            changed |= merge_equal(draft, index)
            changed |= merge_active(draft, index, real_sums(draft.pair(index)[0], held))
            changed |= drop_unused(draft, index)
            changed |= sort(draft, index)
        held = behind(draft, index, held)
    return changed


def normal_form(network: Network, box: Ends) -> list[Rows] | None:
    """The normal form over the reals, with weights in double precision; `None` where some layer has no rows."""
    draft = Draft(network, np.float64)
    if any(rows is None for rows in draft.rows):
        return None
    for _ in range(_MOST_PASSES):
        if not _pass(draft, box):
            break
    return [rows for rows in draft.rows if rows is not None]


def is_same_form(first: list[Rows], second: list[Rows]) -> bool:
    """Whether two normal forms are equal, up to labels."""
    return len(first) == len(second) and all(map(_is_same, first, second))


def _is_same(a: Rows, b: Rows) -> bool:
    if (a.in_size, a.out_size, a.activations) != (b.in_size, b.out_size, b.activations):
        return False
    names = ("rows", "cols", "values", "bias")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
