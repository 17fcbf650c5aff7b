"""The progress bar of long work: silent where nobody watches."""

import sys
import warnings
from typing import Any


def progress_bar(*, total: int, unit: str, shown: bool, label: str | None = None, initial: int = 0) -> Any:
    """A tqdm bar on a terminal or in a notebook; elsewhere, or unless `shown`, it prints nothing."""
    watched = shown and _in_notebook()
    if watched:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without ipywidgets its bar is text, and tqdm says so
            from tqdm.auto import tqdm  # imported on use: a plain `import deepconstruct` shows no bar
    else:
        from tqdm import tqdm
    # `disable=None` is tqdm's own test for a terminal, which a notebook isn't.
    disable = False if watched else None if shown else True
    return tqdm(total=total, initial=initial, unit=unit, desc=label, disable=disable)


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook; an IPython on a terminal isn't one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
