"""Networks as named arrays of NumPy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..network import Network
from .names import activation_text, parsed
from .plain import lowered

_KINDS = ("weight", "bias", "activation")


def to_numpy(network: Any) -> dict[str, np.ndarray]:
    """A network as a dictionary of arrays, as `np.savez` takes it.

    Layer `k` is `"k.weight"` of shape `(out, in)`, `"k.bias"` of shape `(out,)` if it has one, and
    `"k.activation"`, a text such as `relu`, `sigmoid(10.0)` or `relu * 2 + identity * 3` (numbers of units).

    Args:
        network: a `Network` or `Construction` of real weights in float16, float32 or float64.

    Returns:
        The arrays, layer by layer.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.
        ValueError: an activation that isn't the library's own, such as `Custom`.

    Exactness: the weights are the same bit for bit, in dense matrices; repeated blocks are unrolled.

    Example:
        >>> import deepconstruct as dc
        >>> {name: array.shape for name, array in dc.interchange.to_numpy(dc.parity(2)).items()}
        {'0.weight': (2, 2), '0.bias': (2,), '0.activation': (), '1.weight': (1, 2), '1.activation': ()}
    """
    found: dict[str, np.ndarray] = {}
    for index, layer in enumerate(lowered("to_numpy", network)):
        found[f"{index}.weight"] = layer.matrix
        if layer.bias is not None:
            found[f"{index}.bias"] = layer.bias
        found[f"{index}.activation"] = np.array(activation_text("to_numpy", layer.activation, layer.layer))
    return found


def from_numpy(arrays: Mapping[str, Any], *, activation: Any = None) -> Network:
    """A network from named arrays: those of `to_numpy`, or `name.weight` and `name.bias` of other programs.

    Args:
        arrays: a dictionary, or what `np.load` gives, in the order of the layers; weights of shape `(out, in)`.
        activation: as in `dc.Network.from_matrices`; `None` if the arrays hold their texts.

    Returns:
        The network, with dense matrices.

    Raises:
        TypeError: no mapping, arrays that hold no numbers, or an activation that isn't known.
        ValueError: another name, layers without a weight or an activation, sizes that don't fit, NaN or infinity.

    Example:
        >>> import deepconstruct as dc
        >>> dc.interchange.from_numpy(dc.interchange.to_numpy(dc.parity(2)))([1, 0]).tolist()
        [1.0]
    """
    if not isinstance(arrays, Mapping):
        raise TypeError(f"from_numpy: expected a dictionary of arrays; got {type(arrays).__name__}")
    return network_of_arrays("from_numpy", arrays, activation)


def network_of_arrays(owner: str, arrays: Mapping[str, Any], activation: Any) -> Network:
    """The network of arrays by name, in their order."""
    layers = _layers(owner, arrays)
    if activation is None:
        without = [name for name, layer in layers.items() if "activation" not in layer]
        if without:
            raise ValueError(f"{owner}: layer {without[0]!r} has no activation; pass activation='relu' or another one")
        activation = [parsed(owner, str(layer["activation"])) for layer in layers.values()]
    weights = [layer["weight"] for layer in layers.values()]
    return Network.from_matrices(weights, [layer.get("bias") for layer in layers.values()], activation)


def _layers(owner: str, arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    layers: dict[str, dict[str, Any]] = {}
    for key, array in arrays.items():
        name, _, kind = str(key).rpartition(".")
        if kind not in _KINDS:
            raise ValueError(f"{owner}: {key!r} can't be carried; names must end in .weight, .bias or .activation")
        layers.setdefault(name, {})[kind] = array
    for name, layer in layers.items():
        if "weight" not in layer:
            raise ValueError(f"{owner}: layer {name!r} has no weight; it has {', '.join(layer)}")
    return layers
