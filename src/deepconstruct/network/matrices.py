"""Layers from matrices and biases that come from elsewhere."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._checks import as_numbers, cast, check_dtype, widest
from ..activations import AbstractActivation, Identity, as_activation
from ..linear import AbstractLinear, as_linear
from .inputs import dtype_of
from .layer import Layer

_OWNER = "Network.from_matrices"
_TRANSPOSED = "; shapes are (out, in) here, while Flax and Keras store (in, out)"


def layers_from_matrices(weights: Any, biases: Any, activation: Any, dtype: Any) -> tuple[Layer, ...]:
    """The layers of `Network.from_matrices`."""
    weights = _listed("weights", weights)
    biases = [None] * len(weights) if biases is None else _listed("biases", biases)
    if len(biases) != len(weights):
        raise ValueError(
            f"{_OWNER}: biases must have one entry a layer, None where it has no bias; "
            f"got {len(biases)} for {len(weights)} matrices"
        )
    matrices = [_numbers(f"weights[{index}]", value) for index, value in enumerate(weights)]
    vectors = [_numbers(f"biases[{index}]", value) for index, value in enumerate(biases)]
    resolved = _resolved(_common_dtype([*weights, *biases], [*matrices, *vectors]), dtype)
    maps = [_as_map(index, matrix, resolved) for index, matrix in enumerate(matrices)]
    _check_sizes(maps)
    vectors = [_as_vector(index, linear, vectors[index], resolved) for index, linear in enumerate(maps)]
    return tuple(map(Layer, maps, vectors, _activations(activation, len(maps))))


def _listed(what: str, values: Any) -> list[Any]:
    if isinstance(values, str | dict | AbstractLinear) or not hasattr(values, "__iter__"):
        raise TypeError(f"{_OWNER}: {what} must be a list with one entry a layer; got {type(values).__name__}")
    values = list(values)
    if not values:
        raise ValueError(f"{_OWNER}: {what} must be a list with one entry a layer; got an empty one")
    return values


def _numbers(what: str, value: Any) -> Any:
    return value if value is None or isinstance(value, AbstractLinear) else as_numbers(_OWNER, what, value)


def _common_dtype(given: list[Any], numbers: list[Any]) -> Any:
    """The widest dtype of what has one; numbers in lists only say whether they are complex."""
    typed = [
        dtype_of(array) if isinstance(array, AbstractLinear) else array.dtype
        for value, array in zip(given, numbers, strict=True)
        if array is not None and not isinstance(value, list | tuple) and jax.tree.leaves(array)
    ]
    typed = [jax.dtypes.canonicalize_dtype(dtype) for dtype in typed if jnp.issubdtype(dtype, jnp.inexact)]
    kinds = [complex] if any(np.iscomplexobj(array) for array in numbers if not _is_map(array)) else []
    return widest(*(typed or [float]), *kinds)


def _is_map(value: Any) -> bool:
    return value is None or isinstance(value, AbstractLinear)


def _resolved(common: np.dtype, dtype: Any) -> np.dtype:
    """The dtype that was asked for, or the common one."""
    if dtype is None:
        return common
    try:
        is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    except TypeError:
        is_complex = False
    resolved = check_dtype(_OWNER, dtype, kind="complex" if is_complex else "real")
    if jnp.issubdtype(common, jnp.complexfloating) and not is_complex:
        raise TypeError(f"{_OWNER}: complex weights need a complex dtype; got {resolved.name}")
    return resolved


def _as_map(index: int, value: Any, dtype: np.dtype) -> AbstractLinear:
    if isinstance(value, AbstractLinear):
        return jax.tree.map(lambda leaf: leaf.astype(dtype), value)
    if value is None or value.ndim != 2 or 0 in value.shape:
        what = "None" if value is None else f"shape {value.shape}"
        raise ValueError(
            f"{_OWNER}: weights[{index}] must be a matrix of shape (out, in); got {what}. "
            "One matrix alone goes in as [matrix]"
        )
    return as_linear(_OWNER, value, dtype)


def _as_vector(index: int, linear: AbstractLinear, value: Any, dtype: np.dtype) -> Array | None:
    if value is None:
        return None
    if value.shape != (linear.out_size,):
        hint = _TRANSPOSED if value.shape == (linear.in_size,) else ""
        raise ValueError(f"{_OWNER}: biases[{index}] must have shape ({linear.out_size},); got {value.shape}{hint}")
    return cast(value, dtype)


def _check_sizes(maps: list[AbstractLinear]) -> None:
    swapped = all(first.in_size == second.out_size for first, second in itertools.pairwise(maps))
    for index, (first, second) in enumerate(itertools.pairwise(maps)):
        if first.out_size != second.in_size:
            raise ValueError(
                f"{_OWNER}: layer {index} gives {first.out_size} numbers but layer {index + 1} takes "
                f"{second.in_size}{_TRANSPOSED if swapped else ''}"
            )


def _activations(activation: Any, layers: int) -> list[AbstractActivation]:
    """One activation a layer."""
    if isinstance(activation, list | tuple):
        if len(activation) != layers:
            raise ValueError(
                f"{_OWNER}: activation must be one for all hidden layers, or a list with one a layer, the last "
                f"included ('identity' where it is linear); got {len(activation)} for {layers} layers"
            )
        return [as_activation(_OWNER, item) for item in activation]
    hidden = as_activation(_OWNER, activation)
    if layers == 1 and not isinstance(hidden, Identity):
        raise ValueError(
            f"{_OWNER}: the last layer is linear, so with one matrix {hidden.name()} is never applied; "
            f"pass it as a list of one to apply it there"
        )
    return [hidden] * (layers - 1) + [Identity()]
