"""The standalone checker, in a process of its own: what a sceptic waits for."""

import subprocess
import sys
from pathlib import Path

import pytest

import deepconstruct as dc

SOURCE = Path(dc.__file__).parent / "_certify" / "check.py"
SIZES = {
    "parity of 16 bits": lambda: dc.parity(16),
    "parity of a million bits": lambda: dc.parity(2**20),
    "parity of an odd number of bits": lambda: dc.parity(10_007),
    "table of 8 bits": lambda: dc.catalog.build("boolean_function", 8),
    "product of 8 numbers": lambda: dc.product_tree(8, activation="square"),
}


@pytest.mark.parametrize("name", SIZES)
def test_check(benchmark, tmp_path, name):
    path, construction = tmp_path / "file.dc", SIZES[name]()
    dc.save(path, construction, dc.certify(construction))
    command = [sys.executable, "-S", "-E", str(SOURCE), str(path)]
    run = benchmark.pedantic(subprocess.run, (command,), {"capture_output": True, "check": False}, rounds=3)
    assert run.returncode == 0, run.stdout
