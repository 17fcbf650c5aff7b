"""What builders record of themselves, how it shows, and that building again gives equal bits."""

import dataclasses
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import deepconstruct as dc
from deepconstruct.catalog import ENTRIES, rebuild
from deepconstruct.construction.origin import Blocks, Built, Rewritten, Stated, Tree, frozen, thawed


def made(builder: Any, *args: Any, **kwargs: Any) -> Any:
    """What a builder makes of arguments that its annotations may not name."""
    return builder(*args, **kwargs)


def bits(construction):
    """The structure and the bits of all weights."""
    leaves, structure = jax.tree.flatten(construction.network)
    return structure, [(leaf.dtype, leaf.shape, np.asarray(leaf).tobytes()) for leaf in leaves]


@pytest.mark.default_cases(15)
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_rebuilt_from_its_origin(name):
    built = ENTRIES[name].build(ENTRIES[name].sizes[1])
    origin = built.origin
    assert isinstance(origin, Built | Rewritten)
    assert hash(origin) == hash(ENTRIES[name].build(ENTRIES[name].sizes[1]).origin) or isinstance(origin, Rewritten)
    again = rebuild(origin)
    assert again.claim == built.claim
    assert bits(again) == bits(built)


def test_arguments_are_recorded_with_their_defaults_and_the_dtype_that_was_meant():
    origin = dc.parity(5, tied=False).origin
    assert origin == dc.parity(n=5).origin
    assert isinstance(origin, Built)
    assert (origin.builder, origin.arguments[0], origin.arguments[-1]) == ("parity", ("n", 5), ("dtype", "float64"))
    other = dc.parity(5, dtype=jnp.bfloat16).origin
    assert isinstance(other, Built)
    assert dict(other.arguments)["dtype"] == "bfloat16"
    for single in ("float32", "<f4", np.float32, jnp.float32, np.dtype("float32")):
        assert dc.parity(5, dtype=single).origin == dc.parity(5, dtype="float32").origin != origin


x, y = sympy.symbols("x y")


def smooth(z):
    return jnp.tanh(z) + z**2


CASES = {
    "array": lambda: dc.boolean_function(np.array([0, 1, 1, 1])),
    "JAX's array": lambda: dc.boolean_function(jnp.array([[0.0, 1], [1, 1]])),
    "list": lambda: dc.boolean_function([0, 1.5, 1, 1]),
    "NumPy's number": lambda: made(dc.multiplication_gate, bound=np.float32(2), activation="square"),
    "JAX's number": lambda: made(dc.multiplication_gate, bound=jnp.array(2.0), activation="square"),
    "mapping": lambda: dc.polynomial({(2, 0): 1.0, (1, 1): Fraction(-1, 3)}, bound=[1.0, 2.0]),
    "one exponent": lambda: dc.polynomial({2: 1, 0: 0.5}),
    "no terms": lambda: dc.polynomial({}, variables=2),
    "mappings": lambda: dc.hamiltonian_classifier([{(1,): 1.0}, {(1,): -1.0}], [0.25, 0.75]),
    "rows": lambda: dc.gaussian_classifier([[-1.0, 0], [1, 0]], [[[1.0, 0], [0, 1]], [[2, 0], [0, 2]]]),
    "object": lambda: dc.parity(4, activation=dc.activations.Sigmoid(12.0)),
    "system": lambda: dc.fractal(dc.systems.cantor(), 2),
    "integer": lambda: made(dc.parity, np.int64(4)),
}


@pytest.mark.parametrize("case", CASES)
def test_arguments_of_every_kind_are_kept_as_values(case):
    built, other = CASES[case](), CASES[case]()
    assert hash(built.origin) == hash(other.origin)
    assert built.origin == other.origin
    assert bits(rebuild(built.origin)) == bits(built)


NAMED = {
    "<function smooth>": lambda: dc.multiplication_gate(activation=smooth),
    "<x**2 - 3*x*y>": lambda: dc.polynomial(x**2 - 3 * x * y),
}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("name", NAMED)
def test_what_has_no_value_is_kept_by_name_and_not_mistaken_for_a_name(name):
    origin = NAMED[name]().origin
    assert name in str(origin)
    assert origin == NAMED[name]().origin
    with pytest.raises(
        ValueError, match=r"rebuild: <.*> was kept by its name alone; build it anew with the function itself"
    ):
        rebuild(origin)


def test_an_origin_shows_readably():
    shown = repr(dc.boolean_function(np.arange(8)))
    assert "origin: boolean_function(table=int64[8], basis='moebius', activation='relu', dtype='float64')" in shown
    assert "terms={(2, 0): 1.0, (1, 1): -3.0}" in str(dc.polynomial({(2, 0): 1.0, (1, 1): -3.0}).origin)
    assert "activation=Sigmoid(inverse_temperature=12.0)" in str(CASES["object"]().origin)
    assert len(str(dc.polynomial({(i, j): 1.0 for i in range(4) for j in range(4)}).origin)) < 200


@pytest.mark.parametrize(
    "value", [1, 2.5, 1j, True, None, "sigmoid", (1, (2, 3)), ((1, 0), (0, 1)), (((1, 0), (0, 1)),)]
)
def test_plain_values_come_back_as_they_were(value):
    assert thawed(frozen(value)) == value


