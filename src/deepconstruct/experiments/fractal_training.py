"""What gradient descent learns of a fractal, by depth, width and curve."""

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_scalar, check_size
from .._fit import fit
from .._sweep import sweep
from ..activations import AbstractActivation, Identity, ReLU, as_activation
from ..constructions import fractal
from ..data import Curve, FractalDistribution, finest, power
from ..linear import Dense
from ..network import Layer, Network
from ..systems import IFS, cantor_dust
from ._settings import Settings, chosen_optimizer, stored_activation, told_optimizer

SOURCE_CURVES = MappingProxyType(
    {1: power(0), 2: finest(3), 3: finest(2), 4: power(5), 5: power(9), 6: finest(1)},
)
"""The six curves of Malach & Shalev-Shwartz's experiments by their numbers, from coarse to fine."""

# Of the source's experiments.
_BIAS = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class FractalTraining:
    """Accuracies on fresh test points, of which half are positive.

    Attributes:
        curves: the approximation curves.
        depths: numbers of hidden layers.
        widths: units a hidden layer.
        values: of the curves, `P(0), ..., P(level)`, shape `(curves, level + 1)`.
        accuracy: of the trained networks, shape `(curves, depths, widths, seeds)`.
        exact: of the construction on the same test points, shape `(curves,)`.
        settings: how the networks were trained, for figures; `None` if that isn't known.
    """

    curves: tuple[Curve, ...]
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    values: Float[np.ndarray, "curves levels"]
    accuracy: Float[np.ndarray, "curves depths widths seeds"]
    exact: Float[np.ndarray, " curves"]
    settings: Settings | None = None

    def best(self) -> Float[np.ndarray, "curves seeds"]:
        """Accuracies at the largest depth, of the width that is best there on average, for every curve."""
        deepest = self.accuracy[:, int(np.argmax(self.depths))]
        width = np.argmax(deepest.mean(axis=-1), axis=-1)
        return deepest[np.arange(len(width)), width]


