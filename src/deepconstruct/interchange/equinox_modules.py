"""Networks as modules of Equinox."""

import inspect
from typing import Any

import equinox as eqx
import jax

from .._static import to_jax
from ..activations import Identity, as_activation
from ..network import Network
from .chains import Chain
from .plain import Plain, lowered


def to_equinox(network: Any) -> eqx.nn.Sequential:
    """A network as an `equinox.nn.Sequential` of `Linear` and `Lambda`; the lambdas hold `dc.activations`.

    Args:
        network: a `Network` or `Construction` of real weights in float16, float32 or float64.

    Returns:
        The module, for one input without a batch, as in Equinox.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.

    Exactness: the weights are the same bit for bit, in dense matrices; repeated blocks are unrolled.

    Example:
        >>> import deepconstruct as dc, jax.numpy as jnp
        >>> dc.interchange.to_equinox(dc.parity(2, dtype="float32"))(jnp.array([1.0, 0.0], "float32")).tolist()
        [1.0]
    """
    modules: list[Any] = []
    for layer in lowered("to_equinox", network):
        modules.append(_linear(layer))
        if not layer.is_linear:
            modules.append(eqx.nn.Lambda(layer.activation))
    return eqx.nn.Sequential(modules)


def _linear(layer: Plain) -> eqx.nn.Linear:
    rows, cols = layer.matrix.shape
    # Nothing is drawn: only the shapes are asked for.
    empty = eqx.filter_eval_shape(
        eqx.nn.Linear, cols, rows, use_bias=layer.bias is not None, dtype=layer.matrix.dtype, key=jax.random.key(0)
    )
    module = eqx.tree_at(lambda linear: linear.weight, empty, to_jax(layer.matrix))
    return module if layer.bias is None else eqx.tree_at(lambda linear: linear.bias, module, to_jax(layer.bias))


def from_equinox(module: Any) -> Network:
    """A network from an `equinox.nn.MLP`, or from an `equinox.nn.Sequential` of `Linear`, `Lambda` and `Identity`.

    Args:
        module: the module; its activations are functions of JAX, such as `jax.nn.relu`, or `dc.activations`.

    Returns:
        The network, with dense matrices.

    Raises:
        TypeError: another module, or a function that isn't known.
        ValueError: a module that can't be carried, by its number; NaN or infinite weights.

    Example:
        >>> import deepconstruct as dc, equinox as eqx, jax
        >>> mlp = eqx.nn.MLP(2, 1, width_size=8, depth=1, key=jax.random.key(0))
        >>> dc.cost(dc.interchange.from_equinox(mlp)).neurons
        8
    """
    if not isinstance(module, eqx.nn.MLP | eqx.nn.Sequential):
        raise TypeError(f"from_equinox: expected an equinox.nn.MLP or Sequential; got {type(module).__name__}")
    chain = Chain("from_equinox")
    parts = _parts_of_mlp(module) if isinstance(module, eqx.nn.MLP) else module.layers
    for index, part in enumerate(parts):
        _add(chain, f"module {index} ({type(part).__name__})", part)
    return chain.network()


def _parts_of_mlp(mlp: eqx.nn.MLP) -> list[Any]:
    hidden = [part for layer in mlp.layers[:-1] for part in (layer, eqx.nn.Lambda(mlp.activation))]
    return [*hidden, mlp.layers[-1], eqx.nn.Lambda(mlp.final_activation)]


def _add(chain: Chain, where: str, part: Any) -> None:
    if type(part) is eqx.nn.Linear:
        chain.linear(part.weight, part.bias)
    elif type(part) is eqx.nn.Lambda:
        if part.fn is not _default_of_mlp():
            activation = as_activation(f"from_equinox: {where}", part.fn)
            if type(activation) is not Identity:
                chain.activate(where, activation)
    elif type(part) is not eqx.nn.Identity:
        raise ValueError(f"from_equinox: {where} can't be carried; known are Linear, Lambda and Identity")


def _default_of_mlp() -> Any:
    """The function that an MLP applies to its outputs by default, which gives back what it is given."""
    return inspect.signature(eqx.nn.MLP.__init__).parameters["final_activation"].default
