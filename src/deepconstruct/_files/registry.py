"""What files hold, and of which version they are."""

from ..construction.encoding import CLASSES as _BASE

FORMAT, VERSION = "deepconstruct", 2

# What builders knew of their own wiring: frozen dataclasses, one line a family.
_PLANS: tuple[type, ...] = ()

CLASSES = _BASE | {f"plans.{plan.__name__}": plan for plan in _PLANS}
