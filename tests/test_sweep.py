"""Sweeps: every run is where it belongs, whatever is traced, looped over or spread."""

import copy
import functools
import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType

import deepconstruct as dc
from deepconstruct._sweep import driver

KEY = jax.random.key(3)
ADAM = optax.adam(1e-3)


def draw(key, **point):
    """Random numbers and what came in."""
    return {"noise": jax.random.normal(key, (2,)), "point": {name: jnp.asarray(value) for name, value in point.items()}}


def run_sweep(run, grid, **options):
    return dc.sweep(run, grid, **{"key": KEY, "progress": False, **options})


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7, 12, 100])
def test_every_run_is_where_it_belongs(batch_size):
    found = run_sweep(draw, {"n": [3, 5], "scale": [0.5, 1.5], "m": (1, 2, 4)}, seeds=2, batch_size=batch_size)
    assert found.shape == (2, 2, 3, 2)
    assert list(found.axes) == ["n", "scale", "m", "seed"]
    np.testing.assert_array_equal(found["point.n"][:, 0, 0, 0], [3, 5])
    np.testing.assert_array_equal(found["point.m"], np.broadcast_to(np.array([1, 2, 4])[:, None], found.shape))
    np.testing.assert_array_equal(found["point.scale"][0, :, 1, 1], [0.5, 1.5])


def test_seeds_get_the_same_keys_at_every_point():
    found = run_sweep(draw, {"n": [1, 2], "scale": [0.0, 1.0]}, seeds=[5, 2**32 - 1, 0])
    for index, seed in enumerate([5, 2**32 - 1, 0]):
        expected = jax.random.normal(jax.random.fold_in(KEY, np.uint32(seed)), (2,))
        np.testing.assert_array_equal(found["noise"][:, :, index], np.broadcast_to(expected, (2, 2, 2)))


@pytest.mark.slow
def test_results_are_those_of_single_runs():
    def train(key, scale):
        start = dc.perturb(dc.parity(4, activation="sigmoid"), scale, key=key)
        return dc.fit(start, dc.losses.sampled(dc.parity(4).claim, 8), ADAM, steps=3, key=key).loss

    found = run_sweep(train, {"scale": [0.1, 0.4, 0.9]}, seeds=5)["value"]
    for i, scale in enumerate([0.1, 0.4, 0.9]):
        alone = train(jax.random.fold_in(KEY, 4), scale)
        np.testing.assert_allclose(found[i, 4], alone, rtol=1e-6)


def test_axes_may_hold_anything_that_changes_structure():
    def width(key, activation, kind):
        net = dc.parity(4, activation=activation)
        net = dc.densify(net.network) if kind == "dense" else net.network
        return sum(leaf.size for leaf in jax.tree.leaves(net))

    found = run_sweep(width, {"activation": ["relu", "step"], "kind": ["dense", "sparse"]})["value"]
    assert found.shape == (2, 2, 1)
    assert (found[:, 0] > found[:, 1]).all()


def test_axes_of_vectors_are_handed_on_row_by_row():
    found = run_sweep(lambda key, v: v.sum(), {"v": np.arange(6.0).reshape(3, 2)})
    np.testing.assert_array_equal(found["value"][:, 0], [1, 5, 9])


def test_integer_arrays_are_traced_and_lists_of_integers_are_not():
    kinds = []

    def run(key, n):
        kinds.append(isinstance(n, jax.Array))
        return jnp.asarray(n)

    assert run_sweep(run, {"n": np.array([1, 2])})["value"].dtype == np.int64
    assert all(kinds)
    kinds.clear()
    run_sweep(run, {"n": [1, 2]})
    assert not any(kinds)


@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64", "complex64", "bfloat16"])
def test_results_keep_their_dtype(dtype):
    assert run_sweep(lambda key, x: jnp.ones((), dtype), {"x": [1.0]})["value"].dtype == jnp.dtype(dtype)


