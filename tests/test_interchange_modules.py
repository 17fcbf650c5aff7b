"""Networks as arrays, and as modules of Equinox, PyTorch and scikit-learn."""

# Wrong arguments are the point in places.
# pyright: reportArgumentType=false

import io
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct.construction.encoding import digest
from deepconstruct.network import flat_layers
from interchanged import by_hand, dense_digest, excess, one_of_each, points, real_entries, sizes_and_structures

BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float32")


def networks():
    return (*one_of_each(), *sizes_and_structures(), *(entry.network for entry in real_entries().values()))


def test_arrays_come_back_also_from_a_file():
    for network in networks():
        file = io.BytesIO()
        np.savez(file, **dc.interchange.to_numpy(network))
        file.seek(0)
        assert digest(dc.interchange.from_numpy(np.load(file))) == dense_digest(network)


def test_arrays_of_others_take_an_activation():
    arrays = {"fc.weight": [[1, 1], [1, 1]], "fc.bias": [0, -1], "out.weight": [[1, -2]]}
    network = dc.interchange.from_numpy(arrays, activation="relu")
    assert network(BITS).ravel().tolist() == [0, 1, 1, 0]
    for wrong, message in (
        ({"fc.kernel": [[1]]}, "'fc.kernel' can't be carried; names must end in .weight, .bias or .activation"),
        ({"fc.bias": [1]}, "layer 'fc' has no weight; it has bias"),
        (arrays, "layer 'fc' has no activation; pass activation='relu' or another one"),
        ({"a.weight": [[1]], "a.activation": "celu"}, "no activation 'celu'; known are"),
        (
            {"a.weight": [[1]], "a.activation": "relu + relu"},
            r"an activation must read as 'relu' or 'relu \* 2 \+ identity \* 3'; got",
        ),
        ({"a.weight": [[1]], "a.activation": "power(0)"}, "the number of an activation is wrong: Power: n must be"),
        ({"a.weight": [[1]], "a.activation": "x" * 20_000}, "the name of an activation must be a short text; got 'x"),
    ):
        with pytest.raises(ValueError, match=f"from_numpy: {message}"):
            dc.interchange.from_numpy(wrong)
    with pytest.raises(TypeError, match="from_numpy: expected a dictionary of arrays; got list"):
        dc.interchange.from_numpy([])


def test_equinox_comes_back():
    for network in networks():
        assert digest(dc.interchange.from_equinox(dc.interchange.to_equinox(network))) == dense_digest(network)


@pytest.mark.parametrize("name", list(real_entries()))
@pytest.mark.default_cases(3)
def test_entries_keep_their_claims_in_equinox(name):
    construction, x = real_entries()[name], points(name)
    module = dc.interchange.to_equinox(construction)
    assert excess(construction, x, np.asarray(jax.jit(jax.vmap(module))(x))) <= 0


def test_an_equinox_mlp_that_learned_xor_comes_in_and_certifies():
    mlp = eqx.nn.MLP(2, 1, width_size=8, depth=1, activation=jax.nn.tanh, dtype="float32", key=jax.random.key(0))
    weights, rest = eqx.partition(mlp, eqx.is_array)
    adam = optax.rmsprop(0.02)
    bits, wanted = jnp.asarray(BITS), jnp.array([0, 1, 1, 0], "float32")

    @jax.jit
    def learned(weights):
        def loss(weights):
            return jnp.mean((jax.vmap(eqx.combine(weights, rest))(bits)[:, 0] - wanted) ** 2)

        def step(carry, _):
            weights, state = carry
            updates, state = adam.update(jax.grad(loss)(weights), state)
            return (optax.apply_updates(weights, updates), state), None

        return jax.lax.scan(step, (weights, adam.init(weights)), None, length=500)[0][0]

    mlp = eqx.combine(learned(weights), rest)
    network = dc.interchange.from_equinox(mlp)
    assert np.allclose(by_hand(network, BITS), jax.vmap(mlp)(bits), atol=1e-5)
    assert dc.cost(network).neurons == 8
    claim = dc.Claim(
        dc.targets.Parity(2), dc.domains.Bits(2), dc.domains.Box(1, -2, 2), error=dc.Bound(0.1), dtype="float32"
    )
    assert dc.certify(network, claim).holds


