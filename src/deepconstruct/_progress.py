"""The progress bar of long work: silent where nobody watches."""

from typing import Any


def progress_bar(*, total: int, unit: str, shown: bool, label: str | None = None, initial: int = 0) -> Any:
    """A tqdm bar on a terminal or in a notebook; elsewhere, or unless `shown`, it prints nothing."""
    if shown:
        from tqdm.auto import tqdm  # imported on use: a plain `import deepconstruct` shows no bar
    else:
        from tqdm import tqdm  # the notebook's one warns where ipywidgets is missing
    # `disable=None` is tqdm's own test for a terminal.
    return tqdm(total=total, initial=initial, unit=unit, desc=label, disable=None if shown else True)
