"""Networks in normal form: nothing constant or double is left, and the order of the units says nothing."""

import dataclasses
from typing import Any

import numpy as np

from .._checks import check_flag
from ..construction import Construction, Rewritten
from ..domains import AbstractDomain
from ..network import Network
from ._affine import merge_affine
from ._core import Rows
from ._dead import box_of, drop_dead, drop_in_running, drop_unused, held_behind, merge_active
from ._draft import Draft, real_network, result
from ._duplicates import merge_equal
from ._ranges import Ends
from ._scales import scale, sort

# No network that was tried needed ten.
_MOST_PASSES = 1000


def simplify(network: Any, *, domain: AbstractDomain | None = None, affine: bool = False) -> Any:
    """The same function in normal form, with as few units as rules on single units and pairs leave.

    Layer by layer from the inputs, until nothing changes: units are scaled by powers of two so that their largest
    weight is in [1, 2); constant and unused ones go; equal ones become one, and so do those of equal direction that
    are always active; what remains is sorted, by weights and biases alone. So networks that differ by the order of
    hidden units, by powers of two, and by units that `prune_dead` and `merge_duplicates` remove have one normal form.
    Networks of equal normal forms are the same function of real numbers where it is kept; of others nothing follows.

    Args:
        network: a `Network`, or a `Construction`, of real weights.
        domain: where the function of a `Network` is kept; by default everywhere. A construction has the domain of
            its claim, widened by its radius.
        affine: whether hidden linear layers are folded into the layers behind them first, as by `merge_affine`: then
            there may be more synapses.

    Returns:
        The same kind. Repeated blocks are unrolled, and maps become `Dense` or `Sparse`. Of a construction, only
        steps are taken after which nothing rounds otherwise if the claim couldn't be kept with more: units aren't
        scaled then, and maps that sum in an order of their own stay. Rewrite its `.network` on its claim's domain
        for all, and certify the claim anew.

    Raises:
        ValueError: a domain of another size, one beside that of a claim, or weights that aren't finite.
        TypeError: neither a network nor a construction, a stack of networks, complex weights or a complex domain.

    Exactness: the same function of real numbers on the domain's box, widened. The running network may round
        otherwise; what that may add is added to a claim.

    Cost: neurons never grow, nor do synapses unless `affine`.

    Example:
        >>> import deepconstruct as dc
        >>> net = dc.Network.from_matrices([[[4], [1], [-1]], [[1, 1, 0]]], [[2, 0.5, 0], None], "relu")
        >>> simple = dc.rewrite.simplify(net)
        >>> [layer.linear.weight.tolist() for layer in simple.layers], simple.layers[0].bias.tolist()
        ([[[1.0]], [[5.0]]], [0.5])
    """
    check_flag("simplify", "affine", affine)
    found = _simplified(network, domain)
    while affine:
        folded = merge_affine(found)
        if _depth(folded) == _depth(found):
            break
        found = _simplified(folded, domain)
    if affine and isinstance(found, Construction):
        return dataclasses.replace(found, origin=Rewritten("simplify(affine=True)", network))
    return found


def _simplified(network: Any, domain: AbstractDomain | None) -> Any:
    source = real_network("simplify", network)
    box = box_of("simplify", network, source, domain)

    def change(draft: Draft) -> None:
        drop_in_running(draft, box)
        reduce(draft, box)

    return result("simplify", network, source, change, plain=True)


def _depth(given: Any) -> int:
    return len((given.network if isinstance(given, Construction) else given).layers)


def reduce(draft: Draft, box: Ends) -> None:
    """All steps, until nothing changes."""
    for _ in range(_MOST_PASSES):
        if not _pass(draft, box):
            return


def _pass(draft: Draft, box: Ends) -> bool:
    """All steps, layer by layer: what those before a layer become says what its units are."""
    changed, held, hidden = False, box, set(draft.hidden())
    for index in range(len(draft.rows)):
        if index in hidden:
            changed |= drop_unused(draft, index)
            changed |= scale(draft, index)
            changed |= drop_dead(draft, index, held)
            changed |= merge_equal(draft, index)
            changed |= merge_active(draft, index, held)
            changed |= drop_unused(draft, index)
            changed |= sort(draft, index)
        held = held_behind(draft, index, held)
    return changed


def normal_form(network: Network, domain: AbstractDomain) -> list[Rows] | None:
    """The normal form over the reals on a domain's box, in weights of double precision.

    `None` where a layer isn't known by its rows. Every step keeps the function of real numbers: a sum that double
    precision doesn't hold isn't made.
    """
    source = real_network("normal_form", network)
    draft = Draft(source, np.float64)
    reduce(draft, box_of("normal_form", source, source, domain))
    return None if None in draft.rows else [rows for rows in draft.rows if rows is not None]


def is_same_form(first: list[Rows], second: list[Rows]) -> bool:
    """Whether two normal forms are equal, up to labels: then they are the same function."""
    return len(first) == len(second) and all(map(_is_same, first, second))


def _is_same(a: Rows, b: Rows) -> bool:
    if (a.in_size, a.out_size, a.activations) != (b.in_size, b.out_size, b.activations):
        return False
    names = ("rows", "cols", "values", "bias")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
