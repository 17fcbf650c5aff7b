"""Functions of one's own: compared with their Taylor series, and refused where these aren't the function."""

# Wrong arguments are the point here.
# pyright: reportArgumentType=false

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.custom import expand_custom, seen_rounding
from deepconstruct.activations import Custom, Sigmoid


def kinked(z):
    return jnp.where(z > 0, z + z * z, z)


@jax.custom_jvp
def miscounted(z):
    return jnp.tanh(z + 0.5)


@miscounted.defjvp
def _(primals, tangents):
    (z,), (t,) = primals, tangents
    return miscounted(z), t * (1 - miscounted(z) ** 2) * 1.5


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "function,center,radius",
    [
        (kinked, 0.0, 0.0),
        (kinked, 0.5, 0.5),
        (kinked, -0.25, 0.25),
        (jax.nn.elu, 0.0, 0.0),
        (jax.nn.elu, -0.5, 0.5),
        (jnp.abs, 0.0, 0.0),
        (lambda z: jnp.abs(z) ** 3, 0.0, 0.0),
        (jnp.floor, 1.0, 0.0),
        (jnp.log, -1.0, 0.0),
        (lambda z: jnp.where(z > 0.25, jnp.nan, z * z), 0.0, 0.25),
        (miscounted, 0.5, 0.0),
    ],
)
def test_a_series_holds_as_far_as_it_is_the_function(function, center, radius):
    found = expand_custom(Custom(function), center, 3)
    assert not found.proved
    assert 0.95 * radius <= found.radius <= max(1.05 * radius, 0.0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("function", [jnp.sin, jnp.arctan, jax.nn.mish, lambda z: jnp.exp(-z * z)])
def test_a_smooth_function_keeps_its_series(function):
    found = expand_custom(Custom(function), 0.3, 3)
    t = np.linspace(-0.3, 0.3, 101)
    off = np.polynomial.polynomial.polyval(t, found.coefficients) - np.asarray(function(0.3 + t), float)
    assert found.radius > 0.3
    assert all(abs(error) <= found.tail(abs(s)) + 1e-15 for error, s in zip(off, t, strict=True))


BUILDERS = {
    "multiplication_gate": (2, dc.multiplication_gate),
    "richardson": (2, lambda **options: dc.multiplication_gate(richardson=True, **options)),
    "flat_product": (3, lambda **options: dc.flat_product(3, **options)),
    "output_bias": (2, lambda **options: dc.flat_product(2, output_bias=True, **options)),
    "product_tree": (3, lambda **options: dc.product_tree(3, **options)),
    "polynomial": (2, lambda **options: dc.polynomial({(1, 1): 1.0}, **options)),
}


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("function", [jax.nn.selu, kinked], ids=["selu", "kinked"])
def test_a_function_with_a_kink_is_right_within_its_claim_or_refused(function, name):
    n, build = BUILDERS[name]
    try:
        gate = build(activation=function, dtype="float32")
    except ValueError:
        with pytest.raises(ValueError, match="no error bound holds for"):
            build(activation=function, dtype="float32")
        return
    x = np.random.default_rng(0).uniform(-1, 1, (500, n)).astype(np.float32)
    off = np.abs(np.asarray(gate(x), float) - x.astype(float).prod(axis=1, keepdims=True)).max()
    assert off <= gate.claim.error.largest < 1
    assert gate.claim.is_estimate


def test_a_bias_at_a_kink_is_refused():
    with pytest.raises(ValueError, match=r"multiplication_gate: no error bound holds for elu in .* with bias=0; leave"):
        dc.multiplication_gate(activation=jax.nn.elu, bias=0.0)


@pytest.mark.parametrize("function", [jnp.zeros_like, lambda z: 2 * z + 1, jnp.abs, jnp.floor])
def test_functions_without_a_curvature_are_refused_with_a_way_that_works(function):
    with pytest.raises(ValueError, match="the derivative of order 2 is 0; use activation='square'"):
        dc.multiplication_gate(activation=function, dtype="float32")
    assert dc.multiplication_gate(activation="square", dtype="float32").claim.error.largest < 1e-6


@pytest.mark.parametrize(
    "function", [lambda z: jnp.sin(1e4 * z), lambda z: z * z + jnp.floor(64 * z)], ids=["fast", "rounded"]
)
def test_functions_that_are_no_series_are_refused(function):
    with pytest.raises(ValueError, match="multiplication_gate: no error bound holds for <lambda> in float32: "):
        dc.multiplication_gate(activation=function, dtype="float32")


def test_a_function_that_cancels_is_rounded_as_it_is_seen_to_be():
    def cancelling(z):
        return (z + 30.0) ** 2 - 900.0

    assert seen_rounding(Custom(cancelling), "float32", 0.5, 1.0) > 2e-5
    gate = dc.multiplication_gate(activation=cancelling, dtype="float32")
    x = np.random.default_rng(0).uniform(-1, 1, (2000, 2)).astype(np.float32)
    off = np.abs(np.asarray(gate(x), float) - x.astype(float).prod(axis=1, keepdims=True)).max()
    assert off <= gate.claim.error.largest


NOT_ELEMENTWISE = [
    (TypeError, "glu must be written in JAX, elementwise; it raised", jax.nn.glu),
    (ValueError, "softmax must be elementwise; its values depend on the other numbers in the array", jax.nn.softmax),
    (ValueError, r"sum must be elementwise; it maps shapes \(4, 6\) and \(2, 3\) to", lambda z: z.ravel()),
    (ValueError, "must keep the dtype of its input; it maps float64 to bool", lambda z: z > 0),
]


@pytest.mark.parametrize("error,message,function", NOT_ELEMENTWISE)
def test_functions_that_are_not_elementwise_are_refused(error, message, function):
    with pytest.raises(error, match="product_tree: .*" + message.removeprefix("sum ")):
        dc.product_tree(4, activation=function)


def test_a_bound_says_that_a_function_is_not_written_in_jax():
    with pytest.raises(TypeError, match=r"tanh: the function must be written in JAX, elementwise: .*ndarray"):
        dc.bounds.flat_product(2, Custom(np.tanh, "tanh"))


def test_a_function_that_can_not_be_hashed_is_refused():
    class Table(list):
        def __call__(self, z):
            return z * z

    with pytest.raises(
        TypeError, match=r"flat_product: custom can't be hashed; wrap it: activation=lambda z: your_function\(z\)"
    ):
        dc.flat_product(2, activation=Table())


@pytest.mark.parametrize(
    "function,bounds,message",
    [
        (jnp.sin, ((3, 0.5),), "of order 3 is at most 0.5, but at 0 it is 1"),
        (jax.nn.elu, ((3, 1.0),), "from 0 to .* the function leaves its Taylor polynomial"),
        (jnp.abs, ((3, 0.0),), "the function leaves its Taylor polynomial by more"),
    ],
)
def test_bounds_of_derivatives_that_are_visibly_false_are_refused(function, bounds, message):
    with pytest.raises(ValueError, match=r"multiplication_gate: derivative_bounds of f say .*" + message):
        dc.multiplication_gate(activation=Custom(function, "f", bounds))


def test_subclasses_of_activations_are_not_taken_for_them():
    class Odd(Sigmoid):
        def __call__(self, z, *, axis=-1):
            return jnp.abs(z)

    with pytest.raises(ValueError, match="multiplication_gate: activation must be one of"):
        dc.multiplication_gate(activation=Odd())


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("bounds", [(), ((5, 1.0),)])
def test_eight_neurons_take_series_of_few_terms(bounds):
    gate = dc.multiplication_gate(activation=Custom(jnp.cos, "cos", bounds), richardson=True, dtype="float64")
    x = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    assert np.abs(np.asarray(gate(x)) - x.prod(axis=1, keepdims=True)).max() <= gate.claim.error.largest < 1e-4
