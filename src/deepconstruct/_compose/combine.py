"""Networks made of networks; for constructions, the claims are composed too."""

import dataclasses
import math
from typing import Any, TypeVar

from .. import targets
from .._arithmetic.exactness import is_exact_on
from .._arithmetic.rounding import is_linear_network, linear_rounding, unit_roundoff
from .._checks import check_size
from ..construction import Bound, Claim, Construction, as_network
from ..domains import AbstractDomain, Space
from ..network import Network, block_layers, own
from .algebra import fan_out_claim, parallel_claim, series_claim, with_factored_joint, with_merged_joint
from .joining import can_merge, join_fan_out, join_parallel, join_repeat, join_series, realify_layers

Part = TypeVar("Part", Network, Construction)


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
    _check_parts("series", parts)
    result: Any = parts[0]
    for part in parts[1:]:
        result = _series_pair(result, part, merge)
    return _owned(result)


def _series_pair(first: Any, second: Any, merge: bool) -> Any:
    if isinstance(first, Network):
        _check_sizes(first, second)
        return Network(join_series(first.layers, second.layers, merge=merge))
    claim = series_claim(first.claim, second.claim)
    layers = first.network.layers, second.network.layers
    if merge and can_merge(*layers):
        merged = Network(join_series(*layers, merge=True))
        if is_exact_on(merged, claim.domain):
            merged_claim = with_merged_joint(claim, first, second, merged)
        else:
            merged = Network(join_series(*layers, merge=True, factored=True))
            merged_claim = with_factored_joint(claim, first, second)
        if merged_claim is not None:
            return Construction(merged, merged_claim)
    return Construction(Network(join_series(*layers, merge=False)), claim)


def parallel(*parts: Part) -> Part:
    """Run networks side by side on consecutive inputs: `(f(x_1), g(x_2), ...)`.

    Shallower networks are padded behind their readout by identity layers, which count as linear
    neurons. Repeated blocks stay one block if their times agree, else they are unrolled.

    Args:
        parts: networks, or constructions.

    Returns:
        A network, or a construction: maxima of errors and gains, the least radius.

    Raises:
        TypeError: networks mixed with constructions.
        ValueError: different dtypes.

    Example:
        >>> import deepconstruct as dc
        >>> dc.parallel(dc.parity(2), dc.parity(3))([1, 0, 1, 1, 0]).tolist()
        [1.0, 0.0]
    """
    return _joined("parallel", parts, join_parallel, parallel_claim)


def fan_out(*parts: Part) -> Part:
    """Run several networks on the same input: `(f(x), g(x), ...)`.

    Args:
        parts: networks of one `in_size`, or constructions of one domain.

    Returns:
        A network, or a construction: maxima of errors and gains, the least radius.

    Raises:
        TypeError: networks mixed with constructions.
        ValueError: different input sizes, domains or dtypes.

    Example:
        >>> import deepconstruct as dc
        >>> both = dc.fan_out(dc.parity(3), dc.parity_shallow(3))
        >>> both([1, 1, 1]).tolist()
        [1.0, 1.0]
    """
    sizes = {part.in_size for part in parts if isinstance(part, Network)}
    if len(sizes) > 1:
        raise ValueError(f"fan_out: all networks must take one size; got {sorted(sizes)}")
    return _joined("fan_out", parts, join_fan_out, fan_out_claim)


def _joined(owner: str, parts: Any, join: Any, join_claims: Any) -> Any:
    """Join networks; for constructions, join the claims too."""
    _check_parts(owner, parts)
    if isinstance(parts[0], Network):
        return _owned(Network(join(list(parts))))
    claim = join_claims([part.claim for part in parts])
    return _owned(Construction(Network(join([part.network for part in parts])), claim))


