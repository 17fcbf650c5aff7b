"""Without x64, and with every annotation checked: what only another process can show."""

import subprocess
import sys


def run(code, *, timeout=300):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=timeout)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


BUILDERS = [
    "dc.parity(4, dtype='float64')",
    "dc.parity_shallow(4, dtype='float64')",
    "dc.parity_bounded_depth(4, 3, dtype='float64')",
    "dc.fft(4, dtype='complex128')",
    "dc.astype(dc.parity(4).network, 'float64')",
    "dc.catalog.build('parity', 4, dtype='float64')",
]


def test_without_x64_defaults_are_32_bits_and_64_are_refused_by_name():
    code = """
import deepconstruct as dc, numpy as np
assert dc.parity(5).claim.dtype == dc.parity(5).network.dtype.name == "float32"
assert dc.fft(8).claim.dtype == "complex64"
assert dc.realify(dc.fft(8)).claim.dtype == "float32"
assert dc.parity_shallow(3)(np.ones(3)).dtype == "float32"
assert dc.fft(8)(np.ones(8, complex)).dtype == "complex64"
assert dc.certify(dc.parity(9)).verdict == dc.certify(dc.fft(16)).verdict == "proved"
for name in dc.catalog.names():
    assert dc.catalog.build(name).claim.dtype in ("float32", "complex64"), name
"""
    for builder in BUILDERS:
        code += f"try:\n    {builder}\n    print('taken')\nexcept ValueError as error:\n    print(error)\n"
    refusals = run(code).splitlines()
    owners = ["parity", "parity_shallow", "parity_bounded_depth", "fft", "astype", "parity"]
    for refusal, owner, builder in zip(refusals, owners, BUILDERS, strict=True):
        dtype = "complex128" if "complex128" in builder else "float64"
        assert refusal.startswith(f"{owner}: {dtype} needs 64-bit JAX, which is off; call"), refusal


def test_a_64_bit_construction_is_refused_once_x64_is_off_again():
    code = """
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
import deepconstruct as dc
built = dc.parity(4)
jax.config.update("jax_enable_x64", False)
for ask in (lambda: built(np.ones(4)), lambda: dc.certify(built), lambda: dc.Network(built.network.layers)):
    try:
        ask()
        print("taken")
    except ValueError as error:
        print(error)
"""
    lines = run(code).splitlines()
    assert len(lines) == 3
    for line, owner in zip(lines, ("parity(4)", "certify", "Network"), strict=True):
        assert line.startswith(f"{owner}: float64 needs 64-bit JAX"), line


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
    proof = dc.certify(construction, samples=1000).verdict
    # Of smooth networks on boxes no proof is known to certify.
    assert proof == ("proved" if construction.claim.domain.cardinality or "fft" in name else "tested"), name
"""
    assert run(HOOK + code).split() == ["caught"] * len(BAD)
