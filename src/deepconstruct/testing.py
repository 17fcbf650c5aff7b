"""Property tests: Hypothesis strategies, and the laws that constructions keep.

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
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import activations, linear
from ._analysis.cost import cost
from ._arithmetic.rounding import underflow
from ._compose import fan_out, parallel, series
from ._files import load, save
from ._static import to_jax
from .activations import AbstractActivation
from .construction import Claim, Construction
from .constructions import parity, parity_shallow
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
# Inputs of an example that Hypothesis draws, and those beside them, which cost nothing more.
_FEW, _MORE = 4, 60
# How far the rounding of targets in extended precision may take them off the faces of a box.
_ROOM = 2.0**-40


# Strategies ---------------------------------------------------------------------------------------


def inputs(construction: Construction, *, batch: int = _FEW) -> st.SearchStrategy[np.ndarray]:
    """Batches `(batch, size)` of points of a construction's domain, as float64 or complex128.

    They are what `domain.probe` draws, in the network's precision: corners, faces, zeros, subnormal
    numbers and all magnitudes, beside uniform ones.

    Example:
        >>> import deepconstruct as dc, hypothesis
        >>> hypothesis.find(dc.testing.inputs(dc.parity(3)), lambda x: x.sum() > 2).shape
        (4, 3)
    """
    claim = construction.claim
    # Numbers of the network's dtype, so that it is given what the target is given.
    kind = np.dtype(claim.dtype if claim.domain.is_complex else jnp.finfo(claim.dtype).dtype)
    wide = np.complex128 if claim.domain.is_complex else np.float64
    words = hnp.arrays(np.uint64, (batch, claim.domain.words), elements=st.integers(0, 2**63 - 1))
    return words.map(lambda numbers: claim.domain.from_words(numbers, dtype=kind).astype(wide))


def _many_inputs(construction: Construction) -> st.SearchStrategy[np.ndarray]:
    """A few inputs that Hypothesis draws and simplifies, and more of one seed."""
    domain = construction.claim.domain
    kind = construction.claim.dtype if domain.is_complex else jnp.finfo(construction.claim.dtype).dtype

    def joined(first: np.ndarray, seed: int) -> np.ndarray:
        words = np.random.default_rng(seed).integers(0, 2**63, (_MORE, domain.words), np.uint64)
        return np.concatenate([first, domain.from_words(words, dtype=kind).astype(first.dtype)])

    return st.builds(joined, inputs(construction), st.integers(0, 2**31 - 1))


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
                None if bias is None else to_jax(bias),
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
        return linear.BlockDiagonal(to_jax(weight[:, :1].reshape(1, 1, 1, size_in)))
    if kind == "kronecker":
        return linear.Kronecker(to_jax(weight[:1, :1]), outer=size_in)
    if kind == "stack" and size_out > 1:
        return linear.Stack((linear.Dense(to_jax(weight[:1])), linear.Dense(to_jax(weight[1:]))))
    if kind == "sum" and size_out > 1 and size_in > 1:
        blocks = (linear.Dense(to_jax(weight[:1, :1])), linear.Dense(to_jax(weight[1:, 1:])))
        return linear.DirectSum(blocks)
    if kind == "sparse":
        rows, cols = np.nonzero(weight)
        return linear.Sparse(rows, cols, to_jax(weight[rows, cols]), weight.shape)
    return linear.Dense(to_jax(weight))


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


def excess(construction: Construction, x: np.ndarray, moved: np.ndarray | None = None) -> float:
    """By how much the network breaks its claim at `moved` (or `x` itself), at most 0 if it keeps it."""
    worst = np.max(_excesses(construction, x, x if moved is None else moved))
    # What is too small for a float is no zero.
    return float(worst) if worst <= 0 else max(float(worst), 5e-324) if worst > 0 else math.nan


def _excesses(construction: Construction, x: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """For every row by how much it breaks the claim, in extended precision."""
    return _over(construction, x, np.asarray(construction(moved)), _distance(construction.claim, x, moved))


def _over(construction: Construction, x: np.ndarray, found: np.ndarray, distance: float = 0.0) -> np.ndarray:
    """For every row by how much outputs break the claim, at inputs that were moved so far."""
    claim = construction.claim
    wanted = claim.target.wide(x)
    error = np.abs(found.astype(np.clongdouble if np.iscomplexobj(found) else np.longdouble) - wanted)
    # The relative part bounds a 2-norm, the rest every single output.
    flat = np.asarray(claim.error.absolute) + np.asarray(claim.allowance(distance)) + _flushed(construction)
    over = error - np.minimum(error, flat)
    return _norm(over) - claim.error.relative * _norm(wanted)


def _flushed(construction: Construction) -> float:
    return underflow(construction.in_size, construction.claim.dtype)


def _distance(claim: Claim, x: np.ndarray, moved: np.ndarray) -> float:
    """How far inputs were moved at most: by the radius where only the rounding of this number is beyond it."""
    delta = np.max(np.abs(moved.astype(np.clongdouble) - x), initial=0.0)
    rounded = float(delta) if float(delta) >= delta else float(np.nextafter(float(delta), np.inf))
    return min(rounded, claim.robustness.radius) if delta <= claim.robustness.radius else rounded


def _norm(y: np.ndarray) -> np.ndarray:
    """2-norms of rows, without squares that over- or underflow."""
    size = np.max(np.abs(y), axis=-1, initial=0.0)
    scale = np.where((size > 0) & np.isfinite(size), size, 1)
    return scale * np.sqrt(np.sum(np.abs(y / scale[..., None]) ** 2, axis=-1))


def _check(construction: Construction, x: np.ndarray, moved: np.ndarray) -> None:
    over = _excesses(construction, x, moved)
    worst = int(np.argmax(np.where(np.isnan(over), np.inf, over)))
    assert over[worst] <= 0, f"{construction.name}: exceeds its claim by {over[worst]:.3g} at {moved[worst]}"


def _given(construction: Any, check: Callable[[Any], None], extra: Any = None) -> None:
    """Run `check` on drawn inputs, with what `extra` draws beside them."""
    drawn = _many_inputs(construction)
    drawn = drawn if extra is None else st.tuples(drawn, extra)
    # The first example compiles, so a deadline would be a race.
    hypothesis.settings(deadline=None)(hypothesis.given(drawn)(check))()


def within_claim(build: Build, dtype: str) -> None:
    """On points of the domain the error is within the claim."""
    construction = build(dtype)
    _given(construction, lambda x: _check(construction, x, x))


def target_in_codomain(build: Build, dtype: str) -> None:
    """The target's values lie in the claimed codomain; compositions build on that."""
    construction = build(dtype)
    claim = construction.claim

    def check(x: np.ndarray) -> None:
        stays = claim.codomain.contains(claim.target.wide(x), room=_ROOM)
        assert np.all(stays), f"{construction.name}: leaves {claim.codomain} at {x[np.argmin(stays)]}"

    _given(construction, check)


