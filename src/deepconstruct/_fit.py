"""Training: one pure scan, with any Optax optimizer."""

import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from ._checks import check_key, check_size
from ._io.checkpoint import Checkpoint
from ._io.progress import progress_bar
from .construction import Construction, as_network
from .network import Network

_CHUNKS = 100


class Fit(eqx.Module):
    """What training returned.

    Attributes:
        network: the trained network.
        loss: the loss before each step, shape `(steps,)`. A diverged run holds NaN; it isn't stopped.
    """

    network: Network
    loss: Float[Array, "*batch steps"]


class State(eqx.Module):
    """A training run between two steps."""

    network: Network
    moments: Any
    step: Array


def fit(
    network: Network | Construction,
    loss: Callable[[Network, PRNGKeyArray], Array],
    optimizer: optax.GradientTransformation,
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
    changes nothing in the result. Gradients of complex weights are conjugated, as descent needs.

    With a store, the state is written every `every` steps, and the same call after a kill goes on from
    there: the result is the same, bit for bit.

    Args:
        network: where to start; a construction's claim is lost.
        loss: called as `loss(network, key)`; see `deepconstruct.losses`.
        optimizer: any Optax gradient transformation.
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
    if not isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(f"fit: optimizer must be an Optax one, such as optax.adam(1e-3); got {optimizer!r}")
    if not callable(loss):
        raise TypeError(f"fit: loss must be called as loss(network, key), as those of dc.losses are; got {loss!r}")
    if every is not None and store is None:
        raise ValueError("fit: every is the interval of checkpoints; pass a store for them")
    state = start(as_network("fit", network), optimizer)
    if store is None and not progress:
        state, losses = advance(state, loss, optimizer, key, length=steps)
        return Fit(state.network, losses)
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
    return Fit(state.network, jnp.concatenate(parts))


def start(network: Network, optimizer: optax.GradientTransformation) -> State:
    """A run before its first step."""
    return State(network, optimizer.init(network), jnp.zeros((), jnp.int32))  # pyright: ignore[reportArgumentType]


@eqx.filter_jit
def advance(
    state: State,
    loss: Callable[[Network, PRNGKeyArray], Array],
    optimizer: optax.GradientTransformation,
    key: PRNGKeyArray,
    *,
    length: int,
    stop: int | None = None,
) -> tuple[State, Float[Array, " length"]]:
    """`length` steps in one scan; those from step `stop` on, if any, do nothing."""

    def take(state: State) -> tuple[State, Array]:
        value, gradient = jax.value_and_grad(loss)(state.network, jax.random.fold_in(key, state.step))
        # JAX's gradient of a real function of complex weights is the conjugate of the ascent.
        gradient = jax.tree.map(jnp.conj, gradient)
        updates, moments = optimizer.update(gradient, state.moments, state.network)  # pyright: ignore
        network = optax.apply_updates(state.network, updates)  # pyright: ignore[reportArgumentType]
        return State(network, moments, state.step + 1), value  # pyright: ignore[reportArgumentType]

    def skip(state: State) -> tuple[State, Array]:
        return state, jnp.full((), jnp.nan, jax.eval_shape(take, state)[1].dtype)

    def step(state: State, _: None) -> tuple[State, Array]:
        # Under vmap both branches would be computed, so none is made where no step is skipped.
        return take(state) if stop is None else jax.lax.cond(state.step < stop, take, skip, state)

    return jax.lax.scan(step, state, length=length)
