"""The approximation curve as networks see it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._checks import check_scalar, check_size, widest
from ..construction import Construction, as_network
from ..network import Network
from .fractal import FractalDistribution


@dataclasses.dataclass(frozen=True, eq=False)
class MeasuredCurve:
    """Accuracies of networks on one sample.

    Attributes:
        accuracy: the share of points with the right label, one a network.
        num: the number of points.
    """

    accuracy: np.ndarray
    num: int

    @property
    def standard_error(self) -> np.ndarray:
        """Of the accuracies, as shares of independent points."""
        return np.sqrt(self.accuracy * (1 - self.accuracy) / self.num)


def measured_curve(
    distribution: FractalDistribution,
    networks: Sequence[Network | Construction],
    key: PRNGKeyArray,
    num: int,
    *,
    threshold: float = 0.5,
) -> MeasuredCurve:
    """Measure how often networks are right on a distribution.

    For the indicators `dc.fractal(system, j)` the accuracy is `P(j)`, up to the error of sampling.

    Args:
        distribution: where points and labels come from.
        networks: with one output each.
        key: a PRNG key; all networks see the same points.
        num: the number of points, at least 1.
        threshold: outputs above it count as label +1; 0 for networks trained on labels ±1.

    Raises:
        ValueError: a network with another number of inputs or outputs, or `num` below 1.

    Example:
        >>> import deepconstruct as dc, jax
        >>> cantor = dc.systems.cantor()
        >>> distribution = dc.data.FractalDistribution(cantor, 3, dc.data.coarse)
        >>> found = dc.data.measured_curve(distribution, [dc.fractal(cantor, 1)], jax.random.key(0), 1000)
        >>> found.accuracy.tolist()
        [1.0]
    """
    num = check_size("measured_curve", "num", num)
    threshold = check_scalar("measured_curve", "threshold", threshold, minimum=-np.inf)
    nets = [as_network("measured_curve", network) for network in networks]
    for net in nets:
        if (net.in_size, net.out_size) != (distribution.system.size, 1):
            raise ValueError(
                f"measured_curve: expected networks from {distribution.system.size} numbers to 1; "
                f"got one from {net.in_size} to {net.out_size}"
            )
    dtype = widest(*(net.dtype for net in nets)) if nets else None
    x, y = distribution.sample(key, num, dtype=dtype)
    right = [float(jnp.mean(_labels(net, x, threshold) == (y > 0))) for net in nets]
    return MeasuredCurve(np.array(right), num)


@jax.jit
def _labels(network: Network, x: Any, threshold: Any) -> Any:
    return network(x.T, axis=0)[0] > threshold
