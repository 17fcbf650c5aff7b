"""Replaced and read units, tables of units and costs, and stacks of networks."""

# Wrong arguments are the point of the refusals.
# pyright: reportArgumentType=false

import dataclasses
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._io.html import html_table
from deepconstruct.network import stack_size

RNG = np.random.default_rng(1)
W = [RNG.normal(size=shape) for shape in ((4, 3), (4, 4), (2, 4))]
B = [RNG.normal(size=size) for size in (4, 4, 2)]
NET = dc.Network.from_matrices(W, B, "tanh")
X = RNG.normal(size=(5, 3))


def with_block() -> dc.Network:
    """A layer, a block of two layers three times, and a readout: eight layers in all."""

    def block(t: int) -> tuple[dc.Layer, ...]:
        rng = np.random.default_rng(t)
        return tuple(dc.Layer(rng.normal(size=(4, 4)), rng.normal(size=4), "tanh") for _ in range(2))

    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(block, range(3)))
    return dc.Network((dc.Layer(W[0], B[0], "tanh"), dc.Repeat(stacked, 3), dc.Layer(W[2], None)))


def by_hand(network, x, replace):
    """All outputs of layers in NumPy; `replace` maps a layer to a function of its outputs."""
    outputs = []
    for index, layer in enumerate(dc.network.flat_layers(network)):
        weight, bias = np.asarray(dc.linear.as_matrix(layer.linear)), layer.bias
        z = x @ weight.T + (0 if bias is None else np.asarray(bias))
        x = z if layer.is_linear else np.tanh(z)
        x = replace.get(index, lambda h: h)(x)
        outputs.append(x)
    return outputs


def unit_set(unit, value):
    def change(h):
        h = h.copy()
        h[..., unit] = value
        return h

    return change


PER_INPUT = np.arange(5.0)
EDITS = {
    "a unit": ({(1, 2): 0.5}, {1: unit_set(2, 0.5)}),
    "a unit, an input": ({(1, 2): PER_INPUT}, {1: unit_set(2, PER_INPUT)}),
    "from the end": ({(-2, -1): 2.0}, {-2: unit_set(3, 2.0)}),
    "a layer": ({0: np.arange(4.0)}, {0: lambda h: h * 0 + np.arange(4.0)}),
    "a layer, an input": ({0: np.ones((5, 4))}, {0: lambda h: h * 0 + 1}),
    "a layer to a number": ({0: 0}, {0: lambda h: 0 * h}),
    "by a function": ({(0, 1): lambda h: 2 * h, 1: lambda h: -h}, {0: lambda h: h * [1, 2, 1, 1], 1: lambda h: -h}),
    "units after their layer": ({(0, 1): 7.0, 0: 0.0}, {0: lambda h: 0 * h + [0, 7, 0, 0]}),
    "two units": ({(0, 1): 7.0, (0, 3): 8}, {0: lambda h: unit_set(3, 8)(unit_set(1, 7)(h))}),
    "the output": ({(-1, 0): 1.0}, {-1: unit_set(0, 1.0)}),
    "nothing": ({}, {}),
}


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("make", [lambda: NET, with_block], ids=["plain", "block"])
def test_replaced_outputs_are_what_the_next_layers_see(make, name):
    network, (replace, changes) = make(), EDITS[name]
    depth = len(dc.network.flat_layers(network))
    expected = by_hand(network, X, {layer % depth: change for layer, change in changes.items()})
    run = jax.jit(lambda network, x: dc.run_with(network, x, replace=replace, read=[*range(depth), (0, -1)]))
    output, [*layers, unit] = run(network, X)
    assert np.allclose(output, expected[-1], rtol=0, atol=1e-12)
    assert all(np.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(layers, expected, strict=True))
    assert np.allclose(unit, expected[0][:, -1], rtol=0, atol=1e-12)


def test_without_read_the_output_alone_comes_back():
    assert np.array_equal(dc.run_with(NET, X), NET(X))
    assert dc.run_with(NET, X[0], replace={(0, 0): 1}).shape == (2,)
    output, values = dc.run_with(NET, X, read=[])
    assert output.shape == (5, 2)
    assert values == []


