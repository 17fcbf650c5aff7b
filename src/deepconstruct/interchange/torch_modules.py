"""Networks as modules of PyTorch."""

import io
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .. import activations
from .._checks import check_flag
from ..activations import AbstractActivation, groups
from ..network import Network
from .arrays import network_of_arrays
from .chains import Chain
from .packages import package
from .plain import Plain, lowered, refusal
from .untrusted import MOST_BYTES, content_of, refused


def to_torch(network: Any, *, sparse: bool = False) -> Any:
    """A network as a `torch.nn.Sequential` of `Linear`, or of sparse maps, and activations.

    Activations that PyTorch has no module for, such as `Step`, are modules of the library: save such a network by
    its `state_dict`.

    Args:
        network: a `Network` or `Construction` of real weights in float16, float32 or float64.
        sparse: whether layers hold only the weights that aren't 0, as the parameter `values`, which are trained in
            their places. Such layers don't come back by `from_torch`.

    Returns:
        The module, on the CPU, for inputs of shape `(*batch, in_size)`.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.
        ValueError: an activation that isn't the library's own, such as `Custom`.
        ImportError: without torch.

    Exactness: the weights are the same bit for bit; structured maps are written out, and repeated blocks unrolled.
    PyTorch's own
    activations may err more than claims allow.
    """
    check_flag("to_torch", "sparse", sparse)
    torch, modules = package("to_torch", "torch"), []
    for layer in lowered("to_torch", network):
        modules.append((_sparse if sparse else _linear)(torch, layer))
        if not layer.is_linear:
            modules.append(_module(torch, layer.activation, len(layer.matrix), layer.layer))
    return torch.nn.Sequential(*modules)


def _linear(torch: Any, layer: Plain) -> Any:
    rows, cols = layer.matrix.shape
    weight = torch.from_numpy(layer.matrix.copy())
    linear = torch.nn.Linear(cols, rows, bias=layer.bias is not None, dtype=weight.dtype, device="meta")
    linear.weight = torch.nn.Parameter(weight)
    if layer.bias is not None:
        linear.bias = torch.nn.Parameter(torch.from_numpy(layer.bias.copy()))
    return linear


