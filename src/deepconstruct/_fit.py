"""Training: one pure scan, with any Optax optimizer."""

import contextlib
import inspect
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from ._checks import check_key, check_size
from ._io.checkpoint import Checkpoint
from ._io.progress import progress_bar
from .construction import Construction, as_network
from .network import Network, own

_CHUNKS = 100


class Fit(eqx.Module):
    """What training returned.

    Attributes:
        network: the trained network.
        loss: the loss before each step, shape `(steps,)`. A diverged run holds NaN; it isn't stopped.
        state: the optimizer's after the last step, as what `optax.contrib.schedule_free_eval_params` asks for.
    """

    network: Network
    loss: Float[Array, "*batch steps"]
    state: Any


class Parts(NamedTuple):
    """A complex weight as an optimizer for real numbers gets it."""

    real: Array
    imaginary: Array


class State(eqx.Module):
    """A training run between two steps.

    Attributes:
        params: the network as the optimizer gets it: with `Parts` where it takes no complex weights, and in
            a pair of fast and slow weights for `optax.lookahead`.
        moments: the optimizer's state.
        step: how many steps were taken.
    """

    params: Network | optax.LookaheadParams
    moments: Any
    step: Array

    def trained(self) -> Any:
        """The weights of which the loss is taken."""
        return self.params.fast if isinstance(self.params, optax.LookaheadParams) else self.params

    def result(self, loss: Array) -> Fit:
        """What training returns after these losses."""
        params: Any = self.params.slow if isinstance(self.params, optax.LookaheadParams) else self.params
        return Fit(own(_whole(params)), loss, self.moments)


def fit(
    network: Network | Construction,
    loss: Callable[[Network, PRNGKeyArray], Array],
    optimizer: Any,
    *,
    steps: int,
    store: str | os.PathLike | None = None,
    every: int | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Fit:
    """Train the free weights of a network.

    Without a progress bar and a store this is one pure `lax.scan`: it can be jitted and vmapped over
    networks, keys, and the arrays in losses. Step `t` uses the key `fold_in(key, t)`, so a progress bar
    changes nothing in the result.

    Whatever an Optax optimizer asks for it gets: the loss, its gradient, and the loss as a function of the
    network on the batch of the step (`value`, `grad`, `value_fn`; `obj_fn` and `grad_fn` as well), as L-BFGS,
    line searches, Polyak's step and `reduce_on_plateau` need. Gradients of complex weights are conjugated, as
    descent needs; optimizers that don't run on complex gradients alone get real and imaginary parts as weights
    of their own. Labels and masks may be networks: `jax.tree.map(lambda w: "train", network)`.

    With a store, the state is written every `every` steps, and the same call after a kill goes on from
    there: the result is the same, bit for bit.

    Args:
        network: where to start; a construction's claim is lost.
        loss: called as `loss(network, key)`; see `deepconstruct.losses`.
        optimizer: any Optax gradient transformation, `optax.MultiSteps`, or whatever has their `init` and `update`.
        steps: how many, at least 1.
        store: a file for checkpoints. It holds the last one, and belongs to one run: other weights, losses,
            keys or numbers of steps are refused. What an optimizer hides in its functions, such as a
            learning rate, can't be seen.
        every: steps from one checkpoint to the next; a hundredth of `steps` by default.
        progress: whether to show a progress bar, for which the run is cut into at most 100 calls of
            one compiled chunk. Not under jit or vmap, nor is a store.
        key: a PRNG key.

    Returns:
        A `Fit` with the trained network and the loss before each step.

    Raises:
        ValueError: `steps` or `every` below 1, `every` without a store, a store of another run.
        TypeError: something else than a network, a loss or an optimizer.

    Example:
        >>> import deepconstruct as dc, jax, optax
        >>> start = dc.perturb(dc.fft(4), 0.1, key=jax.random.key(0))
        >>> loss = dc.losses.population(dc.targets.DFT(4).matrix())
        >>> result = dc.fit(start, loss, optax.sgd(0.01), steps=200, key=jax.random.key(1))
        >>> bool(result.loss[-1] < 1e-3 * result.loss[0])
        True
    """
    steps = check_size("fit", "steps", steps)
    check_key("fit", key)
    if isinstance(optimizer, type) or not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise TypeError(f"fit: optimizer must be an Optax one, such as optax.adam(1e-3); got {optimizer!r}")
    if not callable(loss):
        raise TypeError(f"fit: loss must be called as loss(network, key), as those of dc.losses are; got {loss!r}")
    if every is not None and store is None:
        raise ValueError("fit: every is the interval of checkpoints; pass a store for them")
    state = start(as_network("fit", network), optimizer)
    if store is None and not progress:
        state, losses = advance(state, loss, optimizer, key, length=steps)
        return state.result(losses)
    chunk = -(-steps // _CHUNKS) if every is None else min(check_size("fit", "every", every), steps)
    checkpoint = None if store is None else Checkpoint(store, (state, loss, key, steps, chunk))
    state, parts = (state, []) if checkpoint is None else checkpoint.read(state)
    first, stop = sum(len(part) for part in parts), None if steps % chunk == 0 else steps
    with progress_bar(total=steps, initial=first, shown=progress, unit="step") as bar:
        for done in range(first, steps, chunk):
            state, values = advance(state, loss, optimizer, key, length=chunk, stop=stop)
            parts.append(values[: steps - done])
            if checkpoint is not None:
                checkpoint.write(state, parts)
            if progress:
                bar.set_postfix(loss=f"{float(parts[-1][-1]):.2e}", refresh=False)
                bar.update(len(parts[-1]))
    return state.result(jnp.concatenate(parts))


def start(network: Network, optimizer: Any) -> State:
    """A run before its first step."""
    params = network
    if jnp.issubdtype(network.dtype, jnp.complexfloating) and not _takes_complex(optimizer, network):
        params = jax.tree.map(lambda w: Parts(w.real, w.imag) if jnp.iscomplexobj(w) else w, network)
    with _any_promotion():
        moments = optimizer.init(params)
    if isinstance(moments, optax.LookaheadState):
        params = optax.LookaheadParams.init_synced(params)  # pyright: ignore[reportArgumentType]
    return State(params, jax.tree.map(jnp.asarray, moments), jnp.zeros((), jnp.int32))


def _takes_complex(optimizer: Any, network: Network) -> bool:
    """Whether an optimizer runs on complex gradients, given nothing else, and keeps the types of its state.

    A single complex number in its state is an inner product that ought to be real.
    """

    def update(gradient: Network) -> tuple[Any, Any]:
        moments = optimizer.init(network)
        updates, after = optimizer.update(gradient, moments, network)
        return (network, moments), (updates, after)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a cast to real numbers only warns
            with _any_promotion():
                before, after = jax.eval_shape(update, network)
    except Exception:  # whatever it is, the real and imaginary parts will show it again
        return False
    types = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(found)] for found in (before, after)]
    single = any(shape == () and jnp.issubdtype(dtype, jnp.complexfloating) for shape, dtype in types[0])
    return types[0] == types[1] and not single