@pytest.mark.parametrize("index", [1, 4, 6])
def test_units_inside_a_block_are_counted_unrolled(index):
    network = with_block()
    _, [layer] = dc.run_with(network, X, read=[index])
    assert np.allclose(layer, dc.layer_outputs(network, X)[index], rtol=0, atol=1e-12)


def test_untouched_blocks_stay_one_scan():
    scans = str(jax.make_jaxpr(lambda x: dc.run_with(with_block(), x, replace={0: 0.0}))(X)).count("scan[")
    assert scans == 1
    assert "scan[" not in str(jax.make_jaxpr(lambda x: dc.run_with(with_block(), x, read=[3]))(X))


@pytest.mark.slow
def test_patching_is_differentiable_and_maps():
    def output(value, x):
        return jnp.sum(dc.run_with(NET, x, replace={(0, 1): value}) ** 2)

    slope, step = jax.grad(output)(0.3, X), 1e-6
    assert float(slope) == pytest.approx(float(output(0.3 + step, X) - output(0.3 - step, X)) / (2 * step), rel=1e-6)
    values = jnp.arange(3.0)
    mapped = jax.vmap(output, in_axes=(0, None))(values, X)
    assert np.allclose(mapped, [output(value, X) for value in values], rtol=0, atol=1e-12)


def test_every_gate_of_a_tree_is_patched_by_its_value():
    # Activation patching: with the units of one gate taken from another input, its bit changes.
    xor, clean, other = dc.parity(4), [0, 0, 0, 0], [1, 0, 0, 0]
    rows = [unit for unit in dc.units(xor) if unit.layer == 0 and unit.gate == 0]
    places = [(unit.layer, unit.unit) for unit in rows]
    assert len(places) == 2
    _, values = dc.run_with(xor, other, read=places)
    patched = dc.run_with(xor, clean, replace=dict(zip(places, values, strict=True)))
    assert patched.tolist() == [1.0]
    assert dc.run_with(xor, other, replace=dict.fromkeys(places, 0)).tolist() == [0.0]


def test_values_are_cast_to_the_weights():
    network = dc.parity(2, dtype="float16").network
    assert dc.run_with(network, [1, 0], replace={0: np.array([1, 0], ">f8")}).dtype == "float16"
    assert dc.run_with(dc.fft(4, dtype="complex64"), np.ones(4), replace={(0, 0): 1j}).dtype == "complex64"


PLACES = [
    (ValueError, {"replace": {(3, 0): 0}}, "run_with: a layer must be below 3; got 3"),
    (ValueError, {"replace": {-4: 0}}, "run_with: a layer must be at least -3; got -4"),
    (ValueError, {"read": [(0, 4)]}, "run_with: a unit of layer 0 must be below 4; got 4"),
    (ValueError, {"replace": {(0, -1): 0, (0, 3): 0}}, "run_with: unit 3 of layer 0 is replaced twice"),
    (ValueError, {"replace": {0: 0, -3: 0}}, "run_with: layer 0 is replaced twice"),
    (ValueError, {"replace": {(0, 0): np.ones(3)}}, r"must be a number or broadcast to \(5,\); got shape \(3,\)"),
    (ValueError, {"replace": {0: np.ones(5)}}, r"value of layer 0 must be .* broadcast to \(5, 4\); got shape \(5,\)"),
    (TypeError, {"replace": {(0, 0): 1j}}, "run_with: a complex value for unit 0 of layer 0 of a real network"),
    (TypeError, {"replace": {(0, 0): "1"}}, "the value of unit 0 of layer 0 must be numbers; got '1', a text"),
    (TypeError, {"replace": {(0, 0, 0): 1}}, r"run_with: a place must be a layer or a pair \(layer, unit\); got"),
    (TypeError, {"replace": {"0": 1}}, "run_with: a layer must be an integer; got '0'"),
    (TypeError, {"replace": {(0, None): 1}}, "run_with: a unit of layer 0 must be an integer; got None"),
    (TypeError, {"replace": [0]}, "run_with: replace must be a dict from places to values; got list"),
    (TypeError, {"read": (0, 1)}, r"run_with: read must be a list of places, such as .*; got \(0, 1\)"),
    (TypeError, {"read": 0}, "run_with: read must be a list of places, such as .*; got 0"),
]  # fmt: skip


