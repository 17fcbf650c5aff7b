"""Settings of experiments: checked before they are traced, and told with the results."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from .._checks import check_scalar
from ..activations import AbstractActivation, Custom, groups


@dataclasses.dataclass(frozen=True)
class Settings:
    """How the runs of an experiment were trained, as their figures tell it.

    Attributes:
        steps: of the optimizer.
        batch_size: inputs a step; `None` for the exact expectation over all inputs.
        optimizer: and its rate.
        loss: what was trained on.
        activation: of the hidden units.
        test: what the results were measured on.
    """

    steps: int
    batch_size: int | None
    optimizer: str
    loss: str
    activation: str
    test: str

    def __str__(self) -> str:
        inputs = "the exact expectation" if self.batch_size is None else f"batches of {self.batch_size:,}"
        steps = f"{self.steps:,} step{'s' * (self.steps != 1)} on {inputs}"
        return f"{steps}, {self.optimizer}, {self.loss}, {self.activation} units, tested on {self.test}"


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


def told_optimizer(optimizer: Any, usual: str) -> str:
    """For figures: the usual one, or that the user gave another (an Optax optimizer has no name)."""
    return usual if optimizer is None else "optimizer of the caller"


def stored_activation(owner: str, activation: AbstractActivation, usual: AbstractActivation, store: Any) -> str:
    """What the name of a store says of an activation: nothing of the usual one."""
    if store is not None and any(isinstance(part, Custom) for part, _ in groups(activation, 0)):
        raise ValueError(f"{owner}: a store can't tell functions apart; pass a named activation, or no store")
    return "" if activation == usual else f"-{activation!r}"
