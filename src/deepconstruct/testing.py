"""Property tests for constructions: Hypothesis strategies, and the laws that every one must keep.

A law takes `build`, a function `build(dtype)` that makes the construction anew, and raises
`AssertionError` where it is broken. To test your own builder:

    @pytest.mark.parametrize("law", dc.testing.LAWS.values(), ids=dc.testing.LAWS)
    def test_laws(law):
        law(lambda dtype: my_builder(5, dtype=dtype), "float32")

Needs the extra `test` (hypothesis).
"""

import dataclasses
import itertools
import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import activations, linear
from ._analysis.cost import cost
from ._compose.combine import fan_out, parallel, series
from ._files import load, save
from .activations import AbstractActivation
from .construction import Claim, Construction
from .constructions import parity, parity_shallow
from .domains import AbstractDomain, Bits, Box, Fractal, Points, Product, Signs, Space
from .linear import as_matrix
from .network import Layer, Network, flat_layers
from .targets import AbstractTarget, Target

try:
    import hypothesis
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise ImportError("deepconstruct.testing needs hypothesis: pip install 'deepconstruct[test]'") from error

__all__ = ["LAWS", "constructions", "inputs", "networks"]

Build = Callable[[str], Construction]

# How far inputs of an unbounded radius or domain are moved.
_FAR = 100.0


# Strategies ---------------------------------------------------------------------------------------


def inputs(construction: Construction, *, batch: int = 4) -> st.SearchStrategy[np.ndarray]:
    """Batches `(batch, size)` of points of a construction's domain, as float64 or complex128.

    Example:
        >>> import deepconstruct as dc, hypothesis
        >>> hypothesis.find(dc.testing.inputs(dc.parity(3)), lambda x: x.sum() > 2).shape
        (4, 3)
    """
    return _points(construction.claim.domain, batch, construction.claim.dtype)


def _points(domain: AbstractDomain, batch: int, dtype: str) -> st.SearchStrategy[np.ndarray]:
    shape = (batch, domain.size)
    if isinstance(domain, Bits | Signs):
        bits = hnp.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0]))
        return bits if isinstance(domain, Bits) else bits.map(lambda x: 1 - 2 * x)
    if isinstance(domain, Box):
        return hnp.arrays(np.float64, shape, elements=_floats(domain.low, domain.high))
    if isinstance(domain, Space):
        parts = hnp.arrays(np.float64, shape, elements=_floats(-_FAR, _FAR))
        return parts if domain.field == "real" else st.builds(lambda a, b: a + 1j * b, parts, parts)
    if isinstance(domain, Points):
        rows = hnp.arrays(np.int64, batch, elements=st.integers(0, domain.cardinality - 1))
        return rows.map(lambda index: domain.array.array[index])
    if isinstance(domain, Product):
        parts = st.tuples(*(_points(part, batch, dtype) for part in domain.domains))
        return parts.map(lambda arrays: np.concatenate(arrays, axis=-1))
    if isinstance(domain, Fractal):
        return st.integers(0, 2**31 - 1).map(
            lambda seed: np.asarray(_fractal_points(domain, batch, dtype, seed), float)
        )
    raise TypeError(f"testing: no strategy for {domain}")


@partial(jax.jit, static_argnums=(0, 1, 2))
def _fractal_points(domain: Fractal, batch: int, dtype: str, seed: Any) -> Any:
    return domain.sample(jax.random.key(seed), (batch,), dtype=dtype)


def _floats(low: float, high: float) -> st.SearchStrategy[float]:
    # 32-bit values are the same number in both dtypes.
    width = (
        float(np.nextafter(np.float32(low), np.float32(math.inf))),
        float(np.nextafter(np.float32(high), np.float32(-math.inf))),
    )
    return st.floats(*width, width=32, allow_subnormal=False)


