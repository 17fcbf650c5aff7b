"""How the error of a network grows as fewer of its weights are kept."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_key, check_scalar, check_size, is_concrete
from ..construction import Construction, as_network
from ..network import Network
from .sparsify import kept, num_weights, ranks_of

# By default every count up to the first is tried; larger ones are at most this factor apart.
_EVERY, _RATIO = 1024, 1.01
# Weights of all copies of a network that are held at a time, and copies.
_HELD, _COPIES = 2**19, 64


class SparsificationCurve(eqx.Module):
    """The error of a network against the number of weights kept.

    Attributes:
        counts: numbers of weights kept, increasing.
        errors: the error at each count, shape `(*batch, counts)`.
    """

    counts: tuple[int, ...] = eqx.field(static=True)
    errors: Float[Array, "*batch counts"]

    def __repr__(self) -> str:
        return f"SparsificationCurve({len(self.counts)} counts up to {self.counts[-1]}; errors {self.errors.shape})"

    def optimal(self, tolerance: Any = None) -> Float[Array, "*batch"]:
        """The smallest count that is good enough: the L0 norm after optimal sparsification.

        The paper says no more than "optimal". Its text, that near the solution sparsification
        decreases the error and far from it any amount increases it, fits the count of least error,
        which is the default here; a tolerance depends less on small differences between errors.

        Args:
            tolerance: the largest error that is good enough, at least 0; `None` for the least error
                of the curve.

        Returns:
            Counts as floats, shape `(*batch,)`; NaN where no count is good enough (ask
            `errors.min(-1)` how far it got), and by default where any error is NaN. One failed run
            so spoils no sweep.

        Raises:
            ValueError: a negative tolerance.

        *Source*: Nye & Saxe (2018), Fig. 2 right.
        """
        if tolerance is None:
            tolerance = jnp.min(self.errors, axis=-1, keepdims=True)
        elif is_concrete(tolerance):
            check_scalar("optimal", "tolerance", tolerance)
        with jax.numpy_dtype_promotion("standard"):  # the tolerance may be of higher precision
            enough = self.errors <= tolerance
        counts = jnp.asarray(self.counts, jnp.result_type(float))
        return jnp.where(jnp.any(enough, axis=-1), counts[jnp.argmax(enough, axis=-1)], jnp.nan)


def sparsification_curve(
    network: Network | Construction | Sequence[Network | Construction],
    error: Callable[[Network, Any], Array],
    *,
    keeps: Sequence[int] | None = None,
    batch_size: int | None = None,
    key: PRNGKeyArray | None = None,
) -> SparsificationCurve:
    """The error after `sparsify`, for every number of weights kept.

    One compiled program that ranks the weights once. Pure JAX: works under jit, and vmap over
    networks, which is the way for stacked ones, such as those of a vmapped `fit`.

    Args:
        network: a network or construction, or a list of them, all of one structure, for errors of
            shape `(networks, counts)`.
        error: called as `error(network, key)`, gives one real number; see `deepconstruct.losses`.
            `dc.losses.population` is exact for linear networks.
        keeps: increasing counts from 0 to the number of free weights (as `sparsify` counts them).
            By default all from 0 to 1,024, then counts at most 1 % apart, up to all weights.
        batch_size: counts evaluated at once; by default at most 64, and such that 0.5 million weights
            are held (under vmap: for every network).
        key: for errors that draw inputs, the same at every count; `None` for those that don't.

    Returns:
        Counts and errors, with the count that is `optimal`.

    Raises:
        ValueError: counts that don't increase or are out of range, an error that isn't one number,
            networks of several structures, or none.
        TypeError: counts that aren't integers, something else than a network, an error or a key.

    *Source*: Nye & Saxe (2018), Fig. 2 center and right.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> loss = dc.losses.population(np.fft.fft(np.eye(4)))
        >>> curve = dc.sparsification_curve(dc.densify(dc.fft(4)), loss, keeps=[0, 8, 15, 16, 32])
        >>> curve.errors.tolist()
        [16.0, 16.0, 2.0, 0.0, 0.0]
        >>> float(curve.optimal())
        16.0
    """
    many = isinstance(network, list | tuple)
    networks = [as_network("sparsification_curve", single) for single in (network if many else [network])]
    _check_alike(networks)
    if not callable(error):
        raise TypeError(
            "sparsification_curve: error must be called as error(network, key), "
            f"as those of dc.losses are; got {error!r}"
        )
    if key is not None:
        check_key("sparsification_curve", key)
    total = num_weights(networks[0])
    counts = _default_counts(total) if keeps is None else _checked_counts(keeps, total)
    if batch_size is None:
        batch_size = min(max(_HELD // max(total, 1), 1), _COPIES)
    size = min(check_size("sparsification_curve", "batch_size", batch_size), len(counts))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    errors = _errors(stacked, error, jnp.asarray(counts, jnp.int32), key, size)
    return SparsificationCurve(counts, errors if many else errors[0])


@eqx.filter_jit
def _errors(networks: Network, error: Callable, counts: Array, key: Any, size: int) -> Float[Array, "networks counts"]:
    """Errors of stacked networks, one network after another, `size` counts at a time."""

    def of_network(network: Network) -> Array:
        ranks = ranks_of(network)

        def at_count(count: Array) -> Array:
            value = jnp.asarray(error(kept(network, ranks, count), key))
            if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
                raise ValueError(
                    "sparsification_curve: error must give one real number; "
                    f"got {value.dtype.name} of shape {value.shape}"
                )
            return value

        return jax.lax.map(at_count, counts, batch_size=size)

    return jax.lax.map(of_network, networks)


def _checked_counts(keeps: Any, total: int) -> tuple[int, ...]:
    try:
        counts = tuple(operator.index(keep) for keep in keeps)
    except TypeError:
        raise TypeError(f"sparsification_curve: keeps must be integers; got {keeps!r}") from None
    if not counts or counts[0] < 0 or counts[-1] > total or not np.all(np.diff(counts) > 0):
        raise ValueError(
            f"sparsification_curve: keeps must increase from 0 or more to at most {total}, the number of free weights; "
            f"got {list(counts)}"
        )
    return counts


def _default_counts(total: int) -> tuple[int, ...]:
    counts = list(range(min(_EVERY, total) + 1))
    while counts[-1] < total:
        counts.append(min(int(counts[-1] * _RATIO), total))
    return tuple(counts)


def _check_alike(networks: list[Network]) -> None:
    kinds = {
        (jax.tree.structure(network), *((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(network)))
        for network in networks
    }
    if len(kinds) != 1:
        raise ValueError(
            "sparsification_curve: expected a network, or a list of networks of one structure; "
            f"got {len(kinds)} structures"
        )
