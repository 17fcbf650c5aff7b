"""What interchange refuses, whatever the format."""

import jax
import pytest

import deepconstruct as dc
from deepconstruct.interchange import limits, names, plain


@pytest.mark.parametrize("text, said", [
    (3, "must be a short text"), ("relu" * 10_000, "must be a short text"),
    ("relu * 2 + identity", "must read as 'relu' or"), ("relu; import os", "must read as 'relu' or"),
    ("power(0)", "the number of an activation is wrong"), ("rellu", "no activation 'rellu'"),
])  # fmt: skip
def test_names_of_activations_that_are_none(text, said):
    with pytest.raises(ValueError, match=said):
        names.parsed("here", text)


def test_files_that_are_too_long():
    assert limits.check_length("here", b"abc", 3) == b"abc"
    with pytest.raises(ValueError, match="has more than max_bytes=3 bytes"):
        limits.check_length("here", b"abcd", 3)


def test_weights_that_a_format_does_not_hold():
    network = dc.parity(2, dtype="float32").network
    assert plain.check_real("here", network, ("float32",)) is network
    with pytest.raises(TypeError, match=r"weights must be of float32; got bfloat16.* Cast them by dc\.astype"):
        plain.check_real("here", dc.parity(2, dtype="bfloat16"), ("float32",))
    with pytest.raises(TypeError, match="complex weights have no counterpart there"):
        plain.check_real("here", dc.fft(2))
    with pytest.raises(TypeError, match="this is a stack of networks; take them apart"):
        plain.check_real("here", dc.stack([network, network]))
    with pytest.raises(TypeError, match="the weights are being traced; call it outside jit"):
        jax.jit(lambda traced: plain.check_real("here", traced))(network)
