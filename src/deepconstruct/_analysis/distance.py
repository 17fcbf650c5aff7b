"""How far apart two networks are: as functions, and as weights up to symmetry."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import check_size, is_concrete
from ..activations import Softmax, groups
from ..construction import Construction, as_network
from ..network import Network, flat_layers
from .matching import Places, aligned, match
from .symmetries import (
    Groups,
    Matrix,
    balanced,
    canonical,
    hidden_groups,
    hidden_units,
    places_among,
    widened,
)


@dataclasses.dataclass(frozen=True)
class WeightDistance:
    """How far the weights of one network are from those of another, units matched.

    Attributes:
        absolute: the 2-norm of the difference of all weights and biases.
        relative: that over the norm of the other network's weights and biases.
        baseline: the relative distance of the same weights in random places, matched in the same way, on
            average: what `relative` is to be compared with. NaN without draws.
        unmatched: the relative distance with units as they stand.
        layers: the relative distance of each affine map.
        matched: hidden layers whose units were matched.
        moved: units that were matched with one in another place.
    """

    absolute: float
    relative: float
    baseline: float
    unmatched: float
    layers: tuple[float, ...]
    matched: int
    moved: int

    def __repr__(self) -> str:
        layers = ", ".join(f"{share:.4g}" for share in self.layers)
        return (
            f"WeightDistance(relative={self.relative:.4g}, baseline={self.baseline:.4g}, "
            f"unmatched={self.unmatched:.4g}, layers=({layers}), absolute={self.absolute:.4g}, "
            f"matched={self.matched}, moved={self.moved})"
        )


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


def weight_distance(
    network: Network | Construction, other: Network | Construction, *, draws: int = 3, seed: int = 0
) -> WeightDistance:
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

    Hidden layers may have other widths: the narrower one gets units of zero weights, which change no
    function, and a unit that is left over counts with its whole norm.

    Matching alone brings any two networks closer, and more so narrow ones. The `baseline` says how close it
    brings weights that know nothing of the other network: those of the scaled maps of `network` themselves,
    in each map shuffled (weights among weights, biases among biases), scaled and matched again. A relative
    distance that isn't well below it says nothing. Where shuffling changes nothing (maps of one weight
    or of equal weights) the baseline is the distance itself.

    Places and signs are found layer after layer, each by an optimal assignment with its neighbors held
    fixed, until nothing changes, from three starts. With one hidden layer the distance is the least
    over all places and signs. With more it is an upper bound of that; for small noise around a reordered
    copy it is the least, if no two units of a layer have equal incoming weights up to sign or phase.

    Args:
        network: a network or construction with concrete weights, such as a trained one.
        other: one with as many layers and the same activations, such as the construction it came from.
            Relative distances are relative to this one.
        draws: how often weights are shuffled for the baseline; 0 leaves it out.
        seed: of the shuffles.

    Returns:
        A `WeightDistance`; all distances are NaN for a diverged network.

    Raises:
        ValueError: another number of layers, inputs or outputs, other activations, softmax layers of other
            widths (a unit of zero weights would change what they give); a negative number of draws.
        TypeError: real against complex weights; or inside jit, vmap or grad.

    *Cost*: in each round and hidden layer, a matrix product and an assignment, cubic in the width; the same
    for each draw.

    Source: weight matching is algorithm 1 of Ainsworth, Hayase and Srinivasa, "Git Re-Basin" (2023);
    signs, phases, balancing, the starts and the baseline are ours.

    Example:
        >>> import deepconstruct as dc, jax
        >>> xor = dc.parity(8)
        >>> noisy = dc.perturb(xor, 0.1, key=jax.random.key(0))
        >>> found = dc.weight_distance(noisy, xor)
        >>> found.matched, found.moved, 0 < found.relative <= found.unmatched < 0.2, found.baseline > 0.5
        (3, 0, True, True)
    """
    nets = [as_network("weight_distance", value) for value in (network, other)]
    _check_alike(*nets)
    draws = check_size("weight_distance", "draws", draws, minimum=0)
    if not all(np.all(np.isfinite(leaf)) for net in nets for leaf in jax.tree.leaves(net)):
        nothing = (math.nan,) * len(flat_layers(nets[1]))
        return WeightDistance(math.nan, math.nan, math.nan, math.nan, nothing, 0, 0)
    hidden = [hidden_groups(net) for net in nets]
    wider = [_wider(*kinds) for kinds in zip(*hidden, strict=True)]
    maps = canonical(nets[0])
    fixed, moving = widened(canonical(nets[1]), hidden[1], wider), widened(maps, hidden[0], wider)
    places = _matched(moving, fixed, wider)
    found = aligned(moving, places)
    random = np.random.default_rng(seed)
    shuffles = [widened(balanced(_shuffled(maps, random), hidden[0]), hidden[0], wider) for _ in range(draws)]
    return WeightDistance(
        absolute=_apart(found, fixed),
        relative=_relative(found, fixed),
        baseline=_mean([_relative(aligned(maps, _matched(maps, fixed, wider)), fixed) for maps in shuffles]),
        unmatched=_relative(moving, fixed),
        layers=tuple(_relative([a], [b]) for a, b in zip(found, fixed, strict=True)),
        matched=len(places),
        moved=sum(map(_moved, places, *hidden, wider)),
    )


