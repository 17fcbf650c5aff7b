"""Proof by boxes: ReLU and step networks on fractals, and of few inputs against piecewise affine functions.

`boxes_fractals` and `boxes_regions` say what is shown, and how; here is what both have in common: the network is one
of this library's, of real finite weights, and its rounding is that of the claims' model.
"""

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.trust import is_known
from ...construction import Bound, Construction
from ...domains import Box
from ...network import Network, block_layers
from ..certificate import Certificate, proved, undecided
from ..method import Method, Options
from . import fractals as boxes_fractals, regions as boxes_regions
from .forms import Runner
from .search import Undecided
from .stages import ACTIVATIONS, WIDEST, is_plain, stages_of


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    reason = _unknown(network) or _kind(construction).unfit(claim)
    if reason is not None:
        return reason
    if (network.in_size, network.out_size) != (claim.domain.size, claim.codomain.size):
        return "network, domain and codomain differ in size"
    return None


def _kind(construction: Construction):
    return boxes_regions if type(construction.claim.domain) is Box else boxes_fractals


def _unknown(network: Network) -> str | None:
    """Why nothing can be said of a network."""
    if not jnp.issubdtype(network.dtype, jnp.floating):
        return "boxes are about real weights"
    layers = block_layers(network.layers)
    if not is_known(network, ACTIVATIONS) or not all(is_plain(layer.linear) for layer in layers):
        return "boxes take ReLU and step units behind plain sums of this library's maps"
    if max(network.in_size, *(layer.out_size for layer in layers)) > WIDEST:
        return f"boxes take layers of up to {WIDEST} units"
    return None


def _run(construction: Construction, options: Options) -> Certificate:
    claim, network = construction.claim, construction.network
    stages = stages_of(network)
    if not all(np.all(np.isfinite(stage.weights)) and np.all(np.isfinite(stage.bias)) for stage in stages):
        return undecided(construction, METHOD.name, "a weight isn't finite")
    try:
        error, evidence, radius = _kind(construction).proved(claim, Runner(stages, network.dtype))
    except Undecided as reason:
        return undecided(construction, METHOD.name, str(reason))
    return proved(
        construction,
        METHOD.name,
        moved=radius == claim.robustness.radius,
        found=Bound(error),
        evidence=evidence,
        trusts=("sums of doubles in NumPy, and singular values",),
    )


METHOD = Method(
    name="boxes",
    where="ReLU and step networks on fractals of up to 4 coordinates, and ReLU networks of up to 4 inputs in a box "
    "against piecewise affine functions",
    does="boxes, or regions between kinks, are cut until network and rounding are decided on each",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
    searches=True,
)
