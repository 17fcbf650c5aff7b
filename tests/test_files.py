"""Files: what is saved comes back, and what couldn't be read again is refused before the old file is touched."""

import contextlib
import dataclasses
import io
import os
import tempfile
import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.construction import Built, Parallel, Rewritten, Series
from deepconstruct.construction.encoding import digest
from deepconstruct.domains import Box, Points
from deepconstruct.network import flat_layers


def double(x):
    return 2 * x


def user_construction(points=((0.0, 1.0), (2.0, -3.5))):
    network = dc.Network((dc.Layer(dc.linear.Dense(2 * jnp.eye(2, dtype="float32"))),))
    claim = dc.Claim(dc.Target("double", double), Points(points), Box(2, -9, 9), dtype="float32")
    return dc.claim(network, claim)


def composition():
    pair = dc.parallel(dc.parity(3, dtype="float32"), dc.parity(2, activation="step", dtype="float32"))
    return dc.series(dc.fan_out(pair, pair), dc.parity_bounded_depth(4, 3, dtype="float32"))


BUILD = {
    **{name: lambda name=name: dc.catalog.build(name) for name in dc.catalog.names()},
    "tied": lambda: dc.parity(16, tied=True, activation="sigmoid", dtype="float32"),
    "uneven": lambda: dc.parity(11, encoding="signs", fused=False, dtype="float64"),
    "series and fan_out": composition,
    "parallel of two encodings": lambda: dc.parallel(dc.parity(3), dc.parity(2, encoding="signs")),
    "repeat": lambda: dc.repeat(dc.fft(4, norm="ortho", dtype="complex64"), 3),
    "repeated gates": lambda: dc.repeat(dc.parity(1, dtype="float32"), 4, merge=False),
    "parallel repeats": lambda: dc.parallel(*[dc.repeat(dc.fft(2, norm="ortho"), 3)] * 2),
    "realified": lambda: dc.realify(dc.fft(8, dtype="complex64")),
    "points and a product": lambda: dc.parallel(dc.parity(2, dtype="float32"), user_construction()),
    "half precision": lambda: dc.parity(4, dtype="float16"),
}


def constructions_in(origin):
    fields = [getattr(origin, field.name) for field in dataclasses.fields(origin)]
    parts = [part for field in fields for part in (field if isinstance(field, tuple) else (field,))]
    return [part for part in parts if isinstance(part, dc.Construction)]


def check_same(new, old):
    """The same bits, claims and origins, all the way down."""
    assert digest(new.network) == digest(old.network)
    assert digest(new.claim) == digest(old.claim)
    assert type(new.origin) is type(old.origin)
    assert str(new.origin) == str(old.origin)
    if isinstance(old.origin, Built):
        assert new.origin == old.origin
    for part, other in zip(constructions_in(new.origin), constructions_in(old.origin), strict=True):
        check_same(part, other)


@pytest.mark.default_cases(16)
@pytest.mark.parametrize("name", BUILD)
def test_everything_comes_back(name, tmp_path):
    built = BUILD[name]()
    dc.save(tmp_path / "it", built)
    loaded = dc.load(tmp_path / "it", functions={"double": double})
    assert isinstance(loaded, dc.Construction)
    assert loaded.claim == built.claim
    check_same(loaded, built)
    assert jax.tree.structure(loaded.network.layers) == jax.tree.structure(built.network.layers)
    for new, old in zip(jax.tree.leaves(loaded.network), jax.tree.leaves(built.network), strict=True):
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)


@pytest.mark.slow
def test_a_loaded_network_computes_the_same(tmp_path):
    network = dc.perturb(dc.parity(8, dtype="float32"), 0.5, key=jax.random.key(0))
    dc.save(tmp_path / "noisy", network)
    loaded = dc.load(str(tmp_path / "noisy"))
    assert isinstance(loaded, dc.Network)
    x = np.random.default_rng(0).normal(size=(5, 8))
    assert np.array_equal(loaded(x), network(x))
    assert [layer.label for layer in flat_layers(loaded)] == [layer.label for layer in flat_layers(network)]


def test_a_missing_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        dc.load(tmp_path / "nothing")


def test_a_user_target_needs_its_function(tmp_path):
    dc.save(tmp_path / "it", user_construction())
    with pytest.raises(ValueError, match=r"holds the user target 'double'; pass its function: .*functions="):
        dc.load(tmp_path / "it")


@pytest.mark.parametrize("value", [3, "network", jnp.ones(3), dc.parity(2).claim])
def test_only_networks_and_constructions_are_saved(value, tmp_path):
    with pytest.raises(TypeError, match="save: expected a Network or Construction; got"):
        dc.save(tmp_path / "it", value)


