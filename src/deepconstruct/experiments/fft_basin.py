"""The basin of attraction of the FFT: perturb, train, and see how sparse it can be made."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._change.perturb import perturb
from .._change.sparsification import SparsificationCurve, sparsification_curve
from .._checks import check_scalar, check_size
from .._fit import fit
from .._sweep import sweep
from ..constructions import fft
from ..losses import l1, population
from ..network import Network
from ..rewrite import densify
from ._settings import Settings, checked_scales, chosen_optimizer, told_optimizer


@dataclasses.dataclass(frozen=True, eq=False)
class FFTBasin:
    """Errors against the number of weights kept, of every run.

    Errors are mean squared errors an output, over inputs of mean 0 and covariance 1; outputs have
    variance 1 then, so that a network without weights errs by 1.

    Attributes:
        n: the size of the transform.
        scales: the noise scales.
        exact: the curve of the construction itself.
        untrained, trained: the curves of the runs before and after training; errors of shape
            `(scales, seeds, counts)`.
        settings: how the runs were trained, for figures; `None` if that isn't known.
    """

    n: int
    scales: tuple[float, ...]
    exact: SparsificationCurve
    untrained: SparsificationCurve
    trained: SparsificationCurve
    settings: Settings | None = None

    @property
    def synapses(self) -> int:
        """Of the construction: `2 n log2 n`."""
        return 2 * self.n * (self.n.bit_length() - 1)

    def whole(self) -> Float[np.ndarray, "scales seeds"]:
        """Errors of the trained networks with all weights."""
        return np.asarray(self.trained.errors[..., -1])

    def sparsified(self) -> Float[np.ndarray, "scales seeds"]:
        """Errors of the trained networks with as many weights as the construction has."""
        return np.asarray(self.trained.errors[..., self.trained.counts.index(self.synapses)])

    def needed(self, tolerance: float | None = None) -> Float[np.ndarray, "scales seeds"]:
        """How many weights the trained networks need: `SparsificationCurve.optimal` where anything was learned.

        NaN where no number of weights halves the error of a network without any; the best number may be none there.
        """
        errors = np.asarray(self.trained.errors)
        learned = errors.min(axis=-1) < errors[..., 0] / 2
        return np.where(learned, self.trained.optimal(tolerance), np.nan)


def fft_basin(
    n: int = 16,
    *,
    scales: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0),
    seeds: int = 3,
    steps: int = 5000,
    learning_rate: float = 1e-3,
    optimizer: Any = None,
    beta: float = 1e-4,
    squared: bool = False,
    store: str | os.PathLike | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> FFTBasin:
    """Perturb every entry of the unitary FFT's factors, train them with Adam, and sparsify.

    The loss is the exact expectation over white inputs, an output, plus an L1 penalty. One `dc.sweep`
    over scales and seeds, on all devices.

    There is no activation to choose: the FFT is a linear map, and so is each of its factors. With any other
    function between the factors they would compute no Fourier transform, there would be no solution
    to come home to, and the loss would have no exact expectation.

    Args:
        n: the size, a power of two of at least 2.
        scales: noise scales `s`; real and imaginary parts of all entries get noise of standard
            deviation `s / sqrt(n)`.
        seeds: runs a scale.
        steps: training steps.
        learning_rate: of Adam.
        optimizer: another than Adam, from Optax; without a store, which couldn't tell it from others.
        beta: strength of the penalty; see `dc.losses.l1`.
        squared: whether the penalty squares each layer's norm.
        store: a folder from which a killed run goes on, as in `dc.sweep`.
        progress: whether to show a progress bar.
        key: a PRNG key.

    Returns:
        An `FFTBasin`.

    Raises:
        ValueError: `n` isn't a power of two, or is below 2; no scale, a negative one, or a negative rate.

    Source: Nye & Saxe (2018), Fig. 2 center. Departures: unitary factors, a plain penalty unless
    `squared`, and steps and rates of our own (the paper gives none of them).

    Example:
        >>> import deepconstruct as dc, jax
        >>> options = {"scales": [0.05, 1.0], "seeds": 1, "steps": 500, "learning_rate": 5e-3}
        >>> found = dc.experiments.fft_basin(4, **options, key=jax.random.key(0), progress=False)
        >>> (found.sparsified() < 1e-3).tolist()
        [[True], [False]]
        >>> dc.plot.fft_basin(found).axes[0].get_xlabel()
        'weights kept, of 32'
    """
    scales = checked_scales("fft_basin", scales)
    learning_rate = check_scalar("fft_basin", "learning_rate", learning_rate)
    chosen = chosen_optimizer("fft_basin", optimizer, optax.adam(learning_rate), store)
    exact = fft(check_size("fft_basin", "n", n, minimum=2), norm="ortho")
    network = densify(exact.network)
    # A covariance of 1 / n makes the sum over outputs their mean.
    error = population(exact.claim.target.matrix(), covariance=np.eye(n) / n)
    reference = sparsification_curve(network, error)

    def curve(network: Network) -> Array:
        return sparsification_curve(network, error, keeps=reference.counts).errors

    def run(key: PRNGKeyArray, scale: Array) -> dict[str, Array]:
        start = perturb(network, scale, key=key)  # Glorot's sqrt(2 / (n + n)) is 1 / sqrt(n)
        trained = fit(start, error + l1(beta, squared=squared), chosen, steps=steps, key=key)
        return {"untrained": curve(start), "trained": curve(trained.network)}

    grid = {"scale": np.asarray(scales, np.finfo(network.dtype).dtype)}
    penalty = f"{float(beta)}{'squared' if squared else ''}"
    name = f"fft-n{n}-{steps}-{learning_rate}-{penalty}" if store is not None else f"fft {n:4}"
    found = sweep(run, grid, seeds=seeds, store=store, name=name, progress=progress, key=key)
    curves = (SparsificationCurve(reference.counts, jnp.asarray(found[when])) for when in ("untrained", "trained"))
    told = told_optimizer(optimizer, f"Adam at {learning_rate:g}")
    loss = f"mean squared error + {beta:g} L1{' squared' if squared else ''}"
    settings = Settings(steps, None, told, loss, "linear", "the exact expectation")
    return FFTBasin(n, scales, reference, *curves, settings=settings)
