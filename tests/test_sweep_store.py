"""Stores of sweeps: nothing that is done is lost, and nothing is ever mixed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._io import atomic

KEY = jax.random.key(0)
GRID = {"n": [2, 3], "scale": [0.1, 0.2, 0.3]}


def draw(key, n, scale):
    return {"noise": scale * jax.random.normal(key, (4,)), "n": jnp.asarray(n)}


def stored(folder, run=draw, grid=None, **options):
    chosen = {"seeds": 5, "key": KEY, "store": folder, "batch_size": 4, "name": "draw", "progress": False}
    return dc.sweep(run, GRID if grid is None else grid, **{**chosen, **options})


def batches(folder):
    return sorted(folder.rglob("batch-*.npz"))


def same(found, expected):
    assert list(found.values) == list(expected.values)
    for name, values in expected.values.items():
        np.testing.assert_array_equal(found[name], values)


def refuse(key, n, scale):
    raise AssertionError("nothing should be computed again")


def test_a_finished_sweep_is_read_and_not_computed(tmp_path, recwarn):
    first = stored(tmp_path)
    assert len(batches(tmp_path)) == 2 * 4  # two values of n, 15 runs in batches of 4
    same(stored(tmp_path, run=refuse), first)
    assert "the source of draw has changed" in str(recwarn.pop(UserWarning).message)
    same(stored(tmp_path / "elsewhere", store=None), first)


def test_missing_batches_are_computed_again(tmp_path):
    first = stored(tmp_path)
    for path in batches(tmp_path)[1::3]:
        path.unlink()
    same(stored(tmp_path), first)
    assert len(batches(tmp_path)) == 8


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:200] + b"\0\1" + b[202:]])
def test_a_damaged_batch_is_computed_again_with_a_warning(tmp_path, damage):
    first = stored(tmp_path)
    path = batches(tmp_path)[2]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"batch-000002.npz is damaged, not an archive of arrays.*computed again"):
        same(stored(tmp_path), first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(stored(tmp_path), first)


def test_the_batch_size_of_the_store_is_used_again(tmp_path):
    first = stored(tmp_path)
    batches(tmp_path)[0].unlink()
    same(stored(tmp_path, batch_size=None), first)
    with pytest.raises(ValueError, match="was made with batch_size 4; got 8"):
        stored(tmp_path, batch_size=8)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"grid": {**GRID, "scale": [0.1, 0.2, 0.4]}}, r"grid or seeds \(scale\)"),
        ({"grid": {**GRID, "n": [2, 4]}}, r"grid or seeds \(n\)"),
        ({"grid": {"scale": [0.1, 0.2, 0.3], "n": [2, 3]}}, r"grid or seeds \(order\)"),
        ({"seeds": 6}, r"grid or seeds \(seed\)"),
        ({"key": jax.random.key(1)}, "key: "),
    ],
)
def test_other_arguments_are_refused(tmp_path, change, what):
    stored(tmp_path)
    with pytest.raises(ValueError, match=f"was made with another .*{what}"):
        stored(tmp_path, **change)


def test_names_and_versions_have_folders_of_their_own(tmp_path):
    stored(tmp_path)
    stored(tmp_path, version=2, seeds=3)
    stored(tmp_path, name="other", key=jax.random.key(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["draw-v1", "draw-v2", "other-v1"]
    assert len(batches(tmp_path / "draw-v1")) == 8


def test_the_name_of_the_function_is_the_usual_name(tmp_path):
    stored(tmp_path, name=None)
    assert [path.name for path in tmp_path.iterdir()] == ["draw-v1"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}'])
def test_a_damaged_description_is_refused(tmp_path, content):
    stored(tmp_path)
    (tmp_path / "draw-v1" / "sweep.json").write_text(content)
    with pytest.raises(ValueError, match=r"sweep.json is damaged .* delete the folder to start again"):
        stored(tmp_path)


def test_values_without_a_lasting_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a store must tell the values of axis .*'n' apart after a restart"):
        stored(tmp_path, grid={"n": [object()], "scale": [0.1]})
    with pytest.raises(ValueError, match=r"a store must tell the values of axis .*'n' apart after a restart"):
        stored(tmp_path, grid={"n": [lambda: 0], "scale": [0.1]})


def test_a_failed_write_is_clear_and_corrupts_nothing(tmp_path, monkeypatch):
    """A disk that fills up in the middle of the fourth batch."""
    real, written = os.fsync, []

    def full(descriptor):
        written.append(descriptor)
        if len(written) == 5:  # the description and three batches before
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full)
        with pytest.raises(OSError, match=r"batch-000003.npz could not be written \(No space left on device\)"):
            stored(tmp_path)
    assert len(batches(tmp_path)) == 3
    assert not list(tmp_path.rglob("*.part"))
    same(stored(tmp_path), stored(tmp_path, store=None))


PROGRAM = """
import sys, jax, numpy as np, deepconstruct as dc
def run(key, scale):
    def step(x, _):
        return jax.numpy.sin(x + scale), None
    return jax.lax.scan(step, jax.random.normal(key, (500,)), length=3000)[0][:3]
found = dc.sweep(run, {"scale": np.linspace(0, 1, 8)}, seeds=10, batch_size=4, key=jax.random.key(5),
                 store=sys.argv[1], name="killed")
np.save(sys.argv[2], found["value"])
"""


def start(folder, result):
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), str(result)], stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_sweep_that_is_killed_three_times_ends_the_same(tmp_path):
    whole, result = tmp_path / "whole.npy", tmp_path / "result.npy"
    assert start(tmp_path / "a", whole).wait() == 0
    moments = random.Random(1)
    for _ in range(3):
        process = start(tmp_path / "b", result)
        before = len(batches(tmp_path / "b"))
        # Killed a random while after the first new batch: in a batch, or in a write.
        while len(batches(tmp_path / "b")) == before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = len(batches(tmp_path / "b"))
    assert 3 <= done < 20
    assert start(tmp_path / "b", result).wait() == 0
    np.testing.assert_array_equal(np.load(result), np.load(whole))
    assert json.loads((tmp_path / "b" / "killed-v1" / "sweep.json").read_text())["batch_size"] == 4
