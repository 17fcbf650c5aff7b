"""One Hypothesis profile for all tests; what they compile is kept between runs, and forgotten in time."""

import contextlib
import hashlib
import importlib.metadata
import itertools
import os
import platform
from pathlib import Path

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)
# Nothing leaves the choice of a dtype or of an axis to JAX: users may have told it to refuse that.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Compiled functions are kept here, up to so many bytes; about a fifth of that is one run's.
_KEPT, _MOST_KEPT = Path(__file__).parent.parent / ".jax_cache", 2**28


def this_machine() -> str:
    """A name for what compiled functions depend on: the versions, and what the processor can do."""
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    features = sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))})
    parts = (jax.__version__, importlib.metadata.version("jaxlib"), platform.system(), platform.machine())
    return hashlib.sha256(repr((parts, features)).encode()).hexdigest()[:16]


def forget_the_oldest(folder: Path, most: int) -> None:
    """Delete the files that were written first until the others have at most `most` bytes."""
    files = []
    for path in folder.glob("*/*"):
        with contextlib.suppress(FileNotFoundError):  # another run may delete it first
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    excess = sum(size for _, size, _ in files) - most
    for _, size, path in sorted(files):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size


# What one process compiled the others load: workers, which start with this environment, and those that tests start.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _FOLDER = str(_KEPT / this_machine())
    forget_the_oldest(_KEPT, _MOST_KEPT)
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


@pytest.hookimpl(tryfirst=True)  # before those that are marked slow are left out
def pytest_collection_modifyitems(items):
    """Mark as slow what `default_cases` leaves to the slow tests."""
    cases = {}
    for item in items:
        if item.get_closest_marker("default_cases") and not item.get_closest_marker("slow"):
            cases.setdefault(item.function, []).append(item)
    for same in cases.values():
        (count,) = same[0].get_closest_marker("default_cases").args
        kept = {round(index * (len(same) - 1) / max(count - 1, 1)) for index in range(count)}
        for index, item in enumerate(same):
            if index not in kept:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _promotion(request):
    if request.node.get_closest_marker("promotes") is None:
        yield
    else:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            yield


@pytest.fixture(autouse=True)
def _few_compiled_functions():
    yield
    if _many_maps(next(_COUNT)):
        jax.clear_caches()