def fractal_training(
    system: IFS | None = None,
    level: int = 5,
    *,
    curves: Sequence[Curve] = tuple(SOURCE_CURVES.values()),
    depths: Sequence[int] = (5,),
    widths: Sequence[int] = (100,),
    seeds: int = 4,
    steps: int = 10_000,
    batch_size: int = 100,
    learning_rate: float = 1e-3,
    activation: Any = "relu",
    optimizer: Any = None,
    train_points: int = 50_000,
    test_points: int = 5_000,
    store: str | os.PathLike | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> FractalTraining:
    """Train networks to tell the points of a fractal from others, and test the construction beside them.

    Networks have hidden layers of one width, of ReLU units unless told otherwise, and a linear readout;
    weights are drawn from a normal distribution cut at two standard deviations of `1 / sqrt(fan_in)`,
    biases are 0.1. The loss is the hinge loss, the optimizer Adam. Seeds differ in their weights and
    minibatches, not in the points.

    Args:
        system: an iterated function system; the Cantor dust of the plane if `None`.
        level: the depth of the fractal distribution.
        curves: approximation curves of `dc.data`; the source's six by default.
        depths: numbers of hidden layers.
        widths: units a hidden layer.
        seeds: runs a network.
        steps: training steps.
        batch_size: points a step.
        learning_rate: of Adam at the start; it falls to 0 along a cosine, so that the last steps are no noise.
        activation: of the hidden units, by name or as an object of `dc.activations`; a `Custom` one without a
            store, which couldn't tell it from others. The construction beside them keeps its ReLU units.
        optimizer: another than Adam, from Optax; without a store, which couldn't tell it from others.
        train_points: points to train on, drawn once a curve.
        test_points: fresh points for the accuracy.
        store: a folder from which a killed run goes on, as in `dc.sweep`.
        progress: whether to show a progress bar.
        key: a PRNG key.

    Returns:
        A `FractalTraining`.

    Raises:
        ValueError: no curve, one that doesn't fit the level, or a level whose cells aren't resolved; a depth,
            a width or a number of points below 1.
        TypeError: an unknown activation.

    Source: Malach & Shalev-Shwartz, slides. Departures: negatives keep a margin from the cells that they
    leave (see `dc.data.FractalDistribution`); a learning rate from 0.001 down to 0, not of 0.005, and
    10,000 steps instead of a million.

    Example:
        >>> import deepconstruct as dc, jax
        >>> from deepconstruct.experiments import fractal_training
        >>> options = {"depths": [1], "widths": [16], "learning_rate": 0.01, "steps": 500, "progress": False}
        >>> found = fractal_training(dc.systems.cantor(), 1, curves=[dc.data.coarse], **options, key=jax.random.key(0))
        >>> found.accuracy.shape, bool(found.accuracy.min() > 0.9), found.exact.tolist()
        ((1, 1, 1, 4), True, [1.0])
        >>> dc.plot.fractal_depths(found).axes[0].get_title()
        'curve coarse'
    """
    system = cantor_dust() if system is None else system
    if not curves:
        raise ValueError("fractal_training: expected at least one curve, such as dc.data.coarse")
    depths = [check_size("fractal_training", "depths", depth) for depth in depths]
    widths = [check_size("fractal_training", "widths", width) for width in widths]
    learning_rate = check_scalar("fractal_training", "learning_rate", learning_rate)
    batch_size = check_size("fractal_training", "batch_size", batch_size)
    train_points = check_size("fractal_training", "train_points", train_points)
    test_points = check_size("fractal_training", "test_points", test_points)
    distributions = [FractalDistribution(system, level, curve) for curve in curves]
    usual = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    chosen = chosen_optimizer("fractal_training", optimizer, usual, store)
    activation = as_activation("fractal_training", activation)
    stored = stored_activation("fractal_training", activation, ReLU(), store)
    train_key, test_key, run_key = jax.random.split(key, 3)
    train = _points(distributions, train_key, train_points)
    test = _points(distributions, test_key, test_points)

    def run(key: PRNGKeyArray, depth: int, width: int, curve: Array) -> Array:
        weight_key, batch_key = jax.random.split(key)
        (x, y), (fresh, labels) = ((points[curve], signs[curve]) for points, signs in (train, test))

        def hinge(network: Network, key: PRNGKeyArray) -> Array:
            chosen = jax.random.randint(key, (batch_size,), 0, train_points)
            # Features first is the fast layout on a CPU.
            return jnp.mean(optax.losses.hinge_loss(network(x[chosen].T, axis=0)[0], y[chosen]))

        start = random_network(weight_key, (system.size, *(width,) * depth, 1), activation)
        trained = fit(start, hinge, chosen, steps=steps, key=batch_key).network
        return jnp.mean((trained(fresh.T, axis=0)[0] > 0) == (labels > 0))

    grid = {"depth": depths, "width": widths, "curve": np.arange(len(curves))}
    settings = f"{system.name}-{level}-{_digest(train)}-{steps}x{batch_size}-{learning_rate}-{test_points}{stored}"
    name = f"fractal-{settings}" if store is not None else "fractal"
    found = sweep(run, grid, seeds=seeds, store=store, name=name, progress=progress, key=run_key)
    accuracy = np.moveaxis(found["value"], 2, 0)
    x, labels = test
    outputs = jax.jit(jax.vmap(fractal(system, level).network))(x)[..., 0]
    exact = np.mean(np.asarray((outputs > 0.5) == (labels > 0)), axis=1)
    values = np.stack([distribution.values for distribution in distributions])
    told = told_optimizer(optimizer, f"Adam from {learning_rate:g} to 0")
    tested = f"{test_points:,} fresh points"
    trained = Settings(steps, batch_size, told, "hinge loss", activation.name(), tested)
    return FractalTraining(tuple(curves), tuple(depths), tuple(widths), values, accuracy, exact, trained)


def random_network(key: PRNGKeyArray, sizes: Sequence[int], activation: AbstractActivation) -> Network:
    """A random network with these sizes of input, hidden layers and output."""
    pairs = list(itertools.pairwise(sizes))
    layers = []
    for number, ((fan_in, fan_out), layer_key) in enumerate(zip(pairs, jax.random.split(key, len(pairs)), strict=True)):
        weights = jax.random.truncated_normal(layer_key, -2, 2, (fan_out, fan_in)) / np.sqrt(fan_in)
        last = number == len(pairs) - 1
        layers.append(Layer(Dense(weights), jnp.full(fan_out, _BIAS), Identity() if last else activation))
    return Network(tuple(layers))


def _points(distributions: Sequence[FractalDistribution], key: PRNGKeyArray, num: int) -> tuple[Array, Array]:
    """Points and labels of all distributions, stacked."""
    drawn = [distribution.sample(key, num) for distribution in distributions]
    return jnp.stack([x for x, _ in drawn]), jnp.stack([y for _, y in drawn])


def _digest(points: tuple[Array, Array]) -> str:
    """Tells the points of a store from others: systems and curves may have no telling names."""
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in points)).hexdigest()[:8]
