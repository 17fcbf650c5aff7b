"""One network after another."""

from collections.abc import Iterator, Sequence
from typing import Any

from .._arithmetic.exactness import is_exact_on
from .._arithmetic.products import multiplies_exactly
from .._bias import bias_vector
from ..construction import Claim, Construction, Series
from ..linear import Composed, Identity as IdentityMap, product
from ..network import Layer, Network, own
from .algebra import series_claim
from .parts import Layers, Part, check_parts
from .rounding import Claimed, Joint, factored_joint, is_worth, merged_joint


def series(*parts: Part, merge: bool = True) -> Part:
    """Run one network after another: `series(f, g)` computes `g(f(x))`.

    A linear readout is merged into a following nonlinear layer, so that depth and neurons add up.
    Two linear layers are never merged: that would turn an FFT into a dense matrix. Where products
    of both weights would round, they are kept as two factors of one layer (`linear.Composed`);
    where the rounding of merged biases can't be bounded, the joint stays as linear neurons.

    Args:
        parts: networks, or constructions, in the order in which they run.
        merge: whether to merge; `False` keeps every joint as linear neurons.

    Returns:
        A network, or a construction of the composed target: `error = e_out + gain_out e_in`, gains
        multiply, and the radius is what the outer radius leaves.

    Raises:
        TypeError: networks mixed with constructions.
        ValueError: sizes or domains that don't match, different dtypes, or an inner error beyond
            the outer radius.

    Example:
        >>> import deepconstruct as dc
        >>> tree = dc.series(dc.parallel(dc.parity(8), dc.parity(8)), dc.parity(2))
        >>> dc.cost(tree).depth, dc.cost(tree).neurons, dc.certify(tree).verdict
        (4, 30, 'proved')
    """
    check_parts("series", parts)
    if isinstance(parts[0], Network):
        network: Any = parts[0]
        for part in parts[1:]:
            network = _join_networks(network, part, merge)  # pyright: ignore[reportArgumentType]
        return own(network)
    *_, (network, claim, _) = joined_in_turn(parts, merge)  # pyright: ignore[reportArgumentType]
    origin = Series(parts, merge) if len(parts) > 1 else parts[0].origin  # pyright: ignore
    return Construction(own(network), claim, origin)  # pyright: ignore


def joined_in_turn(parts: Sequence[Construction], merge: bool) -> Iterator[tuple[Network, Claim, Joint | None]]:
    """The first part, the first two in series, and so on; with the joint that was merged last, if one was."""
    network, claim = last = (parts[0].network, parts[0].claim)
    yield network, claim, None
    for part in parts[1:]:
        second = (part.network, part.claim)
        network, claim, joint = _join((network, claim), last, second, merge)
        yield network, claim, joint
        last = second


def _join_networks(first: Network, second: Network, merge: bool) -> Network:
    if first.out_size != second.in_size:
        raise ValueError(
            f"series: the first network gives {first.out_size} numbers but the second takes {second.in_size}"
        )
    return Network(join_series(first.layers, second.layers, merge=merge))


def _join(first: Claimed, last: Claimed, second: Claimed, merge: bool) -> tuple[Network, Claim, Joint | None]:
    """The network and its claim: merged exactly, else as two factors, else with the joint left as it is.

    `last` is the part of `first` that meets `second`.
    """
    (before, inner), (behind, outer) = first, second
    claim, layers = series_claim(inner, outer), (before.layers, behind.layers)
    if merge and can_merge(*layers):
        merged = Network(join_series(*layers, merge=True))
        parts = before.layers[-1], behind.layers[0], merged.layers[len(before.layers) - 1]
        exact = _is_exact(merged, inner, last, behind) and multiplies_exactly(*parts)
        if exact:
            joint = merged_joint(first, behind, merged, exact=True)
        else:
            merged = Network(join_series(*layers, merge=True, factored=True))
            joint = factored_joint(first, behind)
        merged_claim = joint.claim(claim) if exact or is_worth(joint, claim) else None
        if merged_claim is not None:
            return merged, merged_claim, joint
    return Network(join_series(*layers, merge=False)), claim, None


def _is_exact(merged: Network, inner: Claim, last: Claimed, outer: Network) -> bool:
    """Whether nothing rounds; behind exact parts that is decided by the last one on its own domain."""
    if not inner.error.is_exact:
        return is_exact_on(merged, inner.domain)
    network, claim = last
    return is_exact_on(Network(join_series(network.layers, outer.layers, merge=True)), claim.domain)


def join_series(first: Layers, second: Layers, *, merge: bool, factored: bool = False) -> Layers:
    """`second` after `first`; a linear readout is merged into a following nonlinear layer.

    With `factored` the merged weights are kept as two factors, which round as two layers do.
    """
    if not merge or not can_merge(first, second):
        return first + second
    readout, layer = first[-1], second[0]
    assert isinstance(readout, Layer)
    assert isinstance(layer, Layer)
    return (*first[:-1], merge_layers(readout, layer, factored=factored), *second[1:])


def can_merge(first: Layers, second: Layers) -> bool:
    """Whether a linear readout meets a nonlinear layer.

    Two linear layers are never merged: that would make an FFT, or a low-rank pair, dense.
    """
    readout, layer = first[-1], second[0]
    if not isinstance(readout, Layer) or not isinstance(layer, Layer):
        return False
    return readout.is_linear and not layer.is_linear


def merge_layers(readout: Layer, layer: Layer, *, factored: bool = False) -> Layer:
    """One layer for `layer` after the linear layer `readout`."""
    bias, shift = layer.bias, bias_vector(readout.bias)
    if shift is not None:
        moved = layer.linear(shift)
        own = bias_vector(layer.bias)
        bias = moved if own is None else own + moved
    join = Composed if factored and not isinstance(readout.linear, IdentityMap) else product
    return Layer(join(layer.linear, readout.linear), bias, layer.activation, layer.label)
