"""Classifiers: networks of logits with a softmax behind."""

import numpy as np

from ...activations import Softmax
from ...construction import Construction
from ...domains import AbstractDomain, Box
from ...network import Label, Layer, Network
from ...targets import AbstractTarget
from .accuracy import Accuracy


def classifier(
    logits: Network, accuracy: Accuracy, target: AbstractTarget, domain: AbstractDomain, dtype: np.dtype, source: str
) -> Construction:
    """The construction of probabilities from a network of logits and its accuracy."""
    *hidden, last = logits.layers
    assert isinstance(last, Layer)
    readout = Layer(last.linear, last.bias, Softmax(), Label("softmax"))
    # In floating point a probability may exceed 1 by rounding.
    codomain = Box(logits.out_size, 0.0, 1.0 + 2.0**-20)
    claim = accuracy.behind_softmax(logits.out_size, dtype).claim(target, domain, codomain, dtype, source)
    return Construction(Network((*hidden, readout)), claim)
