"""What a network costs, in the units of the theorems."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, overload

import jax

from .._io.html import html_table
from .._io.tables import dataframe, text_table
from ..activations import Identity, groups
from ..construction import Construction, as_network
from ..linear.queries import nonzeros
from ..network import Layer, Network, flat_layers, stack_size
from ..network.ensemble import unstack


@dataclasses.dataclass(frozen=True)
class Cost:
    """The size of a network.

    The readout is the last layer if its activation is the identity or softmax; every other layer is hidden.

    Attributes:
        layers: affine maps.
        depth: hidden layers.
        width: the widest hidden layer (0 without one).
        neurons: units of all hidden layers.
        linear_neurons: those among them with identity activation.
        synapses: non-zero weights, biases not counted, shared weights as often as they are used.
        parameters: trainable numbers, biases included, shared ones once.
    """

    layers: int
    depth: int
    width: int
    neurons: int
    linear_neurons: int
    synapses: int
    parameters: int

    def _repr_html_(self) -> str:
        return html_table(_FIELDS, [dataclasses.astuple(self)])


_FIELDS = tuple(field.name for field in dataclasses.fields(Cost))


@dataclasses.dataclass(frozen=True, repr=False)
class Costs:
    """The costs of several networks: a sequence of `Cost`, shown as a table.

    Attributes:
        names: what the rows are called.
        costs: a `Cost` a row.
    """

    names: tuple[str, ...]
    costs: tuple[Cost, ...]

    def __len__(self) -> int:
        return len(self.costs)

    def __iter__(self) -> Iterator[Cost]:
        return iter(self.costs)

    def __getitem__(self, row: int | str) -> Cost:
        if isinstance(row, str):
            if row not in self.names:
                raise KeyError(f"Costs: no row {row!r}; there are {', '.join(self.names)}")
            row = self.names.index(row)
        return self.costs[row]

    def to_dataframe(self) -> Any:
        """A `pandas.DataFrame` with a row a network; it needs pandas."""
        counts = {name: [getattr(cost, name) for cost in self.costs] for name in _FIELDS}
        return dataframe("cost", {"name": self.names, **counts})

    def _rows(self) -> list[tuple]:
        return [(name, *dataclasses.astuple(cost)) for name, cost in zip(self.names, self.costs, strict=True)]

    def __repr__(self) -> str:
        return text_table(("name", *_FIELDS), self._rows())

    def _repr_html_(self) -> str:
        return html_table(("name", *_FIELDS), self._rows())


@overload
def cost(network: Network | Construction) -> Cost: ...
@overload
def cost(network: Mapping[str, Any] | list[Any] | tuple[Any, ...]) -> Costs: ...


def cost(network: Any) -> Any:
    """Count layers, neurons, synapses and parameters.

    Args:
        network: a network or construction with concrete weights; or a list of such, or a dict from
            names to them; or a stack of networks.

    Returns:
        The counts, as a frozen record `Cost`. Of several, and of a stack, whose members may have
        different zeros, a table `Costs`.

    Raises:
        TypeError: inside jit, vmap or grad, where nobody can say which weights are zero.

    Example:
        >>> import deepconstruct as dc
        >>> dc.cost(dc.parity(32))
        Cost(layers=6, depth=5, width=32, neurons=62, linear_neurons=0, synapses=186, parameters=248)
        >>> dc.cost({"tree": dc.parity(8), "flat": dc.parity_shallow(8)})
        name  layers  depth  width  neurons  linear_neurons  synapses  parameters
        tree       4      3      8       14               0        42          56
        flat       2      1      8        8               0        72          80
    """
    if isinstance(network, Mapping):
        return Costs(tuple(map(str, network)), tuple(map(_cost, network.values())))
    if isinstance(network, list | tuple):
        return Costs(tuple(map(_name, range(len(network)), network)), tuple(map(_cost, network)))
    network = as_network("cost", network, read=True)
    if stack_size(network) is not None:
        return cost(unstack(network))
    return _cost(network)


def _name(index: int, network: Any) -> str:
    return network.name if isinstance(network, Construction) else f"network {index}"


def _cost(network: Any) -> Cost:
    network = as_network("cost", network, read=True)
    layers = flat_layers(network)
    hidden = layers[:-1] if layers[-1].is_readout else layers
    return Cost(
        layers=len(layers),
        depth=len(hidden),
        width=max((layer.out_size for layer in hidden), default=0),
        neurons=sum(layer.out_size for layer in hidden),
        linear_neurons=sum(_linear_units(layer) for layer in hidden),
        synapses=sum(nonzeros(layer.linear) for layer in layers),
        parameters=sum(leaf.size for leaf in jax.tree.leaves(network)),
    )


def _linear_units(layer: Layer) -> int:
    return sum(
        width for activation, width in groups(layer.activation, layer.out_size) if isinstance(activation, Identity)
    )
