"""Checkpoints of training: a run that is killed ends as one that wasn't."""

import functools
import os
import signal
import subprocess
import sys
import time
from functools import partial

import jax
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct._io import atomic

KEY = jax.random.key(1)
CLAIM = dc.parity(4).claim


# The same objects, so that they are compiled once.
adam, sampled = functools.lru_cache(optax.adam), functools.lru_cache(partial(dc.losses.sampled, CLAIM))


def train(store=None, *, steps=50, every=None, rate=1e-2, scale=0.3, batch=8, key=KEY, **options):
    network = dc.perturb(dc.parity(4, activation="sigmoid"), scale, key=jax.random.key(0))
    return dc.fit(network, sampled(batch), adam(rate), steps=steps, store=store, every=every, key=key, **options)


@functools.cache
def uninterrupted():
    return train()


def same(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


class Killed(BaseException):
    pass


def kill_at(monkeypatch, write):
    """Stop the run in the given write of a checkpoint, before the file is there."""
    real, count = os.replace, []

    def replace(*paths):
        count.append(paths)
        if len(count) == write:
            raise Killed
        real(*paths)

    monkeypatch.setattr(atomic.os, "replace", replace)


@pytest.mark.slow
@pytest.mark.parametrize("every, writes", [(None, 50), (1, 50), (7, 8), (50, 1), (1000, 1)])
def test_checkpoints_change_nothing(tmp_path, every, writes, monkeypatch):
    written = []
    real = os.replace
    monkeypatch.setattr(atomic.os, "replace", lambda *paths: written.append(paths) or real(*paths))
    same(train(tmp_path / "run", every=every), uninterrupted())
    assert len(written) == writes


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("write", [1, 2, 5, 8])
@pytest.mark.parametrize("progress", [False, True])
def test_a_killed_run_goes_on(tmp_path, monkeypatch, write, progress):
    with monkeypatch.context() as patch:
        kill_at(patch, write)
        with pytest.raises(Killed):
            train(tmp_path / "run", every=7)
    assert [path.name for path in tmp_path.iterdir()] == (["run"] if write > 1 else [])
    same(train(tmp_path / "run", every=7, progress=progress), uninterrupted())


def test_a_finished_run_is_read(tmp_path, monkeypatch):
    first = train(tmp_path / "a" / "run", every=10)
    monkeypatch.setattr("deepconstruct._fit.advance", None)
    same(train(tmp_path / "a" / "run", every=10), first)


@pytest.mark.parametrize(
    "change", [{"steps": 60}, {"every": 9}, {"scale": 0.2}, {"batch": 16}, {"key": jax.random.key(2)}]
)
def test_other_runs_are_refused(tmp_path, change):
    train(tmp_path / "run", every=10)
    with pytest.raises(ValueError, match="is of another run: another network, loss"):
        train(tmp_path / "run", **{"every": 10, **change})


@pytest.mark.parametrize("damage", [lambda content: content[:-100], lambda content: b"no file"])
def test_a_damaged_checkpoint_starts_again(tmp_path, damage):
    path = tmp_path / "run"
    first = train(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(UserWarning, match=r"run is damaged \(.*\); training starts again"):
        same(train(path), first)


@pytest.mark.slow
def test_complex_weights_are_kept(tmp_path):
    def run(store, steps):
        loss = dc.losses.population(dc.targets.DFT(4).matrix())
        start = dc.perturb(dc.fft(4), 0.1, key=KEY)
        return dc.fit(start, loss, optax.sgd(0.01), steps=steps, store=store, every=3, key=KEY)

    first = run(tmp_path / "run", 10)
    same(run(tmp_path / "run", 10), first)
    assert any(np.iscomplexobj(leaf) for leaf in jax.tree.leaves(first.network))


def test_intervals_need_a_store(tmp_path):
    with pytest.raises(ValueError, match="every is the interval of checkpoints; pass a store"):
        train(every=3)
    with pytest.raises(ValueError, match="every must be at least 1; got 0"):
        train(tmp_path / "run", every=0)


PROGRAM = """
import sys, jax, numpy as np, optax, deepconstruct as dc
start = dc.perturb(dc.parity(8, activation="sigmoid"), 0.3, key=jax.random.key(0))
found = dc.fit(start, dc.losses.sampled(dc.parity(8).claim, 64), optax.adam(1e-2), steps=1500, every=10,
               store=sys.argv[1], key=jax.random.key(1))
np.save(sys.argv[2], found.loss)
"""


@pytest.mark.slow
def test_a_run_that_is_really_killed_goes_on(tmp_path):
    def begin(store):
        return subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / store), str(tmp_path / f"{store}.npy")])

    assert begin("whole").wait() == 0
    process = begin("killed")
    while not (tmp_path / "killed").exists() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.npy").exists()
    assert begin("killed").wait() == 0
    np.testing.assert_array_equal(np.load(tmp_path / "killed.npy"), np.load(tmp_path / "whole.npy"))
