"""The one place that imports python-flint: balls that hold real and complex numbers."""

import importlib.metadata
import importlib.util
from typing import Any

NEEDS_FLINT = "it needs python-flint: pip install 'deepconstruct[certify]'"


def has_flint() -> bool:
    """Whether python-flint is installed."""
    return importlib.util.find_spec("flint") is not None


def flint() -> Any:
    """The module.

    Raises:
        ImportError: it isn't installed.
    """
    try:
        import flint as module
    except ImportError:
        raise ImportError("balls need python-flint: pip install 'deepconstruct[certify]'") from None
    return module


def flint_text() -> str:
    """What a certificate says that it trusts."""
    return f"python-flint {importlib.metadata.version('python-flint')} (Arb)"
