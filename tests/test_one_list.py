"""A new family needs its own file and one line of a list: everything else follows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deepconstruct

ROOT = Path(__file__).parent.parent

# A family in one file, as CONTRIBUTING.md asks for it.
FAMILY = '''"""Unanimity of bits in one step unit."""

from typing import Any

import jax.numpy as jnp

from .._checks import check_dtype, check_size
from ..activations import Step
from ..construction import Claim, Construction, builder
from ..construction.entry import Entry, formula, sizes
from ..domains import Bits
from ..linear import Dense
from ..network import Layer, Network
from ..targets import Product

__all__ = ["unanimity"]


@builder
def unanimity(n: int, *, dtype: Any = None) -> Construction:
    """Whether all of `n` bits are set."""
    n, resolved = check_size("unanimity", "n", n), check_dtype("unanimity", dtype)
    layer = Layer(Dense(jnp.ones((1, n), resolved)), jnp.asarray([0.5 - n], resolved), Step())
    return Construction(Network((layer,)), Claim(Product(n), Bits(n), Bits(1), dtype=resolved.name, source="a test"))


ENTRIES = (
    Entry("unanimity", "whether n bits are set", unanimity, {"n": 4}, sizes("n", 1, 2, 3), formula("n", lambda n: n)),
)
'''

# What follows, seen from a process of its own.
FOLLOWS = """
import contextlib, io, sys, tempfile
from pathlib import Path

import hypothesis, numpy as np
hypothesis.settings.register_profile("quick", deadline=None, max_examples=3, derandomize=True, database=None)
hypothesis.settings.load_profile("quick")

import deepconstruct as dc
assert "deepconstruct.constructions" not in sys.modules  # builders are loaded on first use
assert dc.unanimity(3)([[1, 1, 1], [1, 0, 1]]).tolist() == [[1.0], [0.0]]
assert "unanimity" in dc.__all__ and "unanimity" in dir(dc)

entry = list(dc.catalog.ENTRIES.values())[-1]
assert (entry.name, entry.kind, entry.source) == ("unanimity", "real", "a test")
built = entry.build()
assert str(built.origin) == "unanimity(n=4, dtype='float64')"
assert dc.catalog.rebuild(built.origin).claim == built.claim

from deepconstruct.testing import LAWS
for law in LAWS.values():
    law(lambda dtype: entry.build(entry.sizes[1], dtype=dtype), "float32")

path = Path(tempfile.mkdtemp()) / "unanimity.dc"
dc.save(path, dc.unanimity(4))
assert dc.load(path).claim == built.claim

import make_tables
assert make_tables.builders().endswith("deepconstruct.unanimity\\n```")
assert make_tables.line("unanimity").startswith(
    "| `unanimity` | whether n bits are set | n=4 | 1 | 1 | 4 | `n` | exact |"
)
(shown,) = [row for row in make_tables.tree().splitlines() if "family.py" in row]
assert shown.split() == "family.py Unanimity of bits in one step unit".split()

from deepconstruct import _cli, _tour
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    assert _cli.main(["list"]) == _cli.main(["certify", "unanimity", "--set", "n=3"]) == 0
assert printed.getvalue().count("unanimity") >= 2 and "proved" in printed.getvalue()
_tour.catalog.ENTRIES = {"unanimity": entry}
(row,) = _tour.catalog_table(lambda line: None)
assert row["certified"] and row["formula_holds"] and row["theorem_synapses"] == 4
"""


@pytest.mark.slow
def test_a_family_of_one_file_and_one_line_is_everywhere(tmp_path):
    package = tmp_path / "deepconstruct"
    shutil.copytree(Path(deepconstruct.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "constructions" / "family.py").write_text(FAMILY)
    families = package / "constructions" / "__init__.py"
    last = "from .fractals import *\n"
    text = families.read_text()
    assert text.count(last) == 1
    families.write_text(text.replace(last, f"{last}from .family import *\n"))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "docs")]),
        "JAX_ENABLE_X64": "1",
    }
    result = subprocess.run(
        [sys.executable, "-c", FOLLOWS], capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
    )
    assert result.returncode == 0, result.stdout + result.stderr
