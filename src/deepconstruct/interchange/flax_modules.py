"""Networks as modules of Flax."""

from typing import Any

from .._static import to_jax
from .packages import package
from .plain import Plain, lowered


def to_flax(network: Any) -> Any:
    """A network as a `flax.nnx.Sequential` of `Linear` and activations, which are those of `dc.activations`.

    Args:
        network: a `Network` or `Construction` of real weights in float16, float32 or float64.

    Returns:
        The module, for inputs of shape `(*batch, in_size)`.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.
        ImportError: without Flax.

    Exactness: the weights are the same bit for bit, in dense matrices; repeated blocks are unrolled.
    """
    nnx, modules = package("to_flax", "flax.nnx"), []
    for layer in lowered("to_flax", network):
        modules.append(_linear(nnx, layer))
        if not layer.is_linear:
            modules.append(layer.activation)
    return nnx.Sequential(*modules)


def _linear(nnx: Any, layer: Plain) -> Any:
    """The layer of Flax, whose matrix takes rows to rows."""
    rows, cols = layer.matrix.shape
    dtype, has_bias = layer.matrix.dtype, layer.bias is not None
    module = nnx.eval_shape(  # nothing is drawn
        lambda: nnx.Linear(cols, rows, use_bias=has_bias, dtype=dtype, param_dtype=dtype, rngs=nnx.Rngs(0))
    )
    module.kernel = nnx.Param(to_jax(layer.matrix.T.copy()))
    if has_bias:
        module.bias = nnx.Param(to_jax(layer.bias))
    return module