@pytest.mark.parametrize("error,options,message", PLACES, ids=[case[-1] for case in PLACES])
def test_places_and_values_that_do_not_fit_are_refused(error, options, message):
    with pytest.raises(error, match=message):
        dc.run_with(NET, X, **options)


# Tables -------------------------------------------------------------------------------------------


def test_units_say_layer_unit_gate_label_and_activation():
    network = dc.parallel(dc.parity(2), dc.parity(4)).network
    rows = list(dc.units(network))
    assert len(rows) == len(dc.units(network)) == sum(h.shape[-1] for h in dc.layer_outputs(network, np.zeros(6)))
    for row in rows:
        layer = network.layers[row.layer]
        assert row.label == ("" if layer.label is None else layer.label.name)  # pyright: ignore
        assert row.gate == (None if layer.label is None else layer.label.gate(row.unit, layer.out_size))  # pyright: ignore
    assert {row.activation for row in rows if row.layer == 1} == {"relu", "identity"}


@pytest.mark.parametrize(
    "label,width",
    [
        (dc.Label("a", group=2), 6),
        (dc.Label("a", group=3, strided=True), 6),
        (dc.Label("a", uneven=((2, 3), (3, 1))), 9),
        (dc.Label("a"), 1),
    ],
)
def test_gates_of_all_units_are_those_of_each(label, width):
    assert label.gates(width).tolist() == [label.gate(unit, width) for unit in range(width)]


def test_the_table_of_units_is_short_and_framed():
    table = dc.units(with_block())
    assert len(table) == 4 + 6 * 4 + 2
    lines = repr(table).splitlines()
    assert lines[0].split() == ["layer", "unit", "gate", "label", "activation"]
    assert lines[-1] == "... 10 more"
    assert table._repr_html_().endswith("... 10 more")
    frame = table.to_dataframe()
    assert frame.shape == (30, 5)
    assert frame.layer.tolist() == [row.layer for row in table]
    assert frame.gate.isna().all()
    assert not dc.units(dc.parity(4)).to_dataframe().gate.isna().any()


def test_costs_of_several_are_a_table():
    named = {"tree": dc.parity(8), "flat": dc.parity_shallow(8).network}
    table = dc.cost(named)
    assert table.names == ("tree", "flat")
    assert list(table) == [dc.cost(network) for network in named.values()]
    assert table["flat"] == table[1] == dc.cost(named["flat"])
    assert dc.cost([*named.values()]).names == ("parity(8)", "network 1")
    frame = table.to_dataframe()
    assert list(frame.columns) == ["name", *(field.name for field in dataclasses.fields(dc.Cost))]
    assert frame.synapses.tolist() == [42, 72]
    assert [line.split()[0] for line in repr(table).splitlines()] == ["name", "tree", "flat"]
    assert len(dc.cost([])) == 0
    with pytest.raises(KeyError, match="Costs: no row 'three'; there are tree, flat"):
        table["three"]


def test_tables_for_notebooks_are_escaped():
    text = html_table(("a", "<b>"), [("x & y", 1), ("<script>", 2)])
    assert "&lt;b&gt;" in text
    assert "x &amp; y" in text
    assert "<script>" not in text
    assert text.count("<tr>") == 3
    for shown in (dc.cost(dc.parity(2)), dc.cost([dc.parity(2)]), dc.units(dc.parity(2)), dc.parity(2)):
        assert shown._repr_html_().startswith("<table>")  # pyright: ignore[reportAttributeAccessIssue]


def test_data_frames_need_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="units: to_dataframe needs pandas: pip install 'deepconstruct"):
        dc.units(NET).to_dataframe()


# Stacks -------------------------------------------------------------------------------------------