def test_what_equinox_has_beyond_layers_is_named():
    linear = eqx.nn.Linear(2, 2, dtype="float32", key=jax.random.key(0))
    relu = eqx.nn.Lambda(jax.nn.relu)
    sequential = eqx.nn.Sequential
    network = dc.interchange.from_equinox(sequential([linear, eqx.nn.Identity(), relu]))
    assert [layer.activation.name() for layer in flat_layers(network)] == ["relu"]
    for parts, message in (
        (
            [linear, eqx.nn.Dropout(0.5)],
            r"module 1 \(Dropout\) can't be carried; known are Linear, Lambda and Identity",
        ),
        ([relu, linear], r"module 0 \(Lambda\) must follow a linear map, as in layers here"),
        ([linear, relu, relu], r"module 2 \(Lambda\) must follow a linear map, as in layers here"),
        ([eqx.nn.Identity()], "expected at least one linear map; got none"),
    ):
        with pytest.raises(ValueError, match=f"from_equinox: {message}"):
            dc.interchange.from_equinox(sequential(parts))
    with pytest.raises(TypeError, match=r"from_equinox: module 1 \(Lambda\): activation must be one of dc.activations"):
        dc.interchange.from_equinox(sequential([linear, eqx.nn.Lambda(jnp.arctan)]))
    with pytest.raises(TypeError, match=r"from_equinox: expected an equinox.nn.MLP or Sequential; got Linear"):
        dc.interchange.from_equinox(linear)


def test_torch_comes_back():
    pytest.importorskip("torch")
    for network in networks():
        assert digest(dc.interchange.from_torch(dc.interchange.to_torch(network))) == dense_digest(network)


def test_entries_keep_their_claims_in_torch():
    torch = pytest.importorskip("torch")
    for name, construction in real_entries().items():
        x = np.asarray(points(name))
        found = dc.interchange.to_torch(construction)(torch.from_numpy(x.copy())).detach().numpy()
        assert excess(construction, x, found) <= 0, name
    x = np.random.default_rng(2).normal(size=(50, 3)).astype("float32")
    for network in one_of_each():
        found = dc.interchange.to_torch(network)(torch.from_numpy(x)).detach().numpy()
        assert np.allclose(found, by_hand(network, x), rtol=1e-5, atol=1e-5), network


def test_sparse_modules_of_torch_hold_the_weights_that_are_not_zero():
    torch = pytest.importorskip("torch")
    for name in ("parity", "boolean_function", "fractal_dust"):
        construction, x = real_entries()[name], points(name)
        module = dc.interchange.to_torch(construction, sparse=True)
        y = module(torch.from_numpy(x.copy()))
        assert excess(construction, x, y.detach().numpy()) <= 0
        weights = sum(np.count_nonzero(w) for k, w in dc.interchange.to_numpy(construction).items() if "weight" in k)
        values = [part.values for part in module if hasattr(part, "values")]
        assert sum(value.numel() for value in values) == weights
        y.sum().backward()
        assert all(value.grad is not None and value.grad.shape == value.shape for value in values)
    alone = dc.interchange.to_torch(dc.parity(4), sparse=True)(torch.tensor([1.0, 0, 0, 0], dtype=torch.float64))
    assert alone.tolist() == [1.0]
    with pytest.raises(TypeError, match="to_torch: sparse must be True or False; got 1"):
        dc.interchange.to_torch(dc.parity(2), sparse=1)


def test_entries_keep_their_claims_in_flax():
    pytest.importorskip("flax")
    for name, construction in list(real_entries().items())[::6]:
        module, x = dc.interchange.to_flax(construction), points(name)
        assert excess(construction, x, np.asarray(jax.jit(module)(x))) <= 0
    for network in sizes_and_structures():
        linear = [part for part in dc.interchange.to_flax(network).layers if hasattr(part, "kernel")]
        plain = [layer for layer in dc.interchange.to_numpy(network).items() if layer[0].endswith("weight")]
        for part, (_, weight) in zip(linear, plain, strict=True):
            assert np.array_equal(part.kernel[...].T, weight)


def test_a_file_of_torch_from_outside_comes_in_and_certifies(tmp_path):
    torch = pytest.importorskip("torch")
    nn, path = torch.nn, tmp_path / "xor.pt"
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Dropout().eval()), nn.Linear(2, 1)
    )
    with torch.no_grad():
        for parameter, values in zip(module.parameters(), ([[1, 1], [1, 1]], [0, -1], [[1, -2]], [0]), strict=True):
            parameter.copy_(torch.tensor(values))
    torch.save(module.state_dict(), path)
    claim = dc.parity(2, dtype="float32").claim
    for network in (dc.interchange.from_torch(module), dc.interchange.from_torch(path, activation="relu")):
        assert dc.cost(network).neurons == 2
        assert dc.certify(network, claim).verdict == "proved"
    with pytest.raises(ValueError, match=r"from_torch: .*xor.pt has more than max_bytes=100 bytes"):
        dc.interchange.from_torch(path, activation="relu", max_bytes=100)
    torch.save(module, path)
    with pytest.raises(ValueError, match=r"from_torch: .*xor.pt is malformed \(UnpicklingError"):
        dc.interchange.from_torch(path)
    torch.save([1], path)
    with pytest.raises(ValueError, match=r"from_torch: .*xor.pt: expected a dictionary of tensors; got list"):
        dc.interchange.from_torch(path)