def test_diverged_runs_are_kept_and_counted():
    found = run_sweep(lambda key, x: {"a": jnp.log(x), "b": 1}, {"x": [-1.0, 1.0, jnp.nan]}, seeds=2)
    assert found.nan_runs() == 4
    np.testing.assert_array_equal(found["a"][1], 0)
    assert np.isnan(found["a"][[0, 2]]).all()


def test_datasets_have_the_axes_as_coordinates():
    grid = {"kind": ["dense", "sparse"], "scale": [0.1, 0.2, 0.3], "v": np.ones((2, 4))}
    data = run_sweep(lambda key, kind, scale, v: {"loss": scale * v}, grid, seeds=[7, 9]).to_xarray()
    assert dict(data.sizes) == {"kind": 2, "scale": 3, "v": 2, "seed": 2, "loss_0": 4, "v_1": 4}
    assert data.loss.dims == ("kind", "scale", "v", "seed", "loss_0")
    np.testing.assert_allclose(data.loss.sel(kind="dense", scale=0.2, seed=9).values, 0.2)
    assert data.v_value.shape == (2, 4)


def test_a_dataset_needs_xarray(monkeypatch):
    found = run_sweep(lambda key, x: x, {"x": [1.0]})
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match="to_xarray needs xarray"):
        found.to_xarray()


def test_results_are_saved_and_loaded(tmp_path):
    found = run_sweep(draw, {"n": [1, 2], "scale": [0.5, 1.5]}, seeds=2)
    found.save(tmp_path / "deep" / "result")
    again = dc.Sweep.load(tmp_path / "deep" / "result")
    assert repr(again) == repr(found)
    for name, values in found.values.items():
        np.testing.assert_array_equal(again[name], values)
    assert [list(values) for values in again.axes.values()] == [[1, 2], [0.5, 1.5], [0, 1]]


def test_a_missing_result_is_named():
    with pytest.raises(KeyError, match="no result 'los'; there are value"):
        run_sweep(lambda key, x: x, {"x": [1.0]})["los"]


@pytest.mark.parametrize(
    "error, message, run, grid, options",
    [
        (TypeError, "run must be called as run", 3, {}, {}),
        (TypeError, "grid must map names to values", draw, [1.0], {}),
        (ValueError, "and not 'seed' or 'key'; got .*'seed'", draw, {"seed": [1]}, {}),
        (ValueError, "not 'seed' or 'key'; got .*'two words'", draw, {"two words": [1]}, {}),
        (ValueError, "axis 'x'.* must hold at least one number", draw, {"x": np.zeros(0)}, {}),
        (ValueError, "axis 'x'.* must hold at least one value", draw, {"x": []}, {}),
        (TypeError, "axis 'x'.* must be a list, a tuple or an array; got .*'ab'", draw, {"x": "ab"}, {}),
        (TypeError, "axis 'x'.* must be a list, a tuple or an array; got .*1.0", draw, {"x": 1.0}, {}),
        (TypeError, "seeds must be a number of seeds", draw, {}, {"seeds": 1.5}),
        (ValueError, "seeds must be at least one integer; got .*0", draw, {}, {"seeds": 0}),
        (ValueError, r"seeds must be at least one integer; got \[0.5\]", draw, {}, {"seeds": [0.5]}),
        (ValueError, "seeds must differ", draw, {}, {"seeds": [1, 1]}),
        (ValueError, r"lie in \[0, 2\^32\)", draw, {}, {"seeds": [-1]}),
        (ValueError, "batch_size must be at least 1; got 0", draw, {}, {"batch_size": 0}),
        (TypeError, "run must return arrays; got .*'text' for 'a'", lambda key: {"a": "text"}, {}, {}),
        (TypeError, "run must return numbers; got .*key<fry>", lambda key: key, {}, {}),
        (ValueError, "must return a pytree of arrays with a name each", lambda key: (), {}, {}),
        (ValueError, "must return the same shapes at all points", lambda key, n: jnp.ones(n), {"n": [1, 2]}, {}),
    ],
)
def test_bad_sweeps_are_refused(error, message, run, grid, options):
    with pytest.raises(error, match=message):
        run_sweep(run, grid, **options)


