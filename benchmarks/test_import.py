"""The time of `import deepconstruct`, in a fresh process, against its heaviest dependencies."""

import compileall
import importlib.util
import subprocess
import sys

import pytest


@pytest.fixture(scope="module", autouse=True)
def bytecode():
    """Compile the sources, as pip does when it installs a package (an editable install has none)."""
    spec = importlib.util.find_spec("deepconstruct")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    compileall.compile_dir(spec.submodule_search_locations[0], quiet=2)


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("statement", ["import equinox, optax", "import deepconstruct"])
def test_import(benchmark, statement):
    command = [sys.executable, "-c", statement]
    benchmark.pedantic(lambda: subprocess.run(command, check=True), rounds=9, warmup_rounds=1)