def test_numbers_of_other_libraries_become_plain():
    for value in (np.longdouble(0.5), np.float16(0.5), Fraction(1, 2), sympy.Rational(1, 2), jnp.bfloat16(0.5)):
        assert type(frozen(value)) is float
        assert frozen(value) == 0.5
    assert type(frozen(np.uint8(3))) is type(frozen(sympy.Integer(3))) is int
    assert frozen(object()) == "<object object>"
    # A name would be taken for the builder's own activation of this name.
    assert frozen(jax.nn.sigmoid) == "<function sigmoid>"
    assert frozen(dc.activations.Custom(smooth, "smooth")) == dc.activations.Custom(smooth, "smooth")


def test_the_dtype_of_an_origin_outlives_the_default():
    built = dc.parity(4)
    jax.config.update("jax_enable_x64", False)
    try:
        assert dc.parity(4).claim.dtype == "float32"
        with pytest.raises(ValueError, match="parity: float64 needs 64-bit JAX"):
            rebuild(built.origin)
    finally:
        jax.config.update("jax_enable_x64", True)


# Compositions -------------------------------------------------------------------------------------


def composed():
    xor, names = dc.parity(2), dc.origins
    pair = dataclasses.replace(dc.parallel(xor, xor), origin=names.Parallel((xor, xor)))
    return {
        names.Series((pair, xor), True): dc.series(pair, xor),
        names.Series((pair, xor), False): dc.series(pair, xor, merge=False),
        names.Parallel((xor, xor)): pair,
        names.FanOut((xor, xor)): dc.fan_out(xor, xor),
        names.Repeated(dc.fft(4), 2, True): dc.repeat(dc.fft(4), 2),
        names.Rewritten("densify", xor): dc.densify(xor),
        names.Rewritten("realify", dc.fft(4)): dc.realify(dc.fft(4)),
    }


def test_compositions_are_rebuilt_from_their_parts():
    for origin, built in composed().items():
        assert bits(rebuild(origin)) == bits(built), origin
        assert rebuild(origin).claim == built.claim


@pytest.mark.parametrize(
    "origin,message",
    [
        (Stated(), "rebuild: nothing says how to build stated"),
        (Built("partiy", (("n", 3),)), r"rebuild: no builder 'partiy'\. Did you mean 'parity'\?"),
        (Built("flatten"), "rebuild: no builder 'flatten'"),
        (Built("parity", (("n", 0),)), "parity: n must be at least 1; got 0"),
    ],
)
def test_what_is_no_recipe_is_refused(origin, message):
    with pytest.raises(ValueError, match=message):
        rebuild(origin)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="rebuild: nothing says how to build"):
        rebuild(Rewritten("disguise", dc.parity(2)))


# Plans --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arity", [2, 3, 5])
@pytest.mark.parametrize("n", [1, 2, 5, 7, 16, 29])
def test_the_plan_of_a_tree_is_its_wiring(n, arity):
    built = dc.parity(n, arity=arity)
    assert isinstance(built.origin, Built)
    plan = built.origin.plan
    assert isinstance(plan, Tree)
    wires = n
    for level, layer in zip(plan.levels, built.network.layers, strict=False):
        assert sum(inputs * gates for inputs, gates in level) == wires
        assert layer.out_size == wires
        wires = sum(gates for _, gates in level)
    assert wires == 1 if n > 1 else not plan.levels


@pytest.mark.parametrize("n,depth", [(1, 2), (2, 2), (5, 3), (9, 3), (9, 5), (13, 4)])
def test_the_plan_of_bounded_depth_is_its_blocks(n, depth):
    built = dc.parity_bounded_depth(n, depth)
    assert isinstance(built.origin, Built)
    plan = built.origin.plan
    assert isinstance(plan, Blocks)
    assert len(plan.levels) == depth - 1
    sizes = [n, *(len(level) for level in plan.levels)]
    assert sizes == [*(sum(level) for level in plan.levels), 1]
    gates = [sum(2**block for block in level) for level in plan.levels]
    gates[-1] //= 2
    assert gates == [layer.out_size for layer in built.network.layers[:-1]]


@pytest.mark.parametrize(
    "kind,levels",
    [(Tree, ((2, 1),)), (Tree, []), (Tree, (((2, True),),)), (Blocks, ((0,),)), (Blocks, ((2.0,),)), (Blocks, 3)],
)
def test_a_plan_refuses_what_is_none(kind, levels):
    with pytest.raises(TypeError, match=r"(Tree|Blocks): levels must be tuples of positive integers; got"):
        kind(levels)


def test_a_plan_is_kept_in_files(tmp_path):
    kinds = [dc.parity(7), dc.parity_bounded_depth(8, 3), dc.product_tree(3), dc.flat_product(2)]
    assert [type(getattr(built.origin, "plan", None)).__name__ for built in kinds] == [
        "Tree",
        "Blocks",
        "Circuit",
        "GatePlan",
    ]
    for built in kinds:
        dc.save(tmp_path / "file", built)
        assert dc.load(tmp_path / "file").origin == built.origin
        assert isinstance(built.origin, Built)
        assert dataclasses.replace(built.origin, plan=None) != built.origin
