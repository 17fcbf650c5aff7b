"""The time of `import deepconstruct`, in a fresh process, against its heaviest dependencies."""

import subprocess
import sys

import pytest


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("statement", ["import equinox, optax", "import deepconstruct"])
def test_import(benchmark, statement):
    command = [sys.executable, "-c", statement]
    benchmark.pedantic(lambda: subprocess.run(command, check=True), rounds=9, warmup_rounds=1)