def _owned(whole: Part) -> Part:
    """The same with memory of its own, shared neither with its parts nor inside."""
    if isinstance(whole, Construction):
        return dataclasses.replace(whole, network=own(whole.network))
    return own(whole)


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
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> back = dc.repeat(dc.fft(4, norm="ortho"), 4)
        >>> bool(jnp.allclose(back([1.0, 2.0, 3.0, 4.0]), jnp.array([1.0, 2.0, 3.0, 4.0]), atol=1e-5))
        True
    """
    times = check_size("repeat", "times", times)
    network = as_network("repeat", part)
    if network.in_size != network.out_size:
        raise ValueError(f"repeat: the network takes {network.in_size} numbers but gives {network.out_size}")
    if isinstance(part, Network):
        return _owned(Network(join_repeat(part.layers, times, merge=merge)))
    return _owned(_repeat_construction(part, times, merge))


def _repeat_construction(part: Construction, times: int, merge: bool) -> Construction:
    layers = part.network.layers
    merge = merge and times > 1 and can_merge(layers, layers)
    network = Network(join_repeat(layers, times, merge=merge))
    claim = part.claim
    for _ in range(times - 1):
        claim = series_claim(claim, part.claim)
        if merge:
            merged_claim = with_merged_joint(claim, part, part, network)
            if merged_claim is None:
                return _repeat_construction(part, times, merge=False)
            claim = merged_claim
    target = targets.Iterated(part.claim.target, times) if times > 1 else claim.target
    return Construction(network, dataclasses.replace(claim, target=target))


def realify(part: Part) -> Part:
    """Turn a complex linear network into the real one on stacked `(Re x, Im x)`.

    Every complex weight becomes its block `[[Re, -Im], [Im, Re]]` without its zeros, so the FFT of
    size `n = 2^L` needs `6 n L - 6 n + 8` real synapses, not four times the complex ones.

    Args:
        part: a network, or construction on `C^n`, with concrete weights and identity activations.

    Returns:
        The real network `(*batch, 2 in_size) -> (*batch, 2 out_size)`, or the construction; to its
        relative error the rounding of the real products is added.

    Raises:
        ValueError: a nonlinear layer, or a construction on another domain than `C^n`.

    Example:
        >>> import deepconstruct as dc
        >>> dc.cost(dc.realify(dc.fft(8))).synapses
        104
    """
    network = as_network("realify", part)
    if not all(layer.is_linear for layer in block_layers(network.layers)):
        raise ValueError("realify: every layer must be linear; this network has other activations")
    real = Network(realify_layers(network))
    result: Any = Construction(real, _real_claim(part.claim, real)) if isinstance(part, Construction) else real
    return _owned(result)


def _real_claim(claim: Claim, real: Network) -> Claim:
    low, _ = claim.target.stretch()
    if not claim.target.is_linear or low == 0 or not is_linear_network(real):
        raise ValueError(
            f"realify: {claim.target.name} must be an injective linear target on C^n; realify its network instead"
        )
    rounding, _ = linear_rounding(real, unit_roundoff(real.dtype))
    relative = (claim.error.relative + rounding / low) * (1 + 2**-40)
    return dataclasses.replace(
        claim,
        target=targets.Realified(claim.target),
        domain=_real_space(claim.domain),
        codomain=_real_space(claim.codomain),
        error=Bound(claim.error.absolute, relative),
        gain=claim.gain * math.sqrt(2) * (1 + relative),
        dtype=real.dtype.name,
    )


def _real_space(domain: AbstractDomain) -> AbstractDomain:
    if domain != Space(domain.size, "complex"):
        raise ValueError(f"realify: expected a construction on C^n; got {domain}")
    return Space(2 * domain.size)


def _check_parts(owner: str, parts: tuple) -> None:
    if not parts:
        raise ValueError(f"{owner}: expected at least one network or construction; got none")
    kinds = {type(part) for part in parts}
    if kinds not in ({Network}, {Construction}):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise TypeError(f"{owner}: pass either networks or constructions, not a mix; got {found}")
    for part in parts:
        as_network(owner, part)


def _check_sizes(first: Network, second: Network) -> None:
    if first.out_size != second.in_size:
        raise ValueError(
            f"series: the first network gives {first.out_size} numbers but the second takes {second.in_size}"
        )
