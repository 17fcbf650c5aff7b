"""Noise scales, and other settings of experiments, checked before they are traced."""

from collections.abc import Sequence
from typing import Any

from .._checks import check_scalar


def checked_scales(owner: str, scales: Sequence[float]) -> tuple[float, ...]:
    """At least one finite scale, none of them negative."""
    if isinstance(scales, str) or not hasattr(scales, "__len__") or len(scales) == 0:
        raise ValueError(f"{owner}: scales must be a list of at least one noise scale; got {scales!r}")
    return tuple(check_scalar(owner, "scales", scale) for scale in scales)


def chosen_optimizer(owner: str, optimizer: Any, usual: Any, store: Any) -> Any:
    """The user's optimizer, or the usual one."""
    if optimizer is not None and store is not None:
        raise ValueError(f"{owner}: a store can't tell optimizers apart; pass learning_rate for Adam, or no store")
    return usual if optimizer is None else optimizer
