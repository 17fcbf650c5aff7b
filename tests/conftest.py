"""One Hypothesis profile for all tests, and compiled functions that are forgotten in time."""

import itertools

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)

# Compilation makes deadlines meaningless.
hypothesis.settings.register_profile(
    "deepconstruct",
    deadline=None,
    max_examples=25,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
hypothesis.settings.load_profile("deepconstruct")

_COUNT = itertools.count(1)


@pytest.fixture(autouse=True)
def _few_compiled_functions():
    """Every compiled function keeps a few memory maps, of which Linux gives a process 65,530."""
    yield
    if next(_COUNT) % 200 == 0:
        jax.clear_caches()
