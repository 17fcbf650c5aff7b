"""Optional packages, imported on use; each is asked for in one module of this folder."""

import importlib
from typing import Any

# What to install for a package: the extra holds those that only write files, frameworks are the user's own.
_EXTRA = "'deepconstruct[interchange]'"
_FROM = {"onnx": _EXTRA, "safetensors": _EXTRA, "torch": "torch", "flax": "flax", "sklearn": "scikit-learn"}


def package(owner: str, module: str) -> Any:
    """A module of an optional package.

    Raises:
        ImportError: it isn't installed; the message says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.split(".")[0]
        raise ImportError(f"{owner} needs {name}: pip install {_FROM[name]}") from error