# Origins -------------------------------------------------------------------------------------------


def round_trip(value, **options):
    buffer = io.BytesIO()
    dc.save(buffer, value)
    return dc.load(buffer, **options)


def test_origins_are_kept_however_they_are_nested():
    xor, step = dc.parity(2, dtype="float32"), dc.parity(2, activation="step", dtype="float32")
    both = dataclasses.replace(dc.parallel(xor, step), origin=Parallel((xor, step)))
    tree = dataclasses.replace(dc.series(both, xor), origin=Series((both, xor), merge=True))
    rewritten = dataclasses.replace(tree, origin=Rewritten("densify", tree))
    check_same(round_trip(rewritten), rewritten)


def test_all_that_builders_are_told_is_kept():
    values = (None, True, 3, 0.1, float("inf"), 1 - 2j, complex("nanj"), "text", b"\x00\xff", (1, (2.0, ())))
    values += (dc.activations.Sigmoid(3.0), dc.domains.Bits(2), dc.systems.cantor())
    arguments = tuple((f"argument{index}", value) for index, value in enumerate(values))
    made = dataclasses.replace(dc.parity(2), origin=Built("made", arguments))
    assert repr(round_trip(made).origin.arguments) == repr(arguments)


def test_origins_may_be_longer_than_the_stack_is_deep():
    chain = dc.parity(2, dtype="float32")
    for _ in range(200):
        chain = dataclasses.replace(chain, origin=Rewritten("again", chain))
    loaded, count = round_trip(chain), 0
    while isinstance(loaded.origin, Rewritten):
        loaded, count = loaded.origin.of, count + 1
    assert count == 200
    assert loaded.origin == dc.parity(2, dtype="float32").origin


def test_parts_that_share_parts_are_stored_once():
    tree = dc.parity(2, dtype="float32")
    for _ in range(40):
        tree = dataclasses.replace(tree, origin=Parallel((tree, tree)))
    loaded = round_trip(tree)
    for _ in range(40):
        first, second = loaded.origin.parts
        assert first is second
        loaded = first


def test_equal_arrays_are_stored_once_and_loaded_apart():
    square = dc.Layer(dc.linear.Dense(jnp.ones((64, 64), "float32")), jnp.zeros(64, "float32"))
    one, many = io.BytesIO(), io.BytesIO()
    dc.save(one, dc.Network((square,)))
    dc.save(many, dc.Network((square,) * 8))
    assert len(many.getvalue()) < 1.5 * len(one.getvalue())
    network = dc.load(many)
    step = jax.jit(lambda weights: jax.tree.map(lambda leaf: leaf + 1, weights), donate_argnums=0)
    step(network)  # leaves that shared memory couldn't be donated


def test_equal_values_have_equal_files():
    first, second = io.BytesIO(), io.BytesIO()
    dc.save(first, composition())
    dc.save(second, composition())
    assert first.getvalue() == second.getvalue()


# Ensembles, diverged networks, and dtypes ----------------------------------------------------------


def stacked(network, count, depth=1):
    for _ in range(depth):
        network = jax.tree.map(lambda leaf: jnp.stack([leaf * scale for scale in range(1, count + 1)]), network)
    return network


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("build", [
    lambda: dc.parity(4, dtype="float32"),
    lambda: dc.parity(16, tied=True, dtype="float32"),
    lambda: dc.repeat(dc.fft(4, norm="ortho", dtype="complex64"), 3),
    lambda: dc.flat_product(3, dtype="float32"),
    lambda: dc.parallel(*[dc.repeat(dc.fft(2, norm="ortho", dtype="complex64"), 3)] * 2),
])  # fmt: skip
def test_ensembles_come_back(build, depth):
    ensemble = stacked(build().network, 3, depth)
    assert digest(round_trip(ensemble)) == digest(ensemble)


@pytest.mark.slow
def test_ensembles_made_by_vmap_come_back():
    network, keys = dc.parity(4).network, jax.random.split(jax.random.key(0), 3)
    ensemble = jax.vmap(lambda key: dc.perturb(network, 0.1, biases=True, key=key))(keys)
    assert digest(round_trip(ensemble)) == digest(ensemble)


@pytest.mark.slow
def test_ensembles_of_unequal_numbers_are_refused():
    network = stacked(dc.parity(4).network, 3)
    uneven = eqx.tree_at(lambda n: n.layers[0].bias, network, replace_fn=lambda leaf: leaf[:2])
    with pytest.raises(ValueError, match=r"save: the network can't be stored: .* must"):
        round_trip(uneven)