@st.composite
def networks(draw: st.DrawFn, *, dtype: str = "float32") -> Network:
    """Small networks of any structure, with weights that are small integers."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    layers = []
    for size_in, size_out in itertools.pairwise(sizes):
        bias = draw(st.none() | hnp.arrays(dtype, size_out, elements=st.integers(-2, 2)))
        layers.append(
            Layer(
                draw(_maps(size_in, size_out, dtype)),
                None if bias is None else jnp.asarray(bias),
                draw(_activations()),
            )
        )
    return Network(tuple(layers))


def _activations() -> st.SearchStrategy[AbstractActivation]:
    named = (activations.Identity, activations.ReLU, activations.Step, activations.Sigmoid, activations.Tanh)
    return st.sampled_from([cls() for cls in named])


@st.composite
def _maps(draw: st.DrawFn, size_in: int, size_out: int, dtype: str) -> linear.AbstractLinear:
    weight = draw(hnp.arrays(dtype, (size_out, size_in), elements=st.integers(-3, 3)))
    kinds = ["dense", "sparse", "stack", "sum"]
    if size_in == size_out:
        kinds += ["identity", "permutation", "blocks", "kronecker"]
    kind = draw(st.sampled_from(kinds))
    if kind == "identity":
        return linear.Identity(size_in)
    if kind == "permutation":
        return linear.Permutation(draw(st.permutations(range(size_in))))
    if kind == "blocks":
        return linear.BlockDiagonal(jnp.asarray(weight[:, :1].reshape(1, 1, 1, size_in)))
    if kind == "kronecker":
        return linear.Kronecker(jnp.asarray(weight[:1, :1]), outer=size_in)
    if kind == "stack" and size_out > 1:
        return linear.Stack((linear.Dense(jnp.asarray(weight[:1])), linear.Dense(jnp.asarray(weight[1:]))))
    if kind == "sum" and size_out > 1 and size_in > 1:
        blocks = (linear.Dense(jnp.asarray(weight[:1, :1])), linear.Dense(jnp.asarray(weight[1:, 1:])))
        return linear.DirectSum(blocks)
    if kind == "sparse":
        rows, cols = np.nonzero(weight)
        return linear.Sparse(rows, cols, jnp.asarray(weight[rows, cols]), weight.shape)
    return linear.Dense(jnp.asarray(weight))


@st.composite
def constructions(draw: st.DrawFn, *, dtype: str = "float32", depth: int = 2) -> Construction:
    """Compositions of parities on bits, up to `depth` levels of `series`, `parallel`, `fan_out`."""
    if depth == 0 or draw(st.booleans()):
        return _leaf(draw, draw(st.integers(1, 4)), dtype)
    below = constructions(dtype=dtype, depth=depth - 1)
    kind = draw(st.sampled_from(["series", "parallel", "fan_out"]))
    first = draw(below)
    if kind == "parallel":
        return parallel(first, draw(below))
    if kind == "fan_out":
        n = first.in_size
        return fan_out(first, _leaf(draw, n, dtype))
    outer = _leaf(draw, first.out_size, dtype)
    return series(first, outer, merge=draw(st.booleans()))


def _leaf(draw: st.DrawFn, n: int, dtype: str) -> Construction:
    kind = draw(st.sampled_from(["relu", "step", "sigmoid", "raw", "count"]))
    if kind == "count":
        return parity_shallow(n, dtype=dtype)
    if kind == "raw":
        return parity(n, activation="sigmoid", readout="raw", fused=draw(st.booleans()), dtype=dtype)
    return parity(n, activation=kind, fused=draw(st.booleans()), dtype=dtype)


# Laws ---------------------------------------------------------------------------------------------


def reference(claim: Claim, x: np.ndarray) -> np.ndarray:
    """The target in extended precision where it allows that, else in double precision."""
    wide = np.clongdouble if np.iscomplexobj(x) else np.longdouble
    try:
        return np.asarray(claim.target(x.astype(wide)))
    except TypeError:
        return np.asarray(claim.target(x))


def excess(construction: Construction, x: np.ndarray, moved: np.ndarray | None = None) -> float:
    """By how much the network breaks its claim at `moved` (or `x` itself), at most 0 if it keeps it."""
    claim = construction.claim
    moved = x if moved is None else moved
    delta = float(np.max(np.abs(moved.astype(np.clongdouble) - x)))
    wanted = reference(claim, x)
    error = np.abs(np.asarray(construction(moved)) - wanted)
    # Bounds of rounding suppose that nothing underflows. What is flushed to zero on the way adds up to less than this.
    flushed = 16 * construction.in_size * float(jnp.finfo(claim.dtype).smallest_normal)
    # The relative part bounds a 2-norm, the rest every single output.
    flat = claim.error.absolute + claim.allowance(delta) + flushed
    over = np.maximum(error - flat, 0)
    budget = claim.error.relative * np.linalg.norm(wanted.astype(np.complex128), axis=-1)
    return float(np.max(np.linalg.norm(over.astype(np.float64), axis=-1) - budget))


def _given(construction: Any, check: Callable[[Any], None], extra: Any = None) -> None:
    """Run `check` on drawn inputs, with what `extra` draws beside them."""
    drawn = inputs(construction) if extra is None else st.tuples(inputs(construction), extra)
    # The first example compiles, so a deadline would be a race.
    hypothesis.settings(deadline=None)(hypothesis.given(drawn)(check))()


def within_claim(build: Build, dtype: str) -> None:
    """On points of the domain the error is within the claim."""
    construction = build(dtype)

    def check(x: np.ndarray) -> None:
        over = excess(construction, x)
        assert over <= 0, f"{construction.name}: exceeds its claim by {over:.3g} at {x}"

    _given(construction, check)


def target_in_codomain(build: Build, dtype: str) -> None:
    """The target's values lie in the claimed codomain; compositions build on that."""
    construction = build(dtype)
    claim = construction.claim
    stays = jax.jit(lambda x: jnp.all(claim.codomain.contains(jnp.asarray(claim.target(x)))))

    def check(x: np.ndarray) -> None:
        assert bool(stays(jnp.asarray(x))), f"{construction.name}: leaves {claim.codomain} at {x}"

    _given(construction, check)