@pytest.mark.slow
def test_batches_shrink_until_memory_holds_them(monkeypatch):
    def wide(key, x):
        return (x * jnp.ones(2**16)).sum() + jax.random.normal(key, (2**16,)).max()

    sizes = []
    program = driver.Program
    monkeypatch.setattr(driver, "Program", lambda *args: sizes.append(args[4]) or program(*args))
    full = run_sweep(wide, {"x": [1.0, 2.0]}, seeds=4)
    assert sizes == [4]
    sizes.clear()
    monkeypatch.setattr(driver, "budget", lambda mesh: 3 * 2**19)
    np.testing.assert_array_equal(run_sweep(wide, {"x": [1.0, 2.0]}, seeds=4)["value"], full["value"])
    assert sizes[0] == 4
    assert sizes[-1] < 4
    monkeypatch.setattr(driver, "budget", lambda mesh: 2**10)
    with pytest.raises(MemoryError, match=r"a single run takes .* GiB a device; half of what is free"):
        run_sweep(wide, {"x": [1.0, 2.0]}, seeds=4)


def test_a_table_has_a_row_a_run(monkeypatch):
    grid = {"kind": ["a", "b"], "v": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])}
    found = run_sweep(lambda key, kind, v: {"sum": v.sum(), "twice": 2 * v}, grid, seeds=[7, 9])
    table = found.to_dataframe()
    assert list(table) == ["kind", "v[0]", "v[1]", "seed", "sum", "twice[0]", "twice[1]"]
    assert len(table) == 12
    row = table[(table["kind"] == "b") & (table["v[0]"] == 5) & (table["seed"] == 9)]
    assert row.iloc[0].tolist() == ["b", 5.0, 6.0, 9, 11.0, 10.0, 12.0]
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"sweep: to_dataframe needs pandas: pip install 'deepconstruct\[sweep\]'"):
        found.to_dataframe()


@pytest.mark.parametrize("copied", [lambda found: pickle.loads(pickle.dumps(found)), copy.deepcopy, copy.copy])
def test_a_sweep_can_be_copied(copied):
    found = run_sweep(draw, {"scale": [0.5, 1.5], "n": [1, 2]}, seeds=2)
    again = copied(found)
    assert repr(again) == repr(found)
    assert again.axes["n"] == (1, 2)
    np.testing.assert_array_equal(again.axes["scale"], [0.5, 1.5])
    np.testing.assert_array_equal(again["noise"], found["noise"])
    with pytest.raises(TypeError, match="does not support item assignment"):
        again.values["noise"] = 0


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_mesh_may_be_set(kind):
    def closing(key, scale, n, weights):
        return scale * n * weights.sum() + jax.random.normal(key)

    grid = {"scale": [0.5, 1.5], "n": [1, 2]}
    plain = run_sweep(functools.partial(closing, weights=jnp.ones(3)), grid, seeds=3)
    with jax.set_mesh(jax.make_mesh((1,), ("x",), axis_types=(kind,))):
        key, weights = jax.random.key(3), jnp.ones(3)  # arrays of this mesh
        found = run_sweep(functools.partial(closing, weights=weights), grid, seeds=3, key=key)
    np.testing.assert_array_equal(found["value"], plain["value"])


def test_what_jax_cannot_do_is_not_hidden():
    def undone(key, scale):
        raise NotImplementedError("of my own")

    with pytest.raises(NotImplementedError, match="of my own"):
        run_sweep(undone, {"scale": [0.5]})


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("key", [KEY, jax.random.PRNGKey(3)], ids=["typed", "old"])
def test_runs_are_concrete_without_jit(key):
    seen = []

    def run(key, scale):
        seen.append(scale)
        return {"value": scale + jax.random.normal(key)}

    plain = run_sweep(run, {"scale": [0.5, 1.5]}, seeds=2, key=key)
    seen.clear()
    with jax.disable_jit():
        found = run_sweep(run, {"scale": [0.5, 1.5]}, seeds=2, key=key)
    assert [float(scale) for scale in seen] == [0.5, 0.5, 1.5, 1.5]
    np.testing.assert_allclose(found["value"], plain["value"], rtol=1e-15)
