"""Training 24 perturbed parity trees, batch 1,000, Adam: a sweep on all cores against PyTorch.

PyTorch runs the same network (dense unfused tree, sigmoids of inverse temperature 10) on fresh random
bits: as a plain loop, one run after another, and with all runs stacked by hand. It needs `torch==2.13.0`.
"""

import contextlib
import os

import jax
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct._sweep.batches import Program, usual_mesh

RUNS, STEPS, BATCH, SCALE, RATE = 24, 200, 1000, 0.3, 1e-4
SIZES = [16, 32]

with contextlib.suppress(RuntimeError):  # as the command line does; too late if JAX has started
    jax.config.update("jax_num_cpu_devices", os.cpu_count())


def tree(n):
    return dc.parity(n, activation="sigmoid", fused=False, readout="raw", dtype="float32")


def named(n):
    return pytest.mark.benchmark(group=f"parity {n}: {RUNS} runs x {STEPS} steps")


sizes = pytest.mark.parametrize("n", [pytest.param(n, marks=named(n)) for n in SIZES])


@sizes
def test_sweep(benchmark, n):
    construction = tree(n)
    network, loss = dc.densify(construction.network), dc.losses.sampled(construction.claim, BATCH)

    def run(key, scale):
        start = dc.perturb(network, scale, key=key)
        return dc.fit(start, loss, optax.adam(RATE), steps=STEPS, key=jax.random.key(1)).loss

    points = {"scale": np.full(RUNS, SCALE, np.float32), "seed": np.arange(RUNS, dtype=np.uint32)}
    program = Program(run, jax.random.key(0), {}, points, RUNS, usual_mesh())
    benchmark.extra_info["devices"] = len(jax.devices())
    found = benchmark.pedantic(program, (points,), rounds=5, warmup_rounds=1)
    assert np.all(found["value"][:, -1] < 0.5)


class Trees:
    """The weights of one tree, or of several stacked ones, and their Adam."""

    def __init__(self, torch, n, runs):
        noisy = [dc.perturb(dc.densify(tree(n)), SCALE, key=jax.random.key(seed)) for seed in range(runs)]
        copies = list(zip(*(network.layers for network in noisy), strict=True))

        def stack(arrays):
            values = torch.tensor(np.stack([np.asarray(array) for array in arrays]))
            return (values if runs > 1 else values[0]).requires_grad_()

        self.torch, self.n = torch, n
        self.weights = [stack([layer.linear.weight.T for layer in layers]) for layers in copies]
        self.biases = [stack([layer.bias[None] for layer in layers]) for layers in copies]
        self.affine = torch.baddbmm if runs > 1 else torch.addmm
        self.batch = (runs, BATCH, n) if runs > 1 else (BATCH, n)
        self.optimizer = torch.optim.Adam(self.weights + self.biases, lr=RATE)

    def train(self):
        for _ in range(STEPS):
            bits = self.torch.randint(0, 2, (BATCH, self.n))
            wanted = (bits.sum(dim=1) % 2).float()
            x = bits.float().expand(self.batch)
            for weight, bias in zip(self.weights, self.biases, strict=True):
                x = self.torch.sigmoid(10 * self.affine(bias, x, weight))
            # A sum over runs, so that every run has its own gradient.
            loss = ((x[..., 0] - wanted) ** 2).mean(dim=-1).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


@sizes
def test_plain_pytorch_loop(benchmark, n):
    torch = pytest.importorskip("torch")
    trees = [Trees(torch, n, 1) for _ in range(RUNS)]
    benchmark.pedantic(lambda: [single.train() for single in trees], rounds=3, warmup_rounds=1)


@sizes
def test_stacked_pytorch(benchmark, n):
    torch = pytest.importorskip("torch")
    stacked = Trees(torch, n, RUNS)
    benchmark.pedantic(stacked.train, rounds=5, warmup_rounds=1)