def test_damaged_files_of_torch_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    path, rng = tmp_path / "weights.pt", np.random.default_rng(0)
    torch.save({"0.weight": torch.ones(2, 2)}, path)
    content, refusals = path.read_bytes(), 0
    for _ in range(100):
        wrong = bytearray(content)
        for place in rng.integers(0, len(content), 4):
            wrong[place] = rng.integers(0, 256)
        path.write_bytes(wrong[: rng.integers(1, len(content) + 1)] if rng.random() < 0.3 else wrong)
        try:
            dc.interchange.from_torch(path, activation="relu")
        except ValueError as error:
            assert "weights.pt" in str(error)  # noqa: PT017
            refusals += 1
    assert refusals > 20


def test_what_torch_has_beyond_layers_is_named():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    with pytest.raises(ValueError, match=r"from_torch: module '1.0' \(CELU\) can't be carried"):
        dc.interchange.from_torch(nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.CELU())))
    with pytest.raises(ValueError, match=r"from_torch: 'a.weight' must be a dense tensor that holds all its numbers"):
        dc.interchange.from_torch({"a.weight": torch.ones(1, 1).expand(10**6, 10**6)}, activation="relu")
    with pytest.raises(ValueError, match=r"from_torch: 'a.weight' must be a tensor; got int"):
        dc.interchange.from_torch({"a.weight": 1}, activation="relu")
    with pytest.raises(TypeError, match="from_torch: expected a Sequential, a state_dict or a path; got int"):
        dc.interchange.from_torch(3)
    own = dc.Network.from_matrices([[[1.0]]], None, [dc.activations.Custom(jnp.arctan, "arctan")])
    with pytest.raises(ValueError, match=r"to_torch: layer 0 has the activation arctan \(Custom\), which has no count"):
        dc.interchange.to_torch(own)


def test_without_frameworks_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="to_torch needs torch: pip install torch"):
        dc.interchange.to_torch(dc.parity(2))
    monkeypatch.setitem(sys.modules, "flax.nnx", None)
    with pytest.raises(ImportError, match="to_flax needs flax: pip install flax"):
        dc.interchange.to_flax(dc.parity(2))


def test_networks_of_scikit_learn_come_in_and_certify():
    datasets = pytest.importorskip("sklearn.datasets")
    neural = pytest.importorskip("sklearn.neural_network")
    x, y = datasets.load_iris(return_X_y=True)
    model = neural.MLPClassifier((8,), solver="lbfgs", max_iter=2000, random_state=0, alpha=0.1).fit(x, y)
    network = dc.interchange.from_sklearn(model)
    assert np.allclose(network(x), model.predict_proba(x), atol=1e-12)
    assert dc.cost(network).neurons == 8
    right = x[model.predict(x) == y]
    wanted = y[model.predict(x) == y]
    table = jnp.eye(3)[jnp.asarray(wanted)]

    def species(z):
        distances = jnp.abs(jnp.expand_dims(z, -2) - jnp.asarray(right).reshape((1,) * (z.ndim - 1) + right.shape))
        return table[jnp.argmin(distances.sum(-1), axis=-1)]

    claim = dc.Claim(
        dc.Target("species", species),
        dc.domains.Points(right),
        dc.domains.Box(3, 0, 1),
        error=dc.Bound(0.7),
        dtype="float64",
    )
    assert dc.certify(network, claim).holds
    lines = neural.MLPRegressor(
        hidden_layer_sizes=(3,), activation="logistic", solver="lbfgs", tol=1, random_state=0
    ).fit(x, y)
    assert np.allclose(dc.interchange.from_sklearn(lines)(x)[:, 0], lines.predict(x), atol=1e-12)
    with pytest.raises(TypeError, match="from_sklearn: expected a fitted MLPClassifier or MLPRegressor; got MLPReg"):
        dc.interchange.from_sklearn(neural.MLPRegressor())
    model.activation = "odd"
    with pytest.raises(ValueError, match="from_sklearn: no activation 'odd'; known are"):
        dc.interchange.from_sklearn(model)
