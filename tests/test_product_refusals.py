"""What builders of products refuse: tolerances below the floor, with ways out that reach them, and bad arguments."""

# Wrong arguments are the point here.
# pyright: reportArgumentType=false

import functools
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import Custom, Identity, Power, ReLU, Sigmoid, Softmax, Square, Step

# What each way out that a message may offer stands for.
WAYS = {
    "richardson=True with its eight neurons": {"richardson": True},
    "dtype='float64'": {"dtype": "float64"},
    "activation='square'": {"activation": "square"},
    "activation='square' and dtype='float64'": {"activation": "square", "dtype": "float64"},
    "activation='power'": {"activation": "power"},
    "activation='power' and dtype='float64'": {"activation": "power", "dtype": "float64"},
}
OWN_WAYS = {
    "multiplication_gate": [*WAYS][:4],
    "flat_product": [*WAYS][1:2] + [*WAYS][4:],
    "product_tree": [*WAYS][1:4],
}


def builder(name: str, n: int) -> Callable[..., dc.Construction]:
    return dc.multiplication_gate if name == "multiplication_gate" else functools.partial(getattr(dc, name), n)


def offered_by(message: str) -> dict[str, float]:
    """The ways out of a refusal, with the errors that they are said to reach."""
    advice = message.split("; ")[-1]
    if advice == "no other choice of arguments reaches it":
        return {}
    ways = re.findall(r"(?:^use |, or )(.+?) \(error ([^)]+)\)", advice)
    assert ways, message
    return {text: float(error) for text, error in ways}


def refusal(build: Callable[[], dc.Construction]) -> str | None:
    """The message of a refusal, if there is one."""
    try:
        build()
    except ValueError as error:
        return str(error)
    return None


def claimed(build: Callable[..., dc.Construction], **options) -> float:
    return build(**options).claim.error.absolute


CASES = [
    ("multiplication_gate", 2, {}, [1e-4, 2.5e-5, 1.5e-5, 1e-5, 1e-6, 1e-7, 1e-15, 1e-17]),
    ("multiplication_gate", 2, {"bound": 3.0, "activation": "gelu"}, [2e-4, 1e-4, 1e-5]),
    ("multiplication_gate", 2, {"activation": "exp", "dtype": "float64"}, [1e-8, 1e-9, 1e-14]),
    ("multiplication_gate", 2, {"richardson": True}, [1e-5, 1e-6, 1e-15]),
    ("flat_product", 3, {}, [1e-4, 1e-5, 1e-6, 1e-12, 1e-15]),
    ("flat_product", 8, {}, [1e-2, 1e-3, 1e-4, 1e-7, 1e-15]),
    ("flat_product", 2, {"output_bias": True}, [1e-3, 1e-6, 1e-15]),
    ("flat_product", 4, {"symmetric": True, "activation": "sin", "dtype": "float64"}, [1e-6, 1e-12]),
    ("flat_product", 3, {"activation": "power"}, [1e-6, 1e-9]),
    ("product_tree", 8, {}, [1e-4, 1e-6, 1e-12, 1e-15]),
    ("product_tree", 5, {"bound": 3.0, "activation": "tanh", "dtype": "float64"}, [1e-9, 1e-11]),
]  # fmt: skip


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "name,n,options,tolerance",
    [(name, n, options, tolerance) for name, n, options, tolerances in CASES for tolerance in tolerances],
)
def test_ways_out_that_are_offered_reach_the_tolerance_and_those_left_out_do_not(name, n, options, tolerance):
    build, options = builder(name, n), {"activation": "sigmoid", "dtype": "float32", "tolerance": tolerance, **options}
    message = refusal(lambda: build(**options))
    if message is None:
        assert claimed(build, **options) <= tolerance
        return
    assert message.startswith(f"{name}: tolerance {tolerance:g} is below the floor of ")
    offered = offered_by(message)
    for text in OWN_WAYS[name]:
        if options["dtype"] == "float64" and text.endswith(" and dtype='float64'"):
            continue  # the same as without
        # A smaller variant may not exist for a power, nor eight neurons for the square.
        dropped = () if "activation" not in WAYS[text] else ("symmetric", "output_bias", "richardson")
        changed = {key: value for key, value in {**options, **WAYS[text]}.items() if key not in dropped}
        if text in offered:
            assert claimed(build, **changed) <= tolerance
            # What is shown, with two digits, is the least that can be asked for.
            assert claimed(build, **{**changed, "tolerance": 1.06 * offered[text]}) <= 1.06 * offered[text]
        elif changed != options:
            assert refusal(lambda changed=changed: build(**changed)), text


