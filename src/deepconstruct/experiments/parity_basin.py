"""The basin of attraction of the parity tree: perturb it, train it, and see whether it comes home."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._densify import densify
from .._fit import advance, start
from .._perturb import perturb
from .._progress import progress_bar
from ..construction import Construction
from ..constructions import parity
from ..losses import sampled
from ..network import Network

SCALES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
SUCCESS = 0.01
_CHUNKS = 50


@dataclasses.dataclass(frozen=True)
class Basin:
    """What became of every run.

    Attributes:
        n: the number of bits.
        scales: the noise scales.
        kind: `"dense"` (every entry trained) or `"structured"` (only the solution's synapses).
        untrained, trained: mean squared test error before and after, shape `(scales, seeds)`.
        accuracy: share of test inputs whose rounded output is right, after training.
    """

    n: int
    scales: tuple[float, ...]
    kind: str
    untrained: Float[np.ndarray, "scales seeds"]
    trained: Float[np.ndarray, "scales seeds"]
    accuracy: Float[np.ndarray, "scales seeds"]

    def success(self) -> Float[np.ndarray, " scales"]:
        """The share of seeds that came home: test error below 0.01 and every rounded output right."""
        return np.mean((self.trained < SUCCESS) & (self.accuracy == 1), axis=1)


def parity_basin(
    n: int = 16,
    *,
    kind: str = "structured",
    scales: Sequence[float] = SCALES,
    seeds: int = 3,
    steps: int = 2000,
    batch_size: int = 1000,
    learning_rate: float = 1e-4,
    fans: str = "layer",
    progress: bool = True,
    key: PRNGKeyArray,
) -> Basin:
    """Perturb the unfused sigmoid tree by Glorot noise of several scales and train it with Adam.

    All runs are one vmapped program; at every step they share one minibatch.

    Args:
        n: the number of bits.
        kind: `"dense"` or `"structured"`.
        scales: noise scales.
        seeds: runs a scale.
        steps: training steps.
        batch_size: random inputs a step.
        learning_rate: of Adam.
        fans: as in `dc.perturb`.
        progress: whether to show a progress bar.
        key: a PRNG key.

    Returns:
        A `Basin`.

    Raises:
        ValueError: an unknown kind.

    Source: Nye & Saxe (2018), Fig. 1 middle and right. Departures: 2,000 steps of the paper's
    100,000, noise on weights only, and layer fans (the paper says neither).
    """
    if kind not in ("dense", "structured"):
        raise ValueError(f"parity_basin: kind must be 'dense' or 'structured'; got {kind!r}")
    tree = parity(n, activation="sigmoid", fused=False, readout="raw")
    network = densify(tree.network) if kind == "dense" else tree.network
    noise_key, data_key, test_key = jax.random.split(key, 3)
    starts = _starts(network, jnp.asarray(scales), jax.random.split(noise_key, seeds), fans)
    trained = _train(starts, tree, steps, batch_size, learning_rate, data_key, f"{kind:10}" if progress else None)
    before, _ = _test(starts, tree, test_key)
    after, accuracy = _test(trained, tree, test_key)
    return Basin(n, tuple(scales), kind, before, after, accuracy)


def _starts(network: Network, scales: Array, keys: PRNGKeyArray, fans: str) -> Network:
    """A network with leading axes `(scales, seeds)` on every leaf."""
    over_seeds = jax.vmap(lambda scale, key: perturb(network, scale, fans=fans, key=key), in_axes=(None, 0))
    return jax.vmap(over_seeds, in_axes=(0, None))(scales, keys)


def _train(
    starts: Network,
    tree: Construction,
    steps: int,
    batch_size: int,
    learning_rate: float,
    key: PRNGKeyArray,
    label: str | None,
) -> Network:
    optimizer, loss = optax.adam(learning_rate), sampled(tree.claim, batch_size)
    chunk = -(-steps // _CHUNKS)

    def run(state: Any) -> Any:
        return advance(state, loss, optimizer, key, length=chunk, stop=None if steps % chunk == 0 else steps)[0]

    states = jax.vmap(jax.vmap(partial(start, optimizer=optimizer)))(starts)
    run_all = jax.jit(jax.vmap(jax.vmap(run)))
    with progress_bar(total=steps, unit="step", shown=label is not None, label=label) as bar:
        for done in range(0, steps, chunk):
            states = jax.block_until_ready(run_all(states))
            bar.update(min(chunk, steps - done))
    return states.network


def _test(networks: Network, tree: Construction, key: PRNGKeyArray) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared error, and share of right roundings, on 4,000 fresh inputs."""
    x = tree.claim.domain.sample(key, (4000,))
    wanted = tree.claim.target(x)

    @jax.jit
    @jax.vmap
    @jax.vmap
    def measure(network: Network) -> tuple[Array, Array]:
        got = network(x)
        return jnp.mean((got - wanted) ** 2), jnp.mean(jnp.round(got) == wanted)

    error, accuracy = measure(networks)
    return np.asarray(error), np.asarray(accuracy)
