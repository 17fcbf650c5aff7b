"""Optional packages, imported on use and nowhere else."""

import importlib
from typing import Any

_EXTRA = "'deepconstruct[interchange]'"
# What to install: frameworks are the user's own, and no part of the extra.
_INSTALLS = {"onnx": _EXTRA, "safetensors": _EXTRA, "torch": "torch", "flax": "flax"}


def package(owner: str, module: str) -> Any:
    """A module of an optional package.

    Raises:
        ImportError: it isn't installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise ImportError(f"{owner} needs {name}: pip install {_INSTALLS[name]}") from error