@pytest.mark.parametrize("name,n,options", [(*case[:3],) for case in CASES])
def test_the_floor_in_the_message_can_be_asked_for(name, n, options):
    build, options = builder(name, n), {"activation": "sigmoid", "dtype": "float32", **options}
    with pytest.raises(ValueError, match="is below the floor of") as caught:
        build(**options, tolerance=1e-30)
    floor = float(re.search(r"floor of (\S+) for", str(caught.value)).group(1))  # pyright: ignore
    assert claimed(build, **options, tolerance=1.06 * floor) <= 1.06 * floor
    assert floor <= 1.06 * claimed(build, **options)


def test_single_precision_can_not_multiply_to_six_digits():
    with pytest.raises(ValueError, match=r"multiplication_gate: tolerance 1e-06 .* for sigmoid.* in float32") as caught:
        dc.multiplication_gate(tolerance=1e-6, dtype="float32")
    offered = offered_by(str(caught.value))
    assert {"dtype='float64'", "activation='square'"} <= offered.keys()
    assert "richardson=True with its eight neurons" not in offered


def test_between_the_floors_of_four_and_eight_neurons_the_eight_are_offered():
    four, eight = (claimed(dc.multiplication_gate, richardson=more, dtype="float32") for more in (False, True))
    with pytest.raises(ValueError, match="richardson=True with its eight neurons") as caught:
        dc.multiplication_gate(tolerance=1.05 * eight, dtype="float32")
    assert offered_by(str(caught.value))["richardson=True with its eight neurons"] <= 1.05 * eight < four


def test_a_flat_product_of_eight_is_refused_in_single_precision():
    with pytest.raises(ValueError, match=r"flat_product: tolerance 0.001 .* in float32 at n=8") as caught:
        dc.flat_product(8, tolerance=1e-3, dtype="float32")
    assert {"dtype='float64'", "activation='power'"} <= offered_by(str(caught.value)).keys()


@pytest.mark.parametrize("tolerance", [1e-3, 4e-5])
def test_a_tolerance_within_reach_is_kept(tolerance):
    assert claimed(dc.multiplication_gate, tolerance=tolerance, dtype="float32") <= tolerance


# Bad arguments ------------------------------------------------------------------------------------

GATE, FLAT, TREE = dc.multiplication_gate, dc.flat_product, dc.product_tree

ACTIVATIONS = [
    *((ValueError, f"{owner}: {act.name()} can't multiply: a smooth activation with a curvature is needed",
       lambda build=build, act=act: build(activation=act))
      for owner, build in (("multiplication_gate", GATE), ("flat_product", functools.partial(FLAT, 3)),
                           ("product_tree", functools.partial(TREE, 3)))
      for act in (ReLU(), Step(), Identity())),
    (ValueError, "activation must be one of 'sigmoid', .* or an elementwise JAX function; got 'cosine'",
     lambda: GATE(activation="cosine")),
    (ValueError, "multiplication_gate: relu can't multiply", lambda: GATE(activation="relu")),
    (TypeError, "multiplication_gate: tanh must be written in JAX, elementwise; it raised: ",
     lambda: GATE(activation=np.tanh)),
    (ValueError,
     "product of 2 inputs of up to 1e.20 is beyond the range of float32; scale the inputs down, to a bound of",
     lambda: GATE(bound=1e20, dtype="float32")),
    (ValueError, "beyond the range of float32; scale the inputs up, to a bound of about 1",
     lambda: GATE(bound=1e-20, dtype="float32")),
    (ValueError,
     "product_tree: the product of 16 inputs of up to 1000 is beyond the range of float32; scale the inputs down",
     lambda: TREE(16, bound=1e3, dtype="float32")),
    (ValueError, "such an object, or an elementwise JAX function; got Softmax", lambda: GATE(activation=Softmax())),
    (ValueError, "such an object, or an elementwise JAX function; got <class", lambda: GATE(activation=Sigmoid)),
    (ValueError, "no error bound holds for <lambda>", lambda: GATE(activation=lambda z: 3 * z)),
    (ValueError, "no error bound holds for relu", lambda: GATE(activation=jax.nn.relu)),
    (ValueError, r"no error bound holds for power\(1\)", lambda: GATE(activation=Power(1))),
    (ValueError, r"no error bound holds for power\(1\)", lambda: GATE(activation=Power(1), richardson=True)),
    (ValueError, r"no error bound holds for power\(2\) and n=3 in float64: the derivative of order 3 is 0",
     lambda: FLAT(3, activation=Power(2))),
    (ValueError, r"product_tree: no error bound holds for power\(1\) in float64: the derivative of order 2 is 0; use",
     lambda: TREE(2, activation=Power(1))),
    (ValueError,
     "flat_product: no error bound holds for mish and n=7 in .*: JAX gives fewer than 9 derivatives of it; use",
     lambda: FLAT(7, activation=jax.nn.mish)),
]  # fmt: skip

