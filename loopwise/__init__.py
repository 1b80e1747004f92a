"""Loopwise: should this FastAPI endpoint be `def` or `async def`, and with how many workers?

Locust files may import `StampedUser` from here.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loopwise.generator.stamped_user import StampedUser

__all__ = ["StampedUser"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """StampedUser, imported when it is asked for: Locust and gevent patch the standard library of their process."""
    if name == "StampedUser":
        return importlib.import_module("loopwise.generator.stamped_user").StampedUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