def _matched(moving: list[Matrix], fixed: list[Matrix], wider: list[Groups]) -> list[Places]:
    return match(fixed, moving, [hidden_units(kinds, np.iscomplexobj(fixed[0])) for kinds in wider])


def _wider(one: Groups, two: Groups) -> Groups:
    return [(activation, max(width, other)) for (activation, width), (_, other) in zip(one, two, strict=True)]


def _shuffled(maps: list[Matrix], random: np.random.Generator) -> list[Matrix]:
    """The weights of each map among themselves, and the biases, in random places."""
    found = []
    for matrix in maps:
        weights, bias = matrix[:, :-1], matrix[:, -1:]
        found.append(np.concatenate([random.permutation(weights.ravel()).reshape(weights.shape),
                                     random.permutation(bias)], axis=1))  # fmt: skip
    return found


def _moved(places: Places, ours: Groups, others: Groups, wider: Groups) -> int:
    """Units of both networks that aren't matched with the one in their own place; added ones don't count."""
    at = places_among(others, wider)
    come = places.order[at]
    return int(np.sum((come != at) & np.isin(come, places_among(ours, wider))))


def _check_alike(network: Network, other: Network) -> None:
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves((network, other))):
        raise TypeError("weight_distance: the weights are being traced; ask outside jit, vmap and grad")
    nets = (network, other)
    sizes = [(net.in_size, net.out_size) for net in nets]
    if sizes[0] != sizes[1]:
        raise ValueError(f"weight_distance: networks must have equal sizes (in, out); got {sizes[0]} and {sizes[1]}")
    plans = [[groups(layer.activation, layer.out_size) for layer in flat_layers(net)] for net in nets]
    if len(plans[0]) != len(plans[1]):
        raise ValueError(
            f"weight_distance: networks must have equally many layers; got {len(plans[0])} and {len(plans[1])}"
        )
    for k, (one, two) in enumerate(zip(*plans, strict=True), start=1):
        _check_activations(one, two, k)
    kinds = [np.issubdtype(net.dtype, np.complexfloating) for net in nets]
    if kinds[0] != kinds[1]:
        raise TypeError(
            f"weight_distance: both networks must be real or both complex; got {network.dtype} and {other.dtype}"
        )


def _check_activations(one: Groups, two: Groups, k: int) -> None:
    got = " and ".join(", ".join(f"{width} of {part.name()}" for part, width in kinds) for kinds in (one, two))
    if [part for part, _ in one] != [part for part, _ in two]:
        raise ValueError(f"weight_distance: activations must be equal; got {got} in layer {k}")
    if any(isinstance(part, Softmax) and width != other for (part, width), (_, other) in zip(one, two, strict=True)):
        raise ValueError(f"weight_distance: softmax layers must be equally wide; got {got} in layer {k}")


def _relative(maps: list[Matrix], fixed: list[Matrix]) -> float:
    distance, norm = _apart(maps, fixed), _norm(fixed)
    return distance / norm if norm else (math.inf if distance else 0.0)


def _apart(maps: list[Matrix], fixed: list[Matrix]) -> float:
    return _norm([a - b for a, b in zip(maps, fixed, strict=True)])


def _norm(maps: list[Matrix]) -> float:
    return math.sqrt(sum(float(np.linalg.norm(matrix)) ** 2 for matrix in maps))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
