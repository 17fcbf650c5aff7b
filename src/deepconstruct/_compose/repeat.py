"""A network many times after itself."""

import dataclasses

from .. import targets
from .._arithmetic.exactness import is_exact_on
from .._arithmetic.products import multiplies_exactly
from .._checks import check_size
from ..construction import Claim, Construction, Repeated, as_network
from ..network import Network, Repeat, flat_layers, own
from .algebra import entering_error, series_claim
from .parts import Layers, Part
from .rounding import Joint, merged_joint
from .series import can_merge, merge_layers


def repeat(part: Part, times: int, *, merge: bool = True) -> Part:
    """Run a network `times` times after itself, as one scanned block with untied weights.

    The block is rotated so that no linear joint remains inside: its readout is merged into its
    first layer where `series` would do so.

    Args:
        part: a network or construction whose output fits its input.
        times: how often, at least 1.
        merge: as in `series`.

    Returns:
        The network, or the construction with the claim of the `times`-fold series.

    Raises:
        ValueError: an output that doesn't fit the input, or errors that grow beyond the radius.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> back = dc.repeat(dc.fft(4, norm="ortho"), 4)
        >>> bool(np.allclose(back([1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 3.0, 4.0], atol=1e-5))
        True
    """
    times = check_size("repeat", "times", times)
    network = as_network("repeat", part)
    if network.in_size != network.out_size:
        raise ValueError(f"repeat: the network takes {network.in_size} numbers but gives {network.out_size}")
    if isinstance(part, Network):
        return own(Network(join_repeat(part.layers, times, merge=merge)))
    joined = merged_copies(part, times) if merge else None
    result, claim = _unmerged(part, times) if joined is None else joined[:2]
    if times > 1:
        claim = dataclasses.replace(claim, target=targets.Iterated(part.claim.target, times))
    return Construction(own(result), claim, Repeated(part, times, merge))


def merged_copies(part: Construction, times: int) -> tuple[Network, Claim, Joint] | None:
    """With merged joints, which are alike; `None` where there are none, or what they round can't be bounded."""
    if times == 1 or not can_merge(part.network.layers, part.network.layers):
        return None
    network, pair = (Network(join_repeat(part.network.layers, count, merge=True)) for count in (times, 2))
    # An exact part gives points of its own domain, so that what two copies never round no number of them does.
    layers = flat_layers(part.network)
    exact = is_exact_on(pair if part.claim.error.is_exact else network, part.claim.domain)
    exact = exact and multiplies_exactly(layers[-1], layers[0], flat_layers(pair)[len(layers) - 1])
    joint = merged_joint((part.network, part.claim), part.network, pair, exact=exact)
    claim = _merged_claim(part.claim, times, joint)
    return None if claim is None else (network, claim, joint)


def _merged_claim(part: Claim, times: int, joint: Joint) -> Claim | None:
    claim = part
    for _ in range(times - 1):
        # Behind a joint inputs are off as far as the claim says, which must be within what its bound is for.
        if not joint.silent and entering_error(claim, part) > joint.margin:
            return None
        found = joint.claim(series_claim(claim, part))
        if found is None:
            return None
        claim = found
    return claim


def _unmerged(part: Construction, times: int) -> tuple[Network, Claim]:
    claim = part.claim
    for _ in range(times - 1):
        claim = series_claim(claim, part.claim)
    return Network(join_repeat(part.network.layers, times, merge=False)), claim


def join_repeat(layers: Layers, times: int, *, merge: bool) -> Layers:
    """`layers` run `times` times, rotated so that no linear joint stays inside the block."""
    if times == 1:
        return layers
    flat = flat_layers(Network(layers))
    if not merge or not can_merge(flat, flat):
        return (Repeat.copies(flat, times),)
    joint = merge_layers(flat[-1], flat[0])
    block = (joint, *flat[1:-1])
    return (*flat[:-1], Repeat.copies(block, times - 1), flat[-1])
