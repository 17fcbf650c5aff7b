"""Narrow layers at many points: one array a unit instead of one array a layer.

The layers of an indicator network have few units and few weights, and run at many points. As matrix
products they would be bound by memory: every layer writes all its units and reads them again. Written
out as sums of units they are fused, so that only the units at the narrowest place of a repeated block
are ever stored. What is fused is computed again for every weight of a gradient, though, so derivatives
go through matrix products after all, over so few points at a time that they stay in the cache.
"""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from .._bias import bias_vector
from ..activations import is_elementwise
from ..linear import Sparse
from ..linear.composed import factors
from .layer import Layer
from .repeat import Repeat, block_layers, repetition
from .running import run_layers

# From so many points on, and up to so many weights in one factor and in all that is written out.
_POINTS, _FACTOR, _ALL = 4096, 256, 1024
# Units times points of a layer that are held at a time in derivatives: on a CPU what fits its cache.
_HELD_CPU, _HELD = 2**15, 2**23


def is_narrow(layers: Sequence[Layer | Repeat], points: int) -> bool:
    """Whether layers are better run by `run_narrow`: few weights, listed one by one, and many points."""
    if not isinstance(points, int) or points < _POINTS:  # the size of an exported batch may be a symbol
        return False
    counts = []
    for layer in _written_out(layers):
        if not is_elementwise(layer.activation):
            return False
        for factor in factors(layer.linear):
            if not isinstance(factor, Sparse) or jnp.iscomplexobj(factor.values):
                return False
            counts.append(len(factor.rows.array))
    return max(counts) <= _FACTOR and sum(counts) <= _ALL


def run_narrow(
    layers: Sequence[Layer | Repeat], x: Inexact[Array, "before size after"]
) -> Inexact[Array, "before out after"]:
    """Run layers along the middle axis of `x`."""
    before, size, after = x.shape
    steps = tuple(step for layer in layers for step in _steps(layer))
    y = _run(steps, jnp.moveaxis(x, 1, 0).reshape(size, before * after))
    return jnp.moveaxis(y.reshape(-1, before, after), 0, 1)


@jax.custom_jvp
def _run(steps: tuple[Layer | Repeat, ...], x: Inexact[Array, "size points"]) -> Inexact[Array, "out points"]:
    units = list(x)
    for step in steps:
        units = _repeated(step, units) if isinstance(step, Repeat) else _units(step, units)
    return jnp.stack(units)


@_run.defjvp
def _(primals, tangents):
    return _run(*primals), jax.jvp(_run_in_chunks, primals, tangents)[1]


def _units(layer: Layer, units: list[Array]) -> list[Array]:
    """One layer, its matrix written out entry by entry."""
    rows, cols, values = layer.linear.entries()
    sums: list[Array | None] = [None] * layer.out_size
    for index, (row, col) in enumerate(zip(rows, cols, strict=True)):
        term, so_far = values[index] * units[col], sums[row]
        sums[row] = term if so_far is None else so_far + term
    found = [jnp.zeros_like(units[0]) if total is None else total for total in sums]
    bias = bias_vector(layer.bias)
    if bias is not None:
        found = [total + bias[row] for row, total in enumerate(found)]
    return [layer.activation(total) for total in found]


def _repeated(step: Repeat, units: list[Array]) -> list[Array]:
    def block(carry: list[Array], layers: tuple[Layer, ...]) -> tuple[list[Array], None]:
        for layer in layers:
            carry = _units(layer, carry)
        return carry, None

    return jax.lax.scan(block, units, step.layers, length=step.times)[0]


def _steps(layer: Layer | Repeat) -> tuple[Layer | Repeat, ...]:
    """A layer by its factors; a repeated block turned so that it passes on as few units as possible."""
    if isinstance(layer, Layer):
        return _factored((layer,))
    block = jax.vmap(_factored)(layer.layers)
    turn = min(range(len(block)), key=lambda index: block[index].in_size)
    if turn == 0:
        return (Repeat(block, layer.times),)
    first, rest = block[:turn], block[turn:]
    turned = (*repetition(rest, slice(0, -1)), *repetition(first, slice(1, None)))
    middle = (Repeat(turned, layer.times - 1),) if layer.times > 1 else ()
    return (*repetition(first, 0), *middle, *repetition(rest, -1))


def _factored(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The same layers, one a factor."""
    parts = []
    for layer in layers:
        *inner, last = factors(layer.linear)
        parts += [Layer(factor) for factor in inner]
        parts.append(Layer(last, layer.bias, layer.activation))
    return tuple(parts)


def _written_out(layers: Sequence[Layer | Repeat]) -> Iterator[Layer]:
    """The layers that are compiled: those of a repeated block at its start, inside it and at its end."""
    for layer in layers:
        if isinstance(layer, Repeat):
            yield from 2 * layer.layers
        else:
            yield layer


def _run_in_chunks(steps: tuple[Layer | Repeat, ...], x: Inexact[Array, "size points"]) -> Inexact[Array, "out points"]:
    """The same by matrix products, a chunk of points after the other; backward, a chunk is run again."""
    size, points = x.shape
    held = _HELD_CPU if jax.default_backend() == "cpu" else _HELD
    widest = max(layer.out_size for layer in block_layers(steps))
    count = -(-points * widest // held)
    width = -(-points // count)
    # Strided chunks, so that points that are sharded over devices stay where they are.
    chunks = jnp.moveaxis(jnp.pad(x, ((0, 0), (0, width * count - points))).reshape(size, width, count), 2, 0)
    dense = [step.dense(x.dtype) for step in steps]
    run = jax.checkpoint(lambda chunk: run_layers(dense, chunk[None])[0])
    y = jnp.moveaxis(jax.lax.map(run, chunks), 0, 2)
    return y.reshape(y.shape[0], width * count)[:, :points]