def within_claim_when_moved(build: Build, dtype: str) -> None:
    """Inputs off the domain by up to the radius err by at most `error + gain delta + rounding`."""
    construction = build(dtype)
    shape = (_FEW + _MORE, construction.in_size)
    # The worst directions of the max norm are corners of the cube, which random floats miss.
    corners = hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 1.0]))
    ends = st.sampled_from([-np.ones(shape), np.ones(shape)])
    single = st.integers(0, construction.in_size - 1).map(lambda axis: np.eye(construction.in_size)[[axis] * shape[0]])
    anywhere = hnp.arrays(np.float64, shape, elements=st.floats(-1.0, 1.0, width=32))
    directions = ends | corners | single | single.map(np.negative) | anywhere
    scales = st.sampled_from([2.0**-k for k in (0, 0, 0, 1, 2, 4, 8, 16, 30)])

    def check(drawn: Any) -> None:
        x, (direction, scale) = drawn
        radius, kind = min(construction.claim.robustness.radius, _FAR), dtype_of(construction, x)
        for step in (scale * direction, np.ones(shape), -np.ones(shape)):
            _check(construction, x, _moved(x, step, radius, kind))

    _given(construction, check, st.tuples(directions, scales))


def _moved(x: np.ndarray, direction: np.ndarray, radius: float, kind: np.dtype) -> np.ndarray:
    """Real parts moved by `radius * direction`, to floats of a dtype that are no farther off than the radius."""
    start, real = np.real(x), np.dtype(jnp.finfo(kind).dtype)
    moved = (start.astype(np.longdouble) + np.longdouble(radius) * direction).astype(real)
    far = np.abs(moved.astype(np.longdouble) - start) > radius
    moved = np.where(far, np.nextafter(moved, start.astype(real)), moved)
    return moved if np.isrealobj(x) else (moved + 1j * np.imag(x)).astype(kind)


def dtype_of(construction: Construction, x: np.ndarray) -> np.dtype:
    """The network's dtype, or that of its real parts where `x` is real."""
    dtype = np.dtype(construction.claim.dtype)
    return dtype if np.iscomplexobj(x) else np.dtype(jnp.finfo(dtype).dtype)


def jit_equals_eager(build: Build, dtype: str) -> None:
    """Compiled, vmapped, features-first and operation by operation, runs agree up to twice the claimed error."""
    construction = build(dtype)
    network, error = construction.network, construction.claim.error
    others = (network, jax.jit(network), jax.jit(jax.vmap(network)), jax.jit(lambda x: network(x.T, axis=0).T))
    drawn = []
    _given(construction, lambda x: drawn.append(x))  # Hypothesis takes no built-in
    # All in one batch: each operation is compiled for its shapes.
    x = np.concatenate(drawn)
    with jax.disable_jit():
        eager = np.asarray(network(x))
    size = _norm(construction.claim.target.wide(x))[:, None]
    allowed = 2 * (np.asarray(error.absolute) + error.relative * size + _flushed(construction))
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
        run.trace(construction.network, jnp.zeros((2, construction.in_size), dtype_of(construction, np.zeros(0))))
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