MAKERS = {
    "plain": lambda: NET,
    "block": with_block,
    "tied": lambda: dc.parity(4, tied=True).network,
    "fft": lambda: dc.fft(4).network,
    "joined": lambda: dc.parallel(dc.parity(2), dc.parity(5)).network,
    "gate": lambda: dc.multiplication_gate(richardson=True, activation="softplus").network,
    "uneven": lambda: dc.parity(7).network,
    "polynomial": lambda: dc.polynomial({(3, 1): 1.0, (0, 1): 2.0}).network,
}


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", MAKERS)
def test_stacks_are_told_from_single_networks(name):
    network = MAKERS[name]()
    members = [network, jax.tree.map(lambda leaf: 2 * leaf, network), network]
    stack = dc.stack(members)
    assert stack_size(network) is None
    assert stack_size(stack) == 3
    with pytest.raises(TypeError, match=r"Network: this is a stack of 3 networks; run all of them as jax.vmap\(lambda"):
        stack(np.ones(network.in_size))
    for again, member in zip(dc.unstack(stack), members, strict=True):
        assert jax.tree.structure(again) == jax.tree.structure(member)
        assert all(map(np.array_equal, jax.tree.leaves(again), jax.tree.leaves(member)))


@pytest.mark.slow
def test_what_vmap_makes_is_a_stack():
    keys = jax.random.split(jax.random.key(0), 4)
    stack = jax.vmap(lambda key: dc.perturb(NET, 0.1, key=key))(keys)
    assert stack_size(stack) == 4
    outputs = jax.vmap(lambda n, x: n(x), in_axes=(0, None))(stack, X)
    found = [member(X) for member in dc.unstack(stack)]
    assert np.allclose(outputs, np.stack(found), rtol=0, atol=1e-12)
    assert stack_size(jax.vmap(dc.stack)([stack, stack])) == 4


def test_a_stack_of_stacks_is_taken_apart_twice():
    pairs = dc.stack([dc.stack([NET, NET]), dc.stack([NET, NET])])
    assert stack_size(pairs) == 2
    assert [stack_size(stack) for stack in dc.unstack(pairs)] == [2, 2]


def test_a_stack_costs_what_its_members_cost():
    zeroed = jax.tree.map(lambda leaf: leaf.at[0].set(0), NET)
    table: Any = dc.cost(dc.stack([NET, zeroed]))
    assert list(table) == [dc.cost(NET), dc.cost(zeroed)]
    assert table[0].synapses > table[1].synapses


WRONG = [
    (ValueError, lambda: dc.stack([]), "stack: expected at least one network; got none"),
    (TypeError, lambda: dc.stack(NET), "stack: expected a list of networks; got Network"),
    (TypeError, lambda: dc.stack([NET, 3]), "stack: expected a Network or Construction; got int"),
    (ValueError, lambda: dc.stack([dc.parity(2), dc.parity(4)]), "number 1 has other layers, sizes or labels than"),
    (ValueError, lambda: dc.stack([dc.parity(2, dtype="float16"), dc.parity(2, dtype="float32")]),
     "stack: all networks must be built alike; number 1 has another dtype .float32 and not float16. than the first"),
    (ValueError, lambda: dc.stack([NET, dc.stack([NET])]), "number 1 has weights of another shape"),
    (ValueError, lambda: dc.unstack(NET), "unstack: expected a stack of networks; got a single one"),
    (ValueError, lambda: stack_size(jax.tree.map(lambda leaf: leaf[None] if leaf.ndim > 1 else leaf, NET)),
     "stack_size: all weights must be stacked alike; got leading axes"),
    (TypeError, lambda: dc.run_with(3, X), "run_with: expected a Network or Construction; got int"),
    (TypeError, lambda: dc.units(3), "units: expected a Network or Construction; got int"),
]  # fmt: skip


@pytest.mark.parametrize("error,ask,message", WRONG, ids=[case[-1] for case in WRONG])
def test_what_is_no_stack_is_refused(error, ask, message):
    with pytest.raises(error, match=message):
        ask()


def test_everything_here_keeps_strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        network = dc.parity(4, dtype="float32").network
        output, _ = dc.run_with(network, [1, 0, 0, 0], replace={(0, 1): 0, 1: lambda h: 2 * h}, read=[1])
        assert output.tolist() == [2.0]
        assert dc.stack([network, network]).dtype == "float32"
        assert network.layers[0]([1, 1, 0, 0]).dtype == "float32"
        swap = dc.linear.Permutation([1, 0])
        weight = dc.linear.Dense(jnp.ones((2, 2), "float32"))
        for linear in (
            dc.linear.Composed(weight, swap),
            dc.linear.DirectSum((swap, weight)),
            dc.linear.product(weight, swap),
            dc.linear.Stack((swap, weight)),
        ):
            assert dc.linear.as_matrix(linear).dtype == "float32"
