"""The basin of attraction of parity: perturb, train, and see whether it comes home."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from .._analysis.basin import BasinEstimate, basin
from .._change.perturb import perturb
from .._checks import check_choice, check_scalar
from .._fit import fit
from .._sweep import sweep
from ..activations import Sigmoid
from ..constructions import parity
from ..losses import sampled
from ..network import Network, flat_layers
from ..rewrite import densify
from ._settings import Settings, checked_scales, chosen_optimizer, stored_activation, told_optimizer

KINDS = ("dense", "structured")
SCALES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
SUCCESS = 0.01
TEST_INPUTS = 4000


@dataclasses.dataclass(frozen=True)
class ParityBasin:
    """What became of every run.

    Attributes:
        n: the number of bits.
        scales: the noise scales.
        kind: `"dense"` (every entry trained) or `"structured"` (only the solution's synapses).
        untrained, trained: mean squared test error before and after, shape `(scales, seeds)`.
        untrained_accuracy, accuracy: share of test inputs whose rounded output is right, before and after.
        fans: in whose units the noise is, as in `dc.perturb`.
        settings: how the runs were trained, for figures; `None` if that isn't known.
    """

    n: int
    scales: tuple[float, ...]
    kind: str
    untrained: Float[np.ndarray, "scales seeds"]
    trained: Float[np.ndarray, "scales seeds"]
    untrained_accuracy: Float[np.ndarray, "scales seeds"]
    accuracy: Float[np.ndarray, "scales seeds"]
    fans: str = "layer"
    settings: Settings | None = None

    def home(self) -> Bool[np.ndarray, "scales seeds"]:
        """Which runs came home: test error below 0.01 and every rounded output right."""
        return (self.trained < SUCCESS) & (self.accuracy == 1)

    def untrained_home(self) -> Bool[np.ndarray, "scales seeds"]:
        """Which runs were at home before any training."""
        return (self.untrained < SUCCESS) & (self.untrained_accuracy == 1)

    def success(self) -> Float[np.ndarray, " scales"]:
        """The share of seeds that came home."""
        return np.mean(self.home(), axis=1)

    def estimate(self, *, confidence: float = 0.95) -> BasinEstimate:
        """Success rates and the critical noise, with intervals: see `dc.basin`."""
        return basin(self.scales, self.home(), confidence=confidence)


def parity_basin(
    n: int = 16,
    *,
    kind: str = "structured",
    scales: Sequence[float] = SCALES,
    seeds: int = 3,
    steps: int = 2000,
    batch_size: int = 1000,
    learning_rate: float = 1e-4,
    activation: Any = "sigmoid",
    optimizer: Any = None,
    fans: str = "layer",
    store: str | os.PathLike | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> ParityBasin:
    """Perturb the unfused tree, of sigmoids unless told otherwise, by Glorot noise of several scales and train it.

    One `dc.sweep` over scales and seeds, on all devices; at every step all runs share one minibatch.

    Args:
        n: the number of bits.
        kind: `"dense"` or `"structured"`.
        scales: noise scales.
        seeds: runs a scale.
        steps: training steps.
        batch_size: random inputs a step.
        learning_rate: of Adam.
        activation: of the tree, by name or as an object of `dc.activations`.
        optimizer: another than Adam, from Optax; without a store, which couldn't tell it from others.
        fans: as in `dc.perturb`.
        store: a folder from which a killed run goes on, as in `dc.sweep`.
        progress: whether to show a progress bar.
        key: a PRNG key.

    Returns:
        A `ParityBasin`.

    Raises:
        ValueError: an unknown kind, no scale, a negative one, or a negative rate.

    Source: Nye & Saxe (2018), Fig. 1 middle and right. Departures: 2,000 steps of the paper's
    100,000, noise on weights only, and layer fans (the paper says neither).

    Example:
        >>> import deepconstruct as dc, jax
        >>> options = {"scales": [0.05, 2.0], "seeds": 2, "steps": 10, "progress": False}
        >>> found = dc.experiments.parity_basin(4, kind="dense", **options, key=jax.random.key(0))
        >>> found.success().tolist()
        [1.0, 0.0]
        >>> dc.plot.basin(found).axes[1].get_xlabel()
        'noise scale, in units of sqrt(2 / (fan in + fan out))'
    """
    check_choice("parity_basin", "kind", kind, KINDS)
    scales = checked_scales("parity_basin", scales)
    learning_rate = check_scalar("parity_basin", "learning_rate", learning_rate)
    tree = parity(n, activation=activation, fused=False, readout="raw")
    network = densify(tree.network) if kind == "dense" else tree.network
    noise_key, data_key, test_key = jax.random.split(key, 3)
    loss = sampled(tree.claim, batch_size)
    chosen = chosen_optimizer("parity_basin", optimizer, optax.adam(learning_rate), store)
    units = flat_layers(tree.network)[0].activation
    stored = stored_activation("parity_basin", units, Sigmoid(10.0), store)
    inputs = tree.claim.domain.sample(test_key, (TEST_INPUTS,))
    outputs = tree.claim.target(inputs)

    def measure(network: Network) -> tuple[Array, Array]:
        found = network(inputs)
        return jnp.mean((found - outputs) ** 2), jnp.mean(jnp.round(found) == outputs)

    def run(key: PRNGKeyArray, scale: Array) -> dict[str, tuple[Array, Array]]:
        start = perturb(network, scale, fans=fans, key=key)
        # Not with the key of the run: all of them share the minibatches, which are then drawn once.
        trained = fit(start, loss, chosen, steps=steps, key=data_key).network
        return {"before": measure(start), "after": measure(trained)}

    grid = {"scale": np.asarray(scales, tree.claim.dtype)}
    name = (
        f"parity-{kind}-n{n}-{steps}x{batch_size}-{learning_rate}-{fans}{stored}" if store is not None else f"{kind:10}"
    )
    found = sweep(run, grid, seeds=seeds, store=store, name=name, progress=progress, key=noise_key)
    columns = (found[f"{when}.{what}"] for what in (0, 1) for when in ("before", "after"))
    told = told_optimizer(optimizer, f"Adam at {learning_rate:g}")
    test = f"{TEST_INPUTS:,} fresh inputs"
    settings = Settings(steps, batch_size, told, "mean squared error", units.name(), test)
    return ParityBasin(n, scales, kind, *columns, fans=fans, settings=settings)
