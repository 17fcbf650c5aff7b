"""How many linear regions a ReLU network can have."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

from .._checks import check_size
from ..construction import Construction, as_network
from ..network import Network, flat_layers


@dataclasses.dataclass(frozen=True)
class RegionBound:
    """Upper bounds of the number of linear regions of ReLU networks.

    Attributes:
        widths: of the hidden layers.
        inputs: the number of inputs `d`.
        simple: `(e k / d)^(t d)` for `t` layers of the largest width `k`, infinite beyond the range of
            floats; `None` where its condition `k >= d` fails.
        product: `prod_l sum_(j <= d_l) C(k_l, j)` with `d_l` the least of `d` and the widths before;
            always holds, and is exact arithmetic.
    """

    widths: tuple[int, ...]
    inputs: int
    simple: float | None
    product: int


def linear_regions(widths: Sequence[int] | Network | Construction, inputs: int | None = None) -> RegionBound:
    """Bound the number of linear regions of ReLU networks with these hidden widths.

    Args:
        widths: of the hidden layers, each at least 1; or a network, whose shape is taken.
        inputs: the number of inputs, at least 1; known for a network.

    Returns:
        The simple bound with its condition, and the tighter one.

    Raises:
        ValueError: no layers, or sizes below 1.
        TypeError: no number of inputs.

    *Source*: the simple bound from Malach & Shalev-Shwartz's slides, who don't state that it needs
    `k >= d`: a layer of `k` units cuts space into `sum_(j <= d) C(k, j)` parts, which only then is at
    most `(e k / d)^d`. `dc.linear_regions` counts those of a network along a line.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bounds.linear_regions([2, 2], 1).product
        9
        >>> dc.bounds.linear_regions([1], 2).simple is None
        True
    """
    if isinstance(widths, Network | Construction):
        network = as_network("bounds.linear_regions", widths)
        layers = flat_layers(network)
        hidden = layers[:-1] if layers[-1].is_readout else layers
        sizes, inputs = tuple(layer.out_size for layer in hidden), network.in_size
    else:
        sizes = tuple(check_size("bounds.linear_regions", "every width", width) for width in widths)
    if inputs is None:
        raise TypeError("bounds.linear_regions: inputs must be given with a list of widths")
    inputs = check_size("bounds.linear_regions", "inputs", inputs)
    if not sizes:
        raise ValueError("bounds.linear_regions: expected at least one hidden layer")
    return RegionBound(sizes, inputs, _simple(max(sizes), len(sizes), inputs), regions_at_most(sizes, inputs))


def regions_at_most(widths: Sequence[int], inputs: int) -> int:
    """`prod_l sum_(j <= d_l) C(k_l, j)`."""
    dimensions = itertools.accumulate([inputs, *widths], min)
    parts = (_parts(width, dimension) for width, dimension in zip(widths, dimensions, strict=False))
    return math.prod(parts)


def _parts(hyperplanes: int, dimension: int) -> int:
    return sum(math.comb(hyperplanes, j) for j in range(min(dimension, hyperplanes) + 1))


def _simple(width: int, depth: int, inputs: int) -> float | None:
    if width < inputs:
        return None
    logarithm: Any = depth * inputs * math.log(math.e * width / inputs)
    return math.exp(logarithm) if logarithm < 700 else math.inf