def _whole(params: Network) -> Network:
    """The network of which `params` may hold real and imaginary parts."""

    def is_parts(node: Any) -> bool:
        return isinstance(node, Parts)

    return jax.tree.map(lambda w: jax.lax.complex(*w) if is_parts(w) else w, params, is_leaf=is_parts)


def _accepted(optimizer: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that the optimizer's `update` takes."""
    parameters = inspect.signature(optimizer.update).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return offered
    return {name: value for name, value in offered.items() if name in parameters}


@eqx.filter_jit
def advance(
    state: State,
    loss: Callable[[Network, PRNGKeyArray], Array],
    optimizer: Any,
    key: PRNGKeyArray,
    *,
    length: int,
    stop: int | None = None,
) -> tuple[State, Float[Array, " length"]]:
    """`length` steps in one scan; those from step `stop` on, if any, do nothing."""

    def take(state: State) -> tuple[State, Array]:
        return _step(state, loss, optimizer, jax.random.fold_in(key, state.step))

    def skip(state: State) -> tuple[State, Array]:
        return state, jnp.full((), jnp.nan, jax.eval_shape(take, state)[1].dtype)

    def step(state: State, _: None) -> tuple[State, Array]:
        # Under vmap both branches would be computed, so none is made where no step is skipped.
        return take(state) if stop is None else jax.lax.cond(state.step < stop, take, skip, state)

    return jax.lax.scan(step, state, length=length)


def _step(state: State, loss: Callable, optimizer: Any, key: PRNGKeyArray) -> tuple[State, Array]:
    """One step of training, and the loss before it."""

    # A line search hands on to its function what other optimizers of a chain ask for.
    def objective(params: Network, *, obj_fn: Any = None, grad_fn: Any = None) -> Array:
        return loss(_whole(params), key)

    def descent(params: Network, _: Any = None) -> Network:
        # JAX's gradient of a real function of complex weights is the conjugate of the ascent.
        return jax.tree.map(jnp.conj, jax.grad(objective)(params))

    value, gradient = jax.value_and_grad(objective)(state.trained())
    gradient = jax.tree.map(jnp.conj, gradient)
    offered = {
        "value": value.astype(_single(state.trained().dtype)),
        "grad": gradient,
        "value_fn": objective,
        "obj_fn": objective,
        "grad_fn": descent,
    }
    with _any_promotion():
        updates, moments = optimizer.update(gradient, state.moments, state.params, **_accepted(optimizer, offered))
        params = optax.apply_updates(state.params, updates)  # pyright: ignore[reportArgumentType]
    # Optimizers may widen their state at the first step; a scan can't.
    moments = jax.tree.map(_as_before, moments, state.moments)
    return State(params, moments, state.step + 1), value  # pyright: ignore[reportArgumentType]


@contextlib.contextmanager
def _any_promotion() -> Iterator[None]:
    """Optax's code mixes dtypes and ranks, such as a decay and a count of steps, whatever JAX is told of ours."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _single(dtype: Any) -> Any:
    """The real dtype of weights, but at least 32 bits: where a loss goes into computations with gradients."""
    real = jnp.finfo(dtype).dtype
    return real if real.itemsize >= 4 else jnp.float32


def _as_before(new: Any, old: Array) -> Array:
    new = jnp.asarray(new)
    return new if new.dtype == old.dtype else new.astype(old.dtype)
