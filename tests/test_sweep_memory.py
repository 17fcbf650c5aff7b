"""A sweep holds one batch at a time, and its results."""

import subprocess
import sys

import pytest

RUN = """
import resource, sys
import deepconstruct as dc, jax

def run(key):
    drawn = jax.random.normal(key, (256, 1024))  # a megabyte, and as much for the product's operand
    return (drawn @ drawn.T).sum()

found = dc.sweep(run, {}, seeds=int(sys.argv[1]), batch_size=8, progress=False, key=jax.random.key(0))
assert found["value"].shape == (int(sys.argv[1]),)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_megabytes(runs):
    command = [sys.executable, "-c", RUN, str(runs)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


@pytest.mark.slow
def test_a_sweep_of_a_hundred_batches_takes_the_memory_of_one():
    one, hundred = peak_megabytes(8), peak_megabytes(800)
    # All runs at once would take 800 more. The allocator keeps up to a hundred, and stays there.
    assert hundred - one < 200