def _sparse(torch: Any, layer: Plain) -> Any:
    """A layer of the weights that aren't 0."""
    places, rows = np.nonzero(layer.matrix), len(layer.matrix)

    class SparseLinear(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.values = torch.nn.Parameter(torch.from_numpy(layer.matrix[places]))
            self.register_buffer("places", torch.from_numpy(np.stack(places)))
            bias = None if layer.bias is None else torch.nn.Parameter(torch.from_numpy(layer.bias.copy()))
            self.register_parameter("bias", bias)

        def forward(self, x: Any) -> Any:
            at_rows, at_cols = self.places
            y = x.new_zeros(*x.shape[:-1], rows).index_add(-1, at_rows, x[..., at_cols] * self.values)
            return y if self.bias is None else y + self.bias

    return SparseLinear()


def _module(torch: Any, activation: AbstractActivation, width: int, layer: int) -> Any:
    """The module of an activation: PyTorch's own if there is one."""
    found = _own_module(torch.nn, activation)
    if found is not None:
        return found
    parts = [(_function(torch, part, layer), size) for part, size in groups(activation, width)]

    class Activation(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.activation = activation

        def forward(self, z: Any) -> Any:
            pieces = z.split([size for _, size in parts], dim=-1)
            return torch.cat([function(piece) for (function, _), piece in zip(parts, pieces, strict=True)], dim=-1)

    return Activation()


def _own_module(nn: Any, activation: AbstractActivation) -> Any:
    # From 40 on, Softplus(z) is z in every dtype; PyTorch's default of 20 is too low for float64.
    known = {
        activations.ReLU: nn.ReLU,
        activations.Tanh: nn.Tanh,
        activations.Softplus: lambda: nn.Softplus(threshold=40),
        activations.SiLU: nn.SiLU,
        activations.Softmax: lambda: nn.Softmax(dim=-1),
    }
    if type(activation) in known:
        return known[type(activation)]()
    if isinstance(activation, activations.GELU):
        return nn.GELU(approximate="tanh" if activation.approximate else "none")
    return nn.Sigmoid() if activation == activations.Sigmoid() else None


def _function(torch: Any, activation: AbstractActivation, layer: int) -> Any:
    """What an activation does to a tensor."""
    own = _own_module(torch.nn, activation)
    if own is not None:
        return own
    match activation:
        case activations.Identity():
            return lambda z: z
        case activations.Step():
            return lambda z: torch.sign(torch.relu(z))  # NaN stays NaN
        case activations.Square():
            return torch.square
        case activations.Power(n=n):
            return lambda z: z**n
        case activations.Sigmoid(inverse_temperature=scale):
            return lambda z: torch.sigmoid(scale * z)
        case activations.Exp():
            return torch.exp
        case activations.Sin():
            return torch.sin
    raise refusal("to_torch", activation, layer)


def from_torch(module: Any, *, activation: Any = None, max_bytes: int = MOST_BYTES) -> Network:
    """A network from a `torch.nn.Sequential`, or from a dictionary of tensors with its activation.

    Modules may be `Linear`, activations, `Flatten`, `Identity`, `Dropout` in evaluation, and such sequences again.

    Args:
        module: the module; or a `state_dict` in the order of its layers, or the path of a file of one, which is
            read with `weights_only=True`: no code in it is run.
        activation: of a `state_dict`, as in `dc.Network.from_matrices`.
        max_bytes: the largest file that is read.

    Returns:
        The network, with dense matrices.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: something else, or an activation that isn't known.
        ValueError: a module or tensor that can't be carried, by its name; a damaged or too large file; NaN or
            infinite weights.
        ImportError: without torch.

    Exactness: the weights are the same bit for bit; `Softplus` is that of all numbers, without PyTorch's threshold.
    """
    torch = package("from_torch", "torch")
    if isinstance(module, torch.nn.Sequential):
        chain = Chain("from_torch")
        for name, part in _parts(torch.nn, module):
            _add(torch.nn, chain, f"module {name!r} ({type(part).__name__})", part)
        return chain.network()
    if isinstance(module, str | os.PathLike):
        content, name = content_of("from_torch", module, max_bytes)
        with refused(name):
            module = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if not isinstance(module, Mapping):
                raise ValueError(f"expected a dictionary of tensors; got {type(module).__name__}")
            return network_of_arrays("from_torch", _arrays(torch, module), activation)
    if not isinstance(module, Mapping):
        raise TypeError(f"from_torch: expected a Sequential, a state_dict or a path; got {type(module).__name__}")
    return network_of_arrays("from_torch", _arrays(torch, module), activation)


def _parts(nn: Any, module: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, part in module.named_children():
        if type(part) is nn.Sequential:
            yield from _parts(nn, part, f"{prefix}{name}.")
        else:
            yield prefix + name, part


def _add(nn: Any, chain: Chain, where: str, part: Any) -> None:
    kind = type(part)
    if kind is nn.Linear:
        chain.linear(_array(where, part.weight), None if part.bias is None else _array(where, part.bias))
    elif not _changes_nothing(nn, part):
        activation = getattr(part, "activation", None) or _activation_of(nn, part)
        if not isinstance(activation, AbstractActivation):
            raise ValueError(f"from_torch: {where} can't be carried")
        chain.activate(where, activation)


def _changes_nothing(nn: Any, part: Any) -> bool:
    """Whether it gives back numbers of shape `(batch, features)` as they are."""
    if type(part) is nn.Flatten:
        return (part.start_dim, part.end_dim) == (1, -1)
    return type(part) is nn.Identity or (type(part) is nn.Dropout and not part.training)


def _activation_of(nn: Any, part: Any) -> AbstractActivation | None:
    plain = {nn.ReLU: "ReLU", nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid", nn.SiLU: "SiLU"}
    if type(part) in plain:
        return getattr(activations, plain[type(part)])()
    if type(part) is nn.Softplus and part.beta == 1 and part.threshold >= 20:
        return activations.Softplus()
    if type(part) is nn.GELU:
        return activations.GELU(part.approximate == "tanh")
    return activations.Softmax() if type(part) is nn.Softmax and part.dim in (-1, 1) else None


def _arrays(torch: Any, tensors: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    wrong = [name for name, tensor in tensors.items() if not isinstance(tensor, torch.Tensor)]
    if wrong:
        raise ValueError(f"from_torch: {wrong[0]!r} must be a tensor; got {type(tensors[wrong[0]]).__name__}")
    return {str(name): _array(repr(name), tensor) for name, tensor in tensors.items()}


def _array(where: str, tensor: Any) -> np.ndarray:
    plain = tensor.detach().cpu()
    # A file of few bytes may say that one number is repeated without end.
    if plain.is_sparse or plain.is_quantized or plain.untyped_storage().nbytes() < plain.numel() * plain.element_size():
        raise ValueError(f"from_torch: {where} must be a dense tensor that holds all its numbers")
    return plain.numpy()
