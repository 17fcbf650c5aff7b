"""Without x64, and with every annotation checked."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import deepconstruct as dc


def run(code, *, timeout=300):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=timeout)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


BUILDERS = {
    "parity": lambda: dc.parity(4, dtype="float64"),
    "parity_shallow": lambda: dc.parity_shallow(4, dtype="float64"),
    "parity_bounded_depth": lambda: dc.parity_bounded_depth(4, 3, dtype="float64"),
    "fft": lambda: dc.fft(4, dtype="complex128"),
    "astype": lambda: dc.astype(dc.parity(4).network, "float64"),
    "catalog": lambda: dc.catalog.build("parity", 4, dtype="float64"),
}
OFF = r"(float64|complex128) needs 64-bit JAX, which is off; call"


@pytest.mark.parametrize("name", BUILDERS)
def test_without_x64_64_bits_are_refused_by_name(name):
    owner = "parity" if name == "catalog" else name
    with jax.enable_x64(False), pytest.raises(ValueError, match=f"^{owner}: {OFF}"):
        BUILDERS[name]()


def test_without_x64_defaults_are_32_bits():
    with jax.enable_x64(False):
        assert dc.parity(5).claim.dtype == dc.parity(5).network.dtype.name == "float32"
        assert dc.fft(8).claim.dtype == "complex64"
        assert dc.realify(dc.fft(8)).claim.dtype == "float32"
        assert dc.parity_shallow(3)(np.ones(3)).dtype == "float32"
        assert dc.fft(8)(np.ones(8, complex)).dtype == "complex64"
        assert dc.certify(dc.parity(9)).verdict == dc.certify(dc.fft(16)).verdict == "proved"


@pytest.mark.parametrize("name", dc.catalog.names())
def test_without_x64_every_entry_is_32_bits(name):
    with jax.enable_x64(False):
        assert dc.catalog.build(name).claim.dtype in ("float32", "complex64")


@pytest.mark.parametrize("owner, ask", [
    (r"parity\(4\)", lambda built: built(np.ones(4))),
    ("certify", dc.certify),
    ("Network", lambda built: dc.Network(built.network.layers)),
])  # fmt: skip
def test_a_64_bit_construction_is_refused_once_x64_is_off_again(owner, ask):
    built = dc.parity(4, dtype="float64")
    with jax.enable_x64(False), pytest.raises(ValueError, match=f"^{owner}: float64 needs 64-bit JAX"):
        ask(built)


@pytest.mark.slow
def test_laws_hold_without_x64():
    code = """
import hypothesis
hypothesis.settings.register_profile("quick", deadline=None, max_examples=5, derandomize=True, database=None)
hypothesis.settings.load_profile("quick")
import deepconstruct as dc
from deepconstruct.testing import LAWS
cases = [("parity", 7), ("parity_sigmoid", 2), ("fft", 4)]
for name, size in cases:
    dtype = "complex64" if name == "fft" else "float32"
    for law in LAWS.values():
        law(lambda dtype: dc.catalog.build(name, size, dtype=dtype), dtype)
"""
    run(code)


# An int may stand for a float, as PEP 484 and the static check have it.
HOOK = """
import sys, types
from beartype import BeartypeConf, beartype
from jaxtyping import TypeCheckError, install_import_hook
checker = types.ModuleType("checker")
checker.check = beartype(conf=BeartypeConf(is_pep484_tower=True))
sys.modules["checker"] = checker
with install_import_hook("deepconstruct", "checker.check"):
    import deepconstruct as dc
"""


# Else the entries would pass whatever the annotations say.
BAD = ["dc.linear.Dense(jnp.ones(3)).apply(jnp.ones((1, 3)))", "dc.parity(3).network.layers[0].apply(jnp.ones((3,)))"]


@pytest.mark.slow
def test_every_entry_passes_with_its_annotations_checked():
    # jaxtyping's hook checks shapes and dtypes of all arguments and results with beartype; for that no program
    # needs to be fast.
    code = "import jax, jax.numpy as jnp, numpy as np\njax.config.update('jax_disable_most_optimizations', True)\n"
    for bad in BAD:
        code += f"try:\n    {bad}\n    print('taken')\nexcept TypeCheckError:\n    print('caught')\n"
    code += """
for name, entry in dc.catalog.ENTRIES.items():
    construction = entry.build(entry.sizes[1])
    x = construction.claim.domain.sample(jax.random.key(0), (3,))
    assert construction(x).shape == (3, construction.out_size)
    assert dc.cost(construction).layers >= 1
    assert dc.certify(construction, samples=1000).verdict == "proved", name
"""
    assert run(HOOK + code).split() == ["caught"] * len(BAD)
