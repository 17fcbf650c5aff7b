"""Networks with one number changed, against the standalone checker: what it accepts holds, in rationals and floats."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._bias import bias_vector
from deepconstruct.activations import ReLU, Sigmoid, Step
from deepconstruct.linear import as_matrix
from deepconstruct.network import flat_layers
from test_check import CHECK, content

RNG = np.random.default_rng(5)
BUILT = {
    "tree": lambda: dc.parity(6, dtype="float32"),
    "uneven tree of steps": lambda: dc.parity(5, activation="step", dtype="float32"),
    "signs": lambda: dc.parity(4, encoding="signs", dtype="float32"),
    "dnf": lambda: dc.parity_shallow(4, kind="dnf", dtype="float32"),
    "count": lambda: dc.parity_shallow(6, dtype="float32"),
    "bounded depth": lambda: dc.parity_bounded_depth(6, 3, dtype="float32"),
    "table": lambda: dc.boolean_function(RNG.integers(0, 2, 16), dtype="float32"),
    "real table": lambda: dc.boolean_function(RNG.normal(size=16), dtype="float32"),
    "sigmoids": lambda: dc.parity(4, activation="sigmoid", dtype="float32"),
}
CHANGES = (
    lambda w: 2 * w,
    lambda w: -w,
    lambda w: 0 * w,
    lambda w: np.nextafter(w, np.float32(np.inf)),
    lambda w: np.nextafter(w, np.float32(-np.inf)),
    lambda w: w + np.float32(1),
    lambda w: w * np.float32(1 + 2.0**-10),
    lambda w: w * np.float32(2.0**-130),
    lambda w: w * np.float32(2.0**100),
)


def mutant(construction, rng):
    """One number of one array of weights changed; its claim may be loosened, so that some are true."""
    leaves, structure = jax.tree.flatten(construction.network)
    arrays = [np.array(leaf) for leaf in leaves]
    flat = arrays[rng.integers(len(arrays))].reshape(-1)
    place = rng.integers(flat.size)
    with np.errstate(over="ignore"):
        flat[place] = CHANGES[rng.integers(len(CHANGES))](flat[place])
    if not np.isfinite(flat[place]):
        return None
    error = dc.Bound(construction.claim.error.largest * 1.5 + float(rng.choice([0.0, 2e-7, 1e-2, 1.0])))
    claim = dataclasses.replace(construction.claim, error=error)
    return dc.claim(jax.tree.unflatten(structure, [jnp.asarray(a) for a in arrays]), claim)


def run_in_any_order(network, x, rng):
    """In float32, sums in an order that is drawn for every unit."""
    values = x.astype(np.float32)
    for layer in flat_layers(network):
        matrix, bias = np.asarray(as_matrix(layer.linear)), bias_vector(layer.bias)
        units = []
        for row in range(len(matrix)):
            terms = [matrix[row, c] * values[:, c] for c in np.flatnonzero(matrix[row])]
            terms += [] if bias is None else [np.full(len(x), np.asarray(bias)[row])]
            total = np.zeros(len(x), np.float32)
            for index in rng.permutation(len(terms)):
                total = (total + terms[index]).astype(np.float32)
            units.append(total)
        z = np.stack(units, axis=1)
        kind = type(layer.activation)
        if isinstance(layer.activation, Sigmoid):
            z = 1 / (1 + np.exp(-np.float32(layer.activation.inverse_temperature) * z))
        values = np.maximum(z, 0) if kind is ReLU else (z > 0).astype(np.float32) if kind is Step else z
    return values


def verdict(construction, tmp_path, capsys):
    path = tmp_path / "file.dc"
    path.write_bytes(content(construction))
    status = CHECK.main([str(path)])
    return status == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "name", [name if name in ("tree", "real table") else pytest.param(name, marks=pytest.mark.slow) for name in BUILT]
)
def test_mutants_that_are_accepted_are_harmless(name, tmp_path, capsys):
    rng, construction, accepted, wrong = np.random.default_rng(1), BUILT[name](), 0, 0
    x = construction.claim.domain.corners()
    for _ in range(25):
        changed = mutant(construction, rng)
        if changed is None:
            continue
        held, line = verdict(changed, tmp_path, capsys)
        target = rationals.fractions(changed.claim.target.wide(x))
        allowed = changed.claim.error.largest
        with np.errstate(all="ignore"):
            runs = [rationals.fractions(run_in_any_order(changed.network, x, rng)) for _ in range(3)]
        if name != "sigmoids":
            runs.append(rationals.evaluate(changed.network, x))
        fails = any(bool((abs(got - target) > allowed).any()) for got in runs)
        assert not (held and fails), line
        accepted, wrong = accepted + held, wrong + fails
    assert accepted >= 2
    assert wrong >= 2


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["square", "power"])
def test_mutants_of_squares_that_are_accepted_are_harmless(activation, tmp_path, capsys):
    build = {"square": lambda: dc.product_tree(4, activation="square", dtype="float32")}
    build |= {"power": lambda: dc.flat_product(3, activation="power", dtype="float32")}
    rng, construction, accepted, wrong = np.random.default_rng(2), build[activation](), 0, 0
    x = construction.claim.domain.probe(jax.random.key(0), (200,), dtype="float32")
    x = np.concatenate([x, construction.claim.domain.corners().astype(np.float32)])
    for _ in range(25):
        changed = mutant(construction, rng)
        if changed is None:
            continue
        held, line = verdict(changed, tmp_path, capsys)
        exact = rationals.evaluate(changed.network, x)
        target = rationals.fractions(changed.claim.target.wide(x.astype(np.longdouble)))
        fails = bool((abs(exact - target) > changed.claim.error.largest).any())
        assert not (held and fails), line
        accepted, wrong = accepted + held, wrong + fails
    assert accepted >= 2
    assert wrong >= 2