def test_a_construction_of_an_ensemble_is_refused():
    ensemble = dataclasses.replace(dc.parity(4), network=stacked(dc.parity(4).network, 3))
    with pytest.raises(ValueError, match=r"save: the construction can't be stored: .* must be an array of shape"):
        round_trip(ensemble)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("depth", [0, 1])
def test_diverged_networks_come_back_with_a_warning(value, depth):
    network = stacked(dc.parity(4, dtype="float32").network, 2, depth)
    diverged = eqx.tree_at(lambda n: n.layers[-1].linear.weight, network, replace_fn=lambda leaf: leaf * value)
    with pytest.warns(RuntimeWarning, match="load: <BytesIO> holds NaN or infinite weights, as it was saved"):
        loaded = round_trip(diverged)
    assert digest(loaded) == digest(diverged)


def test_finite_networks_come_back_without_one(recwarn):
    round_trip(dc.parity(4).network)
    assert not recwarn


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2", "float32", "complex128"])
def test_every_float_comes_back(name):
    weight = jnp.array([[1.0, -0.5], [0.25, -0.0]]).astype(name)
    network = dc.Network((dc.Layer(dc.linear.Dense(weight)),))
    loaded = round_trip(network)
    assert loaded.dtype == network.dtype
    assert digest(loaded) == digest(network)


def test_low_precision_constructions_come_back():
    built = dc.parity(4, dtype="bfloat16")
    check_same(round_trip(built), built)


def test_arrays_of_numpy_come_back_as_arrays_of_jax():
    network = jax.tree.map(lambda leaf: np.asarray(leaf, ">f4"), dc.parity(4, dtype="float32").network)
    loaded = round_trip(network)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(loaded))
    assert digest(loaded) == digest(dc.parity(4, dtype="float32").network)


# What save refuses ---------------------------------------------------------------------------------


class OwnActivation(dc.activations.AbstractActivation):
    def __call__(self, z, *, axis=-1):
        return z

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 0

    def name(self):
        return "own"


def with_activation(activation):
    return dc.Network((dc.Layer(dc.linear.Dense(jnp.eye(2)), activation=activation),))


def two_functions():
    def made(scale):
        network = dc.Network((dc.Layer(dc.linear.Dense(jnp.eye(2, dtype="float32"))),))
        target = dc.Target("scaled", lambda x: scale * x)
        return dc.claim(network, dc.Claim(target, Box(2, -1, 1), Box(2, -9, 9), dtype="float32"))

    return dc.parallel(made(1.0), made(2.0))