def within_claim_when_moved(build: Build, dtype: str) -> None:
    """Inputs off the domain by up to the radius err by at most `error + gain delta + rounding`."""
    construction = build(dtype)
    shape = (4, construction.in_size)
    # The worst directions of the max norm are corners of the cube, which random floats miss.
    corners = hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 1.0]))
    ends = st.sampled_from([-np.ones(shape), np.ones(shape)])
    directions = ends | corners | hnp.arrays(np.float64, shape, elements=_floats(-1.0, 1.0))
    scales = st.sampled_from([2.0**-k for k in (0, 0, 1, 2, 4, 8, 16, 30)])

    def check(drawn: Any) -> None:
        x, (direction, scale) = drawn
        kind = dtype_of(construction, x)
        # Moved points are rounded; where that could take them beyond the radius they stay.
        rounding = float(jnp.finfo(kind).eps) * float(np.max(np.abs(x), initial=0.0))
        radius = max(0.0, min(construction.claim.robustness.radius, _FAR) * (1 - 2.0**-10) - rounding)
        moved = (x + scale * radius * direction).astype(kind)
        over = excess(construction, x, moved)
        assert over <= 0, f"{construction.name}: exceeds its claim by {over:.3g} at {moved}"

    _given(construction, check, st.tuples(directions, scales))


def dtype_of(construction: Construction, x: np.ndarray) -> np.dtype:
    """The network's dtype, as NumPy input of the kind of `x`."""
    return np.result_type(np.dtype(construction.claim.dtype), np.complex64 if np.iscomplexobj(x) else np.float32)


