"""Networks as safetensors, and as functions that JAX exports."""

import sys

import jax
import numpy as np
import pytest
from jax import export

import deepconstruct as dc
from deepconstruct.construction.encoding import digest
from interchanged import dense_digest, one_of_each, real_entries, sizes_and_structures


def test_safetensors_come_back(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    entries = [construction.network for construction in real_entries().values()]
    for network in (*one_of_each(), *sizes_and_structures(), *entries):
        content = dc.interchange.to_safetensors(network, path)
        assert digest(dc.interchange.from_safetensors(content)) == dense_digest(network)
        assert digest(dc.interchange.from_safetensors(path)) == dense_digest(network)


def test_safetensors_of_others_are_read_in_the_order_of_their_numbers():
    numpy = pytest.importorskip("safetensors.numpy")
    matrices = {f"fc{index}.weight": np.full((index, index - 1), 1.0, "float32") for index in range(2, 13)}
    network = dc.interchange.from_safetensors(numpy.save(matrices), activation="relu")
    assert (network.in_size, network.out_size, len(network.layers)) == (1, 12, 11)
    with pytest.raises(ValueError, match="from_safetensors: the content: layer 'fc2' has no activation; pass activ"):
        dc.interchange.from_safetensors(numpy.save(matrices))


def test_damaged_safetensors_are_refused_or_read_and_nothing_else():
    pytest.importorskip("safetensors")
    content, rng, refusals = dc.interchange.to_safetensors(dc.parity(3)), np.random.default_rng(0), 0
    for _ in range(300):
        wrong = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            wrong[place] = rng.integers(0, 256)
        try:
            dc.interchange.from_safetensors(
                bytes(wrong[: rng.integers(1, len(content) + 1)] if rng.random() < 0.3 else wrong)
            )
        except ValueError as error:
            assert "from_safetensors: the content" in str(error)  # noqa: PT017
            refusals += 1
    assert refusals > 100
    with pytest.raises(ValueError, match="from_safetensors: the content has more than max_bytes=10 bytes"):
        dc.interchange.from_safetensors(content, max_bytes=10)


def test_without_safetensors_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(
        ImportError, match=r"to_safetensors needs safetensors: pip install 'deepconstruct\[interchange\]'"
    ):
        dc.interchange.to_safetensors(dc.parity(2))


def test_exported_functions_take_any_weights_and_any_number_of_inputs():
    for construction in (
        dc.parity(5, dtype="float32"),
        dc.fft(4, dtype="complex64"),
        dc.fractal(dc.systems.cantor(), 3, dtype="float32"),
    ):
        network = construction.network
        content = dc.interchange.to_jax_export(construction).serialize()
        exported = export.deserialize(content)
        other = jax.tree.map(lambda leaf: leaf * 2, network)
        for count in (1, 7):
            x = construction.claim.domain.probe(jax.random.key(0), (count,), dtype=network.dtype)
            for taken in (network, other):
                assert np.allclose(exported.call(jax.tree.leaves(taken), x), taken(x), rtol=1e-5, atol=1e-5)
    with pytest.raises(TypeError, match=r"to_jax_export: this is a stack of networks; take them apart by dc.unstack"):
        dc.interchange.to_jax_export(dc.stack([dc.parity(2), dc.parity(2)]))
