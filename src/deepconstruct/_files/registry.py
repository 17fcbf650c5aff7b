"""What files hold, and of which version they are."""

import dataclasses

from ..construction import plans
from ..construction.encoding import CLASSES as _BASE

FORMAT, VERSION = "deepconstruct", 2

# What builders knew of their own wiring.
_PLANS: dict[str, type] = {
    f"plans.{name}": plan
    for name, plan in vars(plans).items()
    if isinstance(plan, type) and dataclasses.is_dataclass(plan)
}

CLASSES = _BASE | _PLANS
