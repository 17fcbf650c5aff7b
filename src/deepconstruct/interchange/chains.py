"""Modules of other libraries that are run one after another, as layers."""

from typing import Any

from ..activations import AbstractActivation, Identity
from ..network import Network


class Chain:
    """Linear maps and activations in the order in which they are run.

    Args:
        owner: begins messages.
    """

    def __init__(self, owner: str):
        self.owner = owner
        self.weights: list[Any] = []
        self.biases: list[Any] = []
        self.activations: list[AbstractActivation] = []

    def linear(self, weight: Any, bias: Any) -> None:
        """Add a layer, `weight` of shape `(out, in)`."""
        self.weights.append(weight)
        self.biases.append(bias)
        self.activations.append(Identity())

    def activate(self, where: str, activation: AbstractActivation) -> None:
        """Give the last layer its activation."""
        if not self.activations or type(self.activations[-1]) is not Identity:
            raise ValueError(f"{self.owner}: {where} must follow a linear map, as in layers here")
        self.activations[-1] = activation

    def network(self) -> Network:
        if not self.weights:
            raise ValueError(f"{self.owner}: expected at least one linear map; got none")
        return Network.from_matrices(self.weights, self.biases, self.activations)
