"""Networks while they are disguised: layers as exact rows, and what every unit is."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from .._arithmetic.running import Enclosure, affine, start, through
from .._compose.rounding import moved_box
from ..construction import Construction
from ..network import Layer, Network, flat_layers
from ..rewrite._core import Rows, keeps_an_order, layer_of, rows_of


class Tag(NamedTuple):
    """What a unit is.

    Attributes:
        kind: as in `Answer`.
        of: the unit of the original, if it stands for one.
        group: of a decoy, the number of its group.
        slack: how far the sum of a dead or always active unit is from 0 at least, over the reals.
    """

    kind: str
    of: int | None = None
    group: int | None = None
    slack: float = np.inf


@dataclasses.dataclass
class Work:
    """A network that is being disguised; its layers have those of the original as their numbers.

    Attributes:
        original: what is disguised.
        layers: of the original, repeated blocks unrolled.
        rows: the layers as they are now; `None` for those that stay as they are.
        tags: of every layer but the last, one a unit.
        rounds: which layers may round otherwise than the original's.
        rng: the generator.
        groups: how many groups of decoys there are.
    """

    original: Construction
    layers: tuple[Layer, ...]
    rows: list[Rows | None]
    tags: list[list[Tag]]
    rounds: list[bool]
    rng: np.random.Generator
    groups: int = 0

    @property
    def dtype(self) -> Any:
        return self.original.network.dtype

    def pair(self, index: int) -> tuple[Rows, Rows] | None:
        """A hidden layer and the one behind it, if both may be changed."""
        units, behind = self.rows[index], self.rows[index + 1]
        return None if units is None or behind is None else (units, behind)

    def put(self, index: int, units: Rows, behind: Rows, tags: list[Tag]) -> None:
        self.rows[index], self.rows[index + 1], self.tags[index] = units, behind, tags

    def network(self, *, labels: bool) -> Network:
        """The network as it is now.

        Raises:
            ValueError: weights that aren't numbers of its dtype.
        """
        return Network(tuple(self._layer(index, labels=labels) for index in range(len(self.layers))))

    def _layer(self, index: int, *, labels: bool) -> Layer:
        layer, rows = self.layers[index], self.rows[index]
        made = layer if rows is None else layer_of(rows, self.dtype)
        activation = layer.activation if index == len(self.layers) - 1 else made.activation
        return Layer(made.linear, made.bias, activation, made.label if labels else None)


def begin(original: Construction, rng: np.random.Generator, *, ordered: bool) -> Work:
    """Nothing is disguised yet. Without `ordered`, layers that sum in an order of their own stay as they are."""
    layers = flat_layers(original.network)
    # What the outputs' activation does, such as softmax, doesn't matter.
    readout = Layer(layers[-1].linear, layers[-1].bias, label=layers[-1].label)
    rows = [_rows(layer, ordered=ordered) for layer in (*layers[:-1], readout)]
    return Work(
        original=original,
        layers=layers,
        rows=rows,
        tags=[[Tag("unit", unit) for unit in range(layer.out_size)] for layer in layers[:-1]],
        rounds=[found is not None and keeps_an_order(layer.linear) for found, layer in zip(rows, layers, strict=True)],
        rng=rng,
    )


def _rows(layer: Layer, *, ordered: bool) -> Rows | None:
    is_empty = not (layer.in_size and layer.out_size)
    mixed = len({leaf.dtype for leaf in jax.tree.leaves(layer)}) > 1
    if is_empty or mixed or (not ordered and keeps_an_order(layer.linear)):
        return None
    rows = rows_of(layer)
    if rows is None or rows.name is not None:
        return rows
    return dataclasses.replace(rows, name="unit", gates=np.arange(rows.out_size))


def held_before(original: Construction) -> list[tuple[np.ndarray, np.ndarray]]:
    """What the inputs of every layer of the original lie between; all numbers where that isn't known."""
    found = []
    for layer, held, _ in _walk(original, original.network):
        ends = (np.full(layer.in_size, -np.inf), np.full(layer.in_size, np.inf))
        if held is not None:
            ends = np.asarray(held.low[0], float), np.asarray(held.high[0], float)
        found.append((np.nextafter(ends[0], -np.inf), np.nextafter(ends[1], np.inf)))
    return found


def are_decoys_sure(work: Work, network: Network) -> bool:
    """Whether the sums of dead and always active decoys stay on their side of 0 as they run: `slack` beats rounding."""
    for tags, (_, _, sums) in zip(work.tags, _walk(work.original, network), strict=False):
        slack = np.array([tag.slack for tag in tags])
        is_asked = np.isfinite(slack)
        if np.any(is_asked) and (sums is None or not np.all(sums.error[0][is_asked] < slack[is_asked])):
            return False
    return True


def _walk(original: Construction, network: Network) -> Iterator[tuple[Layer, Enclosure | None, Enclosure | None]]:
    """The layers of a network with bounds of their inputs and their sums; `None` where they aren't known.

    Inputs lie in the domain of the original, or within the claim's radius of it.
    """
    low, high = moved_box(original.claim.domain, original.claim.robustness.radius)
    held = start(network, np.nextafter(low, -np.inf)[None], np.nextafter(high, np.inf)[None])
    for layer in flat_layers(network):
        with np.errstate(all="ignore"):
            try:
                sums = None if held is None else affine(layer, held, network.dtype)
                after = None if held is None else through(layer, held, network.dtype)
            except TypeError:  # an activation without a rule
                sums = after = None
        yield layer, held, sums
        held = after