VARIANTS = [
    (ValueError, "output_bias and symmetric are two different variants; choose one",
     lambda: FLAT(3, output_bias=True, symmetric=True)),
    (ValueError, "flat_product: n must be at most 30, as it has 2.15e[+]09 units; got 31. dc.product_tree needs only",
     lambda: FLAT(31)),
    (ValueError, "flat_product: n must be at most 12 with output_bias, as it has .* units; got 13",
     lambda: FLAT(13, output_bias=True)),
    (ValueError, "with symmetric=True: it has no bias where the derivative of order 1 vanishes",
     lambda: FLAT(2, symmetric=True)),
    (ValueError, "for exp and n=3 with symmetric=True", lambda: FLAT(3, activation="exp", symmetric=True)),
    (ValueError, "flat_product: no error bound holds for .* at that bias and scale; leave the choice",
     lambda: FLAT(3, scale=10.0)),
    (ValueError, "with scale=10; leave the choice to the gate", lambda: GATE(scale=10.0)),
    (ValueError, "with bias=0; leave the choice to the gate", lambda: GATE(bias=0.0)),
    (ValueError, "richardson=True chooses bias and scale itself; leave them out",
     lambda: GATE(richardson=True, bias=1.0)),
    (ValueError, "richardson=True chooses bias and scale itself; leave them out",
     lambda: GATE(richardson=True, scale=1.0)),
]  # fmt: skip

NUMBERS = [
    *((TypeError, f"{owner}: {argument} must be a number; got 'x'",
       lambda build=build, argument=argument: build(**{argument: "x"}))
      for owner, build, arguments in (
          ("multiplication_gate", GATE, ("bound", "tolerance", "bias", "scale")),
          ("flat_product", functools.partial(FLAT, 3), ("bound", "tolerance", "bias", "scale")),
          ("product_tree", functools.partial(TREE, 3), ("bound", "tolerance")))
      for argument in arguments),
    *((ValueError, f"{owner}: {argument} must be finite and above 0; got {value}",
       lambda build=build, argument=argument, value=value: build(**{argument: value}))
      for owner, build in (("multiplication_gate", GATE), ("flat_product", functools.partial(FLAT, 3)),
                           ("product_tree", functools.partial(TREE, 3)))
      for argument, value in (("bound", 0), ("bound", float("inf")), ("tolerance", -1), ("tolerance", float("nan")))),
    *((ValueError, f"{owner}: n must be at least 1; got 0", lambda build=build: build(0))
      for owner, build in (("flat_product", FLAT), ("product_tree", TREE))),
    *((TypeError, f"{owner}: n must be an integer; got 2.5", lambda build=build: build(2.5))
      for owner, build in (("flat_product", FLAT), ("product_tree", TREE))),
    (ValueError, "multiplication_gate: scale must be finite and above 0; got -1", lambda: GATE(scale=-1)),
    *((ValueError, f"{owner}: dtype must be a real floating type; got complex64",
       lambda build=build: build(dtype="complex64"))
      for owner, build in (("multiplication_gate", GATE), ("flat_product", functools.partial(FLAT, 2)),
                           ("product_tree", functools.partial(TREE, 2)))),
]  # fmt: skip

BAD = [*ACTIVATIONS, *VARIANTS, *NUMBERS]


@pytest.mark.parametrize("error,message,build", BAD, ids=[f"{i}-{case[1]}" for i, case in enumerate(BAD)])
def test_bad_arguments_are_refused_by_name(error, message, build):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("function", [np.tanh, lambda z: float(z) ** 2])
def test_a_function_that_is_not_written_in_jax_is_refused_by_name(function):
    with pytest.raises((TypeError, ValueError), match=r"must be .*JAX"):
        dc.multiplication_gate(activation=function)


def test_networks_of_your_own_function_can_not_be_saved(tmp_path):
    gate = dc.multiplication_gate(activation=Custom(jnp.arctan, "arctan"), dtype="float32")
    with pytest.raises((TypeError, ValueError), match="can't be stored"):
        dc.save(tmp_path / "gate.dc", gate)


def test_the_square_needs_no_eight_neurons():
    with pytest.raises(ValueError, match="square has no truncation for richardson=True to cancel; leave it out"):
        dc.multiplication_gate(activation=Square(), dtype="float32", richardson=True)
