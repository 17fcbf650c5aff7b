"""Layers, repeated blocks and networks: weights, and nothing about what they compute."""

from .layer import Label as Label, Layer as Layer
from .network import Network as Network, describe as describe
from .queries import (
    flat_layers as flat_layers,
    layer_outputs as layer_outputs,
    own as own,
    stack_size as stack_size,
)
from .repeat import Repeat as Repeat, block_layers as block_layers, repetition as repetition
from .running import UNITS_HELD as UNITS_HELD, plan as plan
