"""One Hypothesis profile for all tests; what they compile is shared among processes, and forgotten in time."""

import atexit
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)

# What one process compiled the others load: workers, which start with this environment, and those that tests start.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _FOLDER = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
    os.environ |= {"JAX_COMPILATION_CACHE_DIR": _FOLDER, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    jax.config.update("jax_compilation_cache_dir", _FOLDER)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

# Compilation makes deadlines meaningless.
hypothesis.settings.register_profile(
    "deepconstruct",
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("deepconstruct")

# Every compiled function keeps about six memory maps, of which Linux gives a process 65,530, and a megabyte or two.
_MAPS, _MOST_MAPS = Path("/proc/self/maps"), 8_000
_COUNT = itertools.count(1)


def _many_maps(count: int) -> bool:
    if _MAPS.exists():
        return count % 10 == 0 and _MAPS.read_bytes().count(b"\n") > _MOST_MAPS
    return count % 200 == 0


@pytest.fixture(autouse=True)
def _few_compiled_functions():
    yield
    if _many_maps(next(_COUNT)):
        jax.clear_caches()
