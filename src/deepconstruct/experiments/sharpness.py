"""Equal functions, sharp and flat: layers of ReLU networks scaled against each other."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._analysis.cost import cost
from .._analysis.curvature import Loss
from .._analysis.sharpness import sharpness
from .._checks import check_scalar, check_size
from .._fit import fit
from .._io.atomic import read_arrays, write_arrays
from .._io.progress import progress_bar
from .._sweep import sweep
from ..activations import ReLU
from ..construction.encoding import digest
from ..constructions import parity
from ..network import Network, flat_layers
from ..rewrite import densify, rescale_layers
from ._settings import Settings
from .fractal_training import random_network

FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# What is kept of a `Sharpness`, and what is measured beside it.
_KEPT = ("loss", "largest", "residual", "trace", "keskar")
_MEASURED = (*_KEPT, "change", "layers")


@dataclasses.dataclass(frozen=True, eq=False)
class RescaledSharpness:
    """Sharpness of networks whose first layer was scaled by a factor and the second by its inverse.

    Arrays have the shape `(networks, factors)`. The first network is the construction, the others were trained.

    Attributes:
        n: the number of bits.
        factors: by which the first layer was multiplied.
        names: of the networks.
        epsilon: of the box of Keskar's sharpness.
        loss: the mean squared error over all inputs.
        change: the largest difference of an output from that at factor 1, over all inputs.
        largest: the largest eigenvalue of the Hessian.
        residual: of that.
        trace: of the Hessian, without an error.
        layers: the traces of its diagonal blocks, those of the first layer and the second, shape
            `(networks, factors, 2)`.
        keskar: Keskar's sharpness in percent, at least.
        settings: how the networks were trained, for figures.
    """

    n: int
    factors: tuple[float, ...]
    names: tuple[str, ...]
    epsilon: float
    loss: Float[np.ndarray, "networks factors"]
    change: Float[np.ndarray, "networks factors"]
    largest: Float[np.ndarray, "networks factors"]
    residual: Float[np.ndarray, "networks factors"]
    trace: Float[np.ndarray, "networks factors"]
    layers: Float[np.ndarray, "networks factors 2"]
    keskar: Float[np.ndarray, "networks factors"]
    settings: Settings


def rescaled_sharpness(
    n: int = 4,
    *,
    factors: Sequence[float] = FACTORS,
    width: int = 16,
    seeds: int = 3,
    steps: int = 3000,
    learning_rate: float = 1e-2,
    epsilon: float = 1e-3,
    store: str | os.PathLike | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> RescaledSharpness:
    """Scale the first two layers of networks that compute parity against each other, and measure sharpness.

    Weights and bias of the first layer are multiplied by `a`, the weights of the second are divided by it. With ReLU
    between them the function stays as it is, and for powers of two each output stays, bit for bit. The networks
    are the parity tree of ReLU units with dense matrices, and networks of two hidden layers that
    Adam trained on all inputs.

    Args:
        n: the number of bits, at least 3, so that the tree has two hidden layers, and at most 12.
        factors: positive numbers `a`, the first of them 1.
        width: units a hidden layer of the trained networks.
        seeds: how many networks are trained.
        steps: training steps.
        learning_rate: of Adam at the start; it falls to 0 along a cosine, so that training ends at a minimum.
        epsilon: of the box of Keskar's sharpness.
        store: a folder from which a killed run goes on.
        progress: whether to show a progress bar.
        key: a PRNG key.

    Returns:
        A `RescaledSharpness`.

    Raises:
        ValueError: `n` out of its range, no factor, one that isn't positive, a first one that isn't 1, or a
            negative rate.

    Source: Dinh et al., "Sharp minima can generalize for deep nets" (2017), section 4; Keskar et al. (2017) for the
    measure. Departures: biases are scaled along with the weights of their layer, without which the function
    would change.

    Example:
        >>> import deepconstruct as dc, jax
        >>> options = {"factors": [1, 8], "width": 4, "seeds": 1, "steps": 10, "progress": False}
        >>> found = dc.experiments.rescaled_sharpness(3, **options, key=jax.random.key(0))
        >>> float(found.change.max()), bool(found.largest[0, 1] > 10 * found.largest[0, 0])
        (0.0, True)
        >>> dc.plot.sharpness(found).axes[0].get_ylabel()
        'largest eigenvalue of the Hessian'
    """
    owner = "rescaled_sharpness"
    n = check_size(owner, "n", n, minimum=3)
    if n > 12:
        raise ValueError(f"{owner}: n must be at most 12, since all 2^n inputs are used; got {n}")
    factors = _checked_factors(owner, factors)
    rate, epsilon = check_scalar(owner, "learning_rate", learning_rate), check_scalar(owner, "epsilon", epsilon)
    width, seeds, steps = (check_size(owner, name, size) for name, size in
                           (("width", width), ("seeds", seeds), ("steps", steps)))  # fmt: skip
    tree = parity(n)
    inputs = tree.claim.domain.enumerate(jnp.arange(2**n))
    outputs = tree.claim.target(inputs)

    def loss(network: Network, key: PRNGKeyArray) -> Array:
        # Features first is the fast layout on a CPU.
        return jnp.mean((network(inputs.T, axis=0).T - outputs) ** 2)

    networks = [densify(tree.network), *_trained(loss, (n, width, width, 1), seeds, steps, rate, store, progress, key)]
    found = []
    with progress_bar(total=len(networks) * len(factors), shown=progress, unit="network", label="sharpness") as bar:
        for network, factor in itertools.product(networks, factors):
            found.append(_measured(network, factor, loss, inputs, epsilon, store, key))
            bar.update()
    shape = (len(networks), len(factors))
    columns = {
        name: np.reshape([row[name] for row in found], (*shape, *np.shape(found[0][name]))) for name in _MEASURED
    }
    told = f"all {2**n} inputs"
    settings = Settings(steps, None, f"Adam from {rate:g} to 0", "mean squared error", "relu", told)
    names = ("parity tree", *(f"trained, seed {seed}" for seed in range(seeds)))
    return RescaledSharpness(n, factors, names, epsilon, **columns, settings=settings)


def _checked_factors(owner: str, factors: Sequence[float]) -> tuple[float, ...]:
    if isinstance(factors, str) or not hasattr(factors, "__len__") or len(factors) == 0:
        raise ValueError(f"{owner}: factors must be a list of at least one number; got {factors!r}")
    found = tuple(check_scalar(owner, "factors", factor, strict=True) for factor in factors)
    if found[0] != 1:
        raise ValueError(f"{owner}: the first factor must be 1, to which others are compared; got {found[0]:g}")
    return found


def _trained(
    loss: Loss,
    sizes: tuple[int, ...],
    seeds: int,
    steps: int,
    rate: float,
    store: str | os.PathLike | None,
    progress: bool,
    key: PRNGKeyArray,
) -> list[Network]:
    """Networks of these widths that were trained from random weights."""

    def train(key: PRNGKeyArray) -> dict[str, list[Array]]:
        start = random_network(key, sizes, ReLU())
        optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))
        return {"leaves": jax.tree.leaves(fit(start, loss, optimizer, steps=steps, key=key).network)}

    name = f"sharpness-n{sizes[0]}-{sizes[1]}-{steps}-{rate}" if store is not None else "training"
    trained = sweep(train, {}, seeds=seeds, store=store, name=name, progress=progress, key=key)
    structure = jax.tree.structure(random_network(key, sizes, ReLU()))
    leaves = [jnp.asarray(trained[f"leaves.{index}"]) for index in range(structure.num_leaves)]
    return [jax.tree.unflatten(structure, [leaf[seed] for leaf in leaves]) for seed in range(seeds)]


def _measured(
    network: Network,
    factor: float,
    loss: Loss,
    inputs: Array,
    epsilon: float,
    store: str | os.PathLike | None,
    key: PRNGKeyArray,
) -> dict[str, Any]:
    """What is measured of a rescaled network, or was and is in the store."""
    moved = rescale_layers(network, [factor, 1 / factor, *[1.0] * (len(flat_layers(network)) - 2)])
    path = None
    if store is not None:
        words = "-".join(map(str, np.asarray(jax.random.key_data(key)).ravel()))
        path = Path(store) / "sharpness" / f"{digest(moved)[:32]}-{factor}-{epsilon}-{words}.npz"
    if (kept := _read(path)) is not None:
        return kept
    # As many probes as weights, so that traces are exact.
    found = sharpness(moved, loss, epsilon=epsilon, probes=cost(moved).parameters, key=key)
    row = {name: np.array(getattr(found, name)) for name in _KEPT}
    row["layers"] = np.array(found.layers[:2])
    row["change"] = np.asarray(jnp.max(jnp.abs(moved(inputs) - network(inputs))), float)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, row)
    return row


def _read(path: Path | None) -> dict[str, np.ndarray] | None:
    """A measurement that was kept; `None` if there is none, or its file is damaged."""
    if path is None or not path.exists():
        return None
    try:
        found = read_arrays(path)
    except ValueError:
        return None
    return found if set(found) == set(_MEASURED) else None
