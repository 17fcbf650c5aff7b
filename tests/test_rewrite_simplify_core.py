"""Rows of layers, layers of rows, labels of single units, and claims that are kept or not."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportAttributeAccessIssue=false
# (maps are made of NumPy's arrays here, and every layer that is asked for is there)

import dataclasses

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.construction.encoding import digest
from deepconstruct.linear import as_matrix
from deepconstruct.network import Label, Layer, Network, flat_layers
from deepconstruct.rewrite._claims import kept_claim, rewritten
from deepconstruct.rewrite._core import fits, is_vast, layer_of, rows_of, with_values


def built():
    return [dc.catalog.build(name, dtype=entry.dtype()) for name, entry in dc.catalog.ENTRIES.items()]


@pytest.fixture(scope="module")
def catalog():
    return built()


def test_rows_and_back_is_the_same_layer(catalog):
    seen = 0
    for construction in catalog:
        for layer in flat_layers(construction.network):
            rows = rows_of(layer)
            if rows is None:
                continue
            seen += 1
            assert np.array_equal(rows.matrix(), np.asarray(as_matrix(layer.linear), np.float64))
            kept, plain = (
                layer_of(rows, construction.network.dtype, like=layer),
                layer_of(rows, construction.network.dtype),
            )
            assert type(kept.linear) is type(layer.linear)
            assert kept.label == layer.label
            assert np.array_equal(rows_of(plain).matrix(), rows.matrix())
            assert np.array_equal(rows_of(plain).gates, rows.gates)
            assert np.array_equal(rows_of(plain).bias, rows.bias)
            assert plain.activation == layer.activation
    assert seen > 100


def test_what_rows_cannot_say_is_left():
    assert rows_of(flat_layers(dc.fft(4).network)[0]) is None  # complex
    assert rows_of(Layer(np.eye(2), None, "softmax")) is None
    inner, outer = dc.linear.Dense(np.float32([[0.1]])), dc.linear.Dense(np.float32([[0.1]]))
    assert rows_of(Layer(dc.linear.Composed(outer, inner))) is None  # the product rounds
    half = dc.linear.Dense(np.float32([[0.5]]))
    assert rows_of(Layer(dc.linear.Composed(half, inner))).values.tolist() == [float(np.float32(0.1)) / 2]
    assert is_vast(dc.parity_shallow(32).network.layers[0].linear) is False
    with pytest.raises(ValueError, match="layer_of: all weights must be numbers of float16"):
        layer_of(rows_of(Layer(np.float32([[0.1]]))), np.float16)


def test_numbers_fit_where_they_are_normal_floats():
    values = np.array([0, 1, 0.1, float(np.float32(0.1)), 2.0**-126, 2.0**-127, 2.0**127, 2.0**128, -3])
    assert fits(values, "float32").tolist() == [True, True, False, True, True, False, True, False, True]


def test_values_keep_the_class_where_all_entries_are_free():
    linear = dc.linear
    maps = [
        linear.Dense(np.ones((2, 3), np.float32)),
        linear.Sparse([0, 1], [2, 0], np.ones(2, np.float32), (2, 3)),
        linear.BlockDiagonal(np.ones((2, 1, 3, 2), np.float32)),
        linear.Butterfly(np.ones((1, 2, 2, 2), np.float32), [3, 0, 1, 2]),
    ]
    maps.append(linear.DirectSum(tuple(maps)))
    for given in maps:
        rows, cols, old = given.entries()
        found = with_values(given, 1.0 + np.arange(len(old)))
        assert type(found) is type(given)
        wanted = np.zeros((given.out_size, given.in_size))
        wanted[rows, cols] = 1.0 + np.arange(len(old))
        assert np.array_equal(as_matrix(found), wanted)
    assert (
        type(with_values(linear.Kronecker(np.ones((1, 1), np.float32), outer=2, inner=1), np.ones(2))) is linear.Sparse
    )


def test_labels_list_the_gates_of_single_units():
    label = Label("gate", listed=(3, -1, 0))
    assert [label.gate(unit, 3) for unit in range(3)] == label.gates(3).tolist() == [3, -1, 0]
    layer = Layer(np.eye(3), None, "relu", label)
    assert [unit.gate for unit in dc.units(Network((layer,)))] == [3, -1, 0]
    with pytest.raises(ValueError, match="Layer: the label lists 3 gates for 2 units"):
        Layer(np.eye(2), None, "relu", label)
    with pytest.raises(ValueError, match="Label: a listed gate must be at least -1; got -2"):
        Label("gate", listed=(-2,))


def test_labels_go_through_files_and_digests(tmp_path):
    networks = [Network((Layer(np.eye(2), None, "relu", Label("g", listed=gates)),)) for gates in ((), (1, 0), (0, 1))]
    assert len({digest(network) for network in networks}) == 3
    for network in networks:
        dc.save(tmp_path / "n.dc", network)
        loaded = dc.load(tmp_path / "n.dc")
        assert digest(loaded) == digest(network)
        assert loaded.layers[0].label == network.layers[0].label


def test_claims_are_kept_where_nothing_rounds_and_widened_or_refused_where_it_may():
    xor = dc.parity(4)
    assert kept_claim(xor, xor.network) == xor.claim
    layers = len(flat_layers(xor.network))
    kept = kept_claim(xor, xor.network, rounds=[True] * layers)
    assert kept.error.is_exact
    assert kept.robustness.rounding > xor.claim.robustness.rounding
    product = dc.multiplication_gate()
    layers = len(flat_layers(product.network))
    assert kept_claim(product, product.network, rounds=[True] * layers).error.largest > product.claim.error.largest
    step = dc.parity(4, activation="step")
    assert kept_claim(step, step.network, rounds=[False, True, True]) == step.claim
    moved = dataclasses.replace(step, network=jax.tree.map(lambda leaf: leaf * 0.7, step.network))
    assert kept_claim(moved, moved.network, rounds=[True, True, True]) is None
    with pytest.raises(ValueError, match=r"simplify: what parity\(4\).* rounds then can't be bounded"):
        rewritten("simplify", moved, moved.network, rounds=[True, True, True])


def test_what_is_given_comes_back():
    xor = dc.parity(4)
    found = rewritten("turn", xor, xor.network)
    assert (found.claim, found.origin.rule, found.origin.of) == (xor.claim, "turn", xor)
    assert isinstance(rewritten("turn", xor.network, xor.network), Network)