def with_bias(bias):
    return eqx.tree_at(lambda network: network.layers[0].bias, dc.parity(4, dtype="float32").network, bias)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What no file knows of."""


REFUSED = {
    "an unknown plan": (
        lambda: dataclasses.replace(dc.parity(2), origin=Built("made", plan=Plan())),
        "Plan is not a class of this library and can't be stored",
    ),
    "an own class": (lambda: with_activation(OwnActivation()), "OwnActivation is not a class of this library"),
    "a custom activation": (lambda: with_activation(dc.activations.Custom(jnp.tanh)), "Custom is not a class"),
    "a bias of another size": (lambda: with_bias(jnp.ones(3)), r"Layer: bias must have shape \(4,\); got \(3,\)"),
    "a number for a bias": (lambda: with_bias(1.0), r"Layer: bias must have shape \(4,\); got float"),
    "masks": (lambda: jax.tree.map(lambda w: w > 0, dc.parity(4).network), "every weight must be a floating array"),
    "counts": (lambda: jax.tree.map(lambda w: w.astype(int), dc.parity(4).network), "must be a floating array"),
    "labels": (lambda: jax.tree.map(lambda w: "frozen", dc.parity(4).network), "must be an array of shape"),
    "nothing": (lambda: jax.tree.map(lambda w: None, dc.parity(4).network), "must be an array of shape"),
    "shapes": (lambda: jax.eval_shape(lambda: dc.parity(4).network), "ShapeDtypeStruct is not a class"),
    "keys": (lambda: jax.tree.map(lambda w: jax.random.key(0), dc.parity(4).network), "PRNG keys can't be stored"),
    "functions of one name": (two_functions, "two targets of your own are named 'scaled'; give each a name of its own"),
    "extended precision": (
        lambda: jax.tree.map(lambda w: np.asarray(w, np.longdouble), dc.parity(4).network),
        r"can't be stored; cast with dc\.astype first|must be a floating array",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_not_be_read_again_is_refused_and_the_old_file_stays(name, tmp_path):
    dc.save(tmp_path / "it", dc.parity(3))
    before, (build, message) = (tmp_path / "it").read_bytes(), REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=f"^save: .*{message}"):
        dc.save(tmp_path / "it", build())
    assert (tmp_path / "it").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_traced_weights_are_refused(tmp_path):
    def step(network):
        dc.save(tmp_path / "it", network)
        return network

    with pytest.raises(TypeError, match="save: the weights are being traced; call it outside jit, vmap and grad"):
        jax.jit(step)(dc.parity(4).network)
    assert not list(tmp_path.iterdir())


def test_64_bit_weights_that_left_their_scope_are_refused(tmp_path):
    network = dc.parity(4, dtype="float64").network
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"save: .*float64 needs 64-bit JAX, which is off"):
        dc.save(tmp_path / "it", network)


def test_one_function_made_twice_is_one_target():
    def made():
        target = dc.Target("double", lambda x: 2 * x)
        return dataclasses.replace(
            user_construction(), claim=dataclasses.replace(user_construction().claim, target=target)
        )

    assert round_trip(dc.parallel(made(), made()), functions={"double": double}).out_size == 4


# Files that are open, and paths --------------------------------------------------------------------


class Stream:
    """A pipe: neither end can jump, and it takes and gives a few bytes at a time."""

    def __init__(self):
        self.content = b""

    def write(self, data):
        self.content += bytes(data[:1000])
        return min(len(data), 1000)

    def read(self):
        return self.content

    def close(self):
        pass


@pytest.mark.parametrize("make", [io.BytesIO, Stream, tempfile.SpooledTemporaryFile, tempfile.TemporaryFile])
def test_open_files_are_written_and_read(make):
    built = dc.parity(8, dtype="float32")
    with contextlib.closing(make()) as file:
        dc.save(file, built)
        check_same(dc.load(file), built)


def test_a_file_opened_by_name_is_written_and_read(tmp_path):
    built = dc.parity(4)
    with open(tmp_path / "it", "wb") as file:
        dc.save(file, built)
    with open(tmp_path / "it", "rb") as file:
        check_same(dc.load(file), built)
    check_same(dc.load(os.fsencode(tmp_path / "it")), built)


def test_files_can_be_passed_through_a_pipe():
    built = dc.parity(4)
    reading, writing = os.pipe()

    def write():
        with open(writing, "wb") as file:
            dc.save(file, built)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb") as file:
        loaded = dc.load(file)
    thread.join()
    check_same(loaded, built)


@pytest.mark.parametrize("file", [io.StringIO(), 3, None, ["path"]])
def test_other_places_are_refused(file):
    with pytest.raises(TypeError, match="save: expected a path, or a file open in binary mode; got"):
        dc.save(file, dc.parity(2))
    with pytest.raises(TypeError, match="load: expected a path, or a file open in binary mode; got"):
        dc.load(file)


def test_messages_name_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*nowhere/it\.dc'$"):
        dc.save(tmp_path / "nowhere" / "it.dc", dc.parity(2))
    with pytest.raises(IsADirectoryError, match=f"{tmp_path.name}'$"):
        dc.save(tmp_path, dc.parity(2))
    dc.save(tmp_path / "it", dc.parity(2))
    with pytest.raises(NotADirectoryError, match=r"it/other'$"):
        dc.save(tmp_path / "it" / "other", dc.parity(2))


def test_names_may_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("n" * 255)
    dc.save(path, dc.parity(2))
    assert dc.load(path).claim == dc.parity(2).claim


def test_links_are_followed(tmp_path):
    dc.save(tmp_path / "it", dc.parity(2))
    (tmp_path / "link").symlink_to(tmp_path / "it")
    dc.save(tmp_path / "link", dc.parity(3))
    assert (tmp_path / "link").is_symlink()
    assert dc.load(tmp_path / "it").claim == dc.parity(3).claim


def test_devices_are_written_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    thread = threading.Thread(target=dc.save, args=(tmp_path / "pipe", dc.parity(3)))
    thread.start()
    content = (tmp_path / "pipe").read_bytes()
    thread.join()
    assert dc.load(io.BytesIO(content)).claim == dc.parity(3).claim
    assert (tmp_path / "pipe").is_fifo()


# Saving is all or nothing --------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "parity.dc"
    dc.save(path, dc.parity(5, dtype="float32"))
    return path


def test_a_save_that_fails_leaves_the_old_file_and_no_scraps(saved, monkeypatch):
    before = saved.read_bytes()

    def full_disk(*_, **__):
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"no space left.*parity\.dc'$"):
        dc.save(saved, dc.parity(9))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_save_replaces_the_old_file(saved):
    dc.save(saved, dc.parity(9))
    assert dc.load(saved).claim == dc.parity(9).claim
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_saved_file_has_the_permissions_of_any_new_file(saved):
    (saved.parent / "plain").write_text("")
    assert saved.stat().st_mode == (saved.parent / "plain").stat().st_mode