def jit_equals_eager(build: Build, dtype: str) -> None:
    """Compiled, eager, vmapped and features-first calls agree up to twice the claimed error."""
    construction = build(dtype)
    network, error = construction.network, construction.claim.error
    others = (jax.jit(network), jax.jit(jax.vmap(network)), jax.jit(lambda x: network(x.T, axis=0).T))
    drawn = []
    _given(construction, lambda x: drawn.append(x))  # Hypothesis takes no built-in
    # All in one batch, since an eager call of a repeated block compiles it anew every time.
    x = np.concatenate(drawn)
    eager = np.asarray(network(x))
    size = np.linalg.norm(reference(construction.claim, x).astype(np.complex128), axis=-1, keepdims=True)
    allowed = 2 * (error.absolute + error.relative * size)
    for other in others:
        agree = np.all(np.abs(np.asarray(other(x)) - eager) <= allowed, axis=-1)
        assert np.all(agree), f"{construction.name}: differ at {x[~agree]}"


def one_trace(build: Build, dtype: str) -> None:
    """Two networks that were built alike share one trace when passed as an argument."""
    traces = 0

    @jax.jit
    def run(network: Network, x: Any) -> Any:
        nonlocal traces
        traces += 1
        return network(x)

    for construction in (build(dtype), build(dtype)):
        run(construction.network, jnp.zeros((2, construction.in_size), dtype_of(construction, np.zeros(0))))
    assert traces == 1, f"two networks built alike were traced {traces} times"


def leaves_are_inexact(build: Build, dtype: str) -> None:
    """Every leaf is a floating array of the claimed dtype, with no other leaves to filter."""
    construction = build(dtype)
    for leaf in jax.tree.leaves(construction.network):
        assert isinstance(leaf, jax.Array), leaf
        assert leaf.dtype == np.dtype(construction.claim.dtype), leaf


def cost_counts_nonzeros(build: Build, dtype: str) -> None:
    """The cost equals what is counted in the dense matrices."""
    network = build(dtype).network
    layers = flat_layers(network)
    hidden = layers[:-1] if layers[-1].is_readout else layers
    counted = cost(network)
    synapses = sum(int(np.count_nonzero(np.asarray(as_matrix(layer.linear)))) for layer in layers)
    assert counted.synapses == synapses, (counted, synapses)
    assert counted.depth == len(hidden)
    assert counted.neurons == sum(layer.out_size for layer in hidden)


def file_keeps_everything(build: Build, dtype: str) -> None:
    """A saved and loaded construction has the same claim, origin, structure and weights."""
    construction = build(dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "construction.dc"
        save(path, construction)
        loaded = load(path, functions=_functions(construction.claim.target))
    assert loaded.claim == construction.claim
    assert str(loaded.origin) == str(construction.origin)
    assert jax.tree.structure(loaded.network.layers) == jax.tree.structure(construction.network.layers)
    pairs = zip(jax.tree.leaves(loaded.network), jax.tree.leaves(construction.network), strict=True)
    for new, old in pairs:
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)


def _functions(target: Any) -> dict[str, Callable[[Any], Any]]:
    """The functions of all user targets inside a target, by name."""
    if isinstance(target, Target):
        return {target.name: target.function}
    if isinstance(target, tuple):
        parts = target
    elif isinstance(target, AbstractTarget):
        parts = tuple(getattr(target, field.name) for field in dataclasses.fields(target))  # pyright: ignore[reportArgumentType]
    else:
        return {}
    return {name: function for part in parts for name, function in _functions(part).items()}


def gradients_are_finite(build: Build, dtype: str) -> None:
    """The gradient of the squared output is finite on the domain."""
    construction = build(dtype)
    gradient = jax.jit(jax.grad(lambda network, x: jnp.sum(jnp.abs(network(x)) ** 2)))

    def check(x: np.ndarray) -> None:
        for leaf in jax.tree.leaves(gradient(construction.network, x)):
            assert np.all(np.isfinite(leaf)), f"{construction.name}: gradient isn't finite at {x}"

    _given(construction, check)


LAWS: dict[str, Callable[[Build, str], None]] = {
    law.__name__: law
    for law in (
        within_claim,
        target_in_codomain,
        within_claim_when_moved,
        jit_equals_eager,
        one_trace,
        leaves_are_inexact,
        cost_counts_nonzeros,
        file_keeps_everything,
        gradients_are_finite,
    )
}
