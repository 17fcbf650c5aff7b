"""Sweeps on several devices and in several processes give what one device gives."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import sys, jax, numpy as np
rank, port, store, result = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
if rank >= 0:
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=rank)
import jax.numpy as jnp, optax, deepconstruct as dc

def run(key, scale):
    network = dc.perturb(dc.parity(3, activation="sigmoid"), scale, key=key)
    loss = dc.losses.sampled(dc.parity(3).claim, 4)
    trained = dc.fit(network, loss, optax.adam(1e-2), steps=5, key=key)
    return {"loss": trained.loss, "output": trained.network(jnp.ones(3))}

found = dc.sweep(run, {"scale": np.linspace(0, 1, 64, dtype=np.float32)}, seeds=64, key=jax.random.key(0),
                 store=None if store == "-" else store, progress=False)
assert found.shape == (64, 64)
if rank <= 0:
    np.savez(result, **found.values)
else:
    assert not np.isnan(found["loss"]).any()
"""


def start(result, *, devices, rank=-1, port=0, store="-"):
    flags = f"--xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-c", PROGRAM, str(rank), str(port), str(store), str(result)]
    return subprocess.Popen(command, env={**os.environ, "XLA_FLAGS": flags, "JAX_ENABLE_X64": "0"})


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "alone.npz"
    assert start(path, devices=1).wait() == 0
    return dict(np.load(path))


def same(path, expected):
    with np.load(path) as found:
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.slow
@pytest.mark.parametrize("devices", [3, 4])
def test_devices_share_a_sweep(tmp_path, alone, devices):
    assert start(tmp_path / "found.npz", devices=devices).wait() == 0
    same(tmp_path / "found.npz", alone)


@pytest.mark.slow
def test_processes_share_a_sweep_and_a_store(tmp_path, alone):
    """The first process alone writes; both return everything, computed or read."""
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        result, store = tmp_path / "found.npz", tmp_path / "store"
        both = [start(result, devices=1, rank=rank, port=port, store=store) for rank in (0, 1)]
        assert [process.wait(timeout=300) for process in both] == [0, 0]
        same(result, alone)
        for path in sorted(store.rglob("batch-*.npz"))[::2]:
            path.unlink()  # the second time half of the batches are read, and the others computed
