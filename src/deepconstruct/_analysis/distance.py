"""How far apart two networks are: as functions, and as weights up to symmetry."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import is_concrete
from ..activations import AbstractActivation, Identity
from ..construction import Construction, as_network
from ..network import Network, flat_layers
from .matching import aligned, match
from .symmetries import Matrix, canonical, hidden_units


@dataclasses.dataclass(frozen=True)
class WeightDistance:
    """How far the weights of one network are from those of another, units matched.

    Attributes:
        absolute: the 2-norm of the difference of all weights and biases.
        relative: that over the norm of the other network's weights and biases.
        unmatched: the relative distance with units as they stand.
        layers: the relative distance of each affine map.
        matched: hidden layers whose units were matched.
        moved: units that were matched with one in another place.
    """

    absolute: float
    relative: float
    unmatched: float
    layers: tuple[float, ...]
    matched: int
    moved: int


def function_distance(network: Network | Construction, other: Network | Construction, x: Any) -> Float[Array, ""]:
    """The root mean square of the difference of two networks, over inputs and outputs.

    It can be jitted, and vmapped over networks with leading axes on their leaves.

    Args:
        network: a network or construction, whose claim is not looked at.
        other: one of the same sizes, the layers may differ.
        x: at least one input, shape `(*batch, in_size)`.

    Returns:
        An array of shape `()`, NaN for a diverged network.

    Raises:
        ValueError: networks of different sizes, or no inputs.

    Example:
        >>> import deepconstruct as dc, jax
        >>> bits = dc.domains.Bits(8).enumerate(jax.numpy.arange(256))
        >>> float(dc.function_distance(dc.parity(8), dc.parity_shallow(8), bits))
        0.0
    """
    network, other = as_network("function_distance", network), as_network("function_distance", other)
    sizes = [(net.in_size, net.out_size) for net in (network, other)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"function_distance: networks must have equal sizes (in, out); got {sizes[0]} and {sizes[1]}")
    x = jnp.asarray(x)
    if x.size == 0:
        raise ValueError(f"function_distance: x must hold at least one input; got shape {x.shape}")
    with jax.numpy_dtype_promotion("standard"):  # the networks may be of two precisions
        difference = jnp.abs(network(x) - other(x))
    return jnp.sqrt(jnp.mean(difference**2))


def weight_distance(network: Network | Construction, other: Network | Construction) -> WeightDistance:
    """How far the weights are from those of another network, up to symmetries of the hidden units.

    Both are written with dense matrices. In each hidden layer units of one activation may change
    places, and

    - change the sign, with that of their outgoing weights (`Tanh`, `Sin`, `Identity`, odd `Power`,
      and `Sigmoid`, which is one half and an odd function: the half is moved into the bias behind it)
      or without (`Square`, even `Power`);
    - be scaled by a positive number (`ReLU`, `Step`, `Identity`, `Square`, `Power`): both networks are
      first scaled to their smallest norm, where incoming and outgoing weights of a unit are in balance;
    - be turned by a phase (`Identity` with complex weights).

    Other symmetries are not used: the invertible maps between linear layers, shifts of a sine by its
    period, copies of one unit.

    Places and signs are found layer after layer, each by an optimal assignment with its neighbors held
    fixed, until nothing changes, from three starts. With one hidden layer the distance is the least
    over all places and signs. With more it is an upper bound of that; for small noise around a reordered
    copy it is the least, if no two units of a layer have equal incoming weights up to sign or phase.

    Args:
        network: a network or construction with concrete weights, such as a trained one.
        other: one with the same widths and activations, such as the construction it came from.
            Relative distances are relative to this one.

    Returns:
        A `WeightDistance`; all distances are NaN for a diverged network.

    Raises:
        ValueError: another number of layers, other widths or activations.
        TypeError: real against complex weights; or inside jit, vmap or grad.

    *Cost*: in each round and hidden layer, a matrix product and an assignment, cubic in the width.

    Source: weight matching is algorithm 1 of Ainsworth, Hayase and Srinivasa, "Git Re-Basin" (2023);
    signs, phases, balancing and the starts are ours.

    Example:
        >>> import deepconstruct as dc, jax
        >>> xor = dc.parity(8)
        >>> noisy = dc.perturb(xor, 0.1, key=jax.random.key(0))
        >>> found = dc.weight_distance(noisy, xor)
        >>> found.matched, found.moved, 0 < found.relative <= found.unmatched < 0.2
        (3, 0, True)
    """
    nets = [as_network("weight_distance", value) for value in (network, other)]
    _check_alike(*nets)
    layers = flat_layers(nets[1])
    if not all(np.all(np.isfinite(leaf)) for net in nets for leaf in jax.tree.leaves(net)):
        nothing = (math.nan,) * len(layers)
        return WeightDistance(math.nan, math.nan, math.nan, nothing, 0, 0)
    moving, fixed = (canonical(net) for net in nets)
    is_complex = np.iscomplexobj(fixed[0])
    units = [hidden_units(layer, is_complex) for layer in layers[:-1]]
    places = match(fixed, moving, units)
    found = aligned(moving, places)
    absolute = _norm([a - b for a, b in zip(found, fixed, strict=True)])
    return WeightDistance(
        absolute=absolute,
        relative=_over(absolute, _norm(fixed)),
        unmatched=_over(_norm([a - b for a, b in zip(moving, fixed, strict=True)]), _norm(fixed)),
        layers=tuple(_over(_norm([a - b]), _norm([b])) for a, b in zip(found, fixed, strict=True)),
        matched=len(units),
        moved=sum(int(np.sum(place.order != np.arange(len(place.order)))) for place in places),
    )


def _check_alike(network: Network, other: Network) -> None:
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves((network, other))):
        raise TypeError("weight_distance: the weights are being traced; ask outside jit, vmap and grad")
    plans = [_plan(net) for net in (network, other)]
    if len(plans[0]) != len(plans[1]):
        raise ValueError(
            f"weight_distance: networks must have equally many layers; got {len(plans[0]) - 1} and {len(plans[1]) - 1}"
        )
    for k, (one, two) in enumerate(zip(*plans, strict=True)):
        if one != two:
            got = " and ".join(f"{width} of {activation.name()}" for width, activation in (one, two))
            raise ValueError(f"weight_distance: widths and activations must be equal; got {got} in layer {k}")
    kinds = [np.issubdtype(net.dtype, np.complexfloating) for net in (network, other)]
    if kinds[0] != kinds[1]:
        raise TypeError(
            f"weight_distance: both networks must be real or both complex; got {network.dtype} and {other.dtype}"
        )


def _plan(network: Network) -> list[tuple[int, AbstractActivation]]:
    """Width and activation of every layer; layer 0 are the inputs."""
    return [(network.in_size, Identity()), *((layer.out_size, layer.activation) for layer in flat_layers(network))]


def _norm(maps: list[Matrix]) -> float:
    return math.sqrt(sum(float(np.linalg.norm(matrix)) ** 2 for matrix in maps))


def _over(distance: float, norm: float) -> float:
    return distance / norm if norm else (math.inf if distance else 0.0)
