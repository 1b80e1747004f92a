"""Loopwise: should this FastAPI endpoint be `def` or `async def`, and with how many workers?

Locust files may import `StampedUser` from here.
"""

TYPE_CHECKING = False
"""As typing's, whose import would come before whatever answers Ctrl-C (__main__.py)."""
if TYPE_CHECKING:
    from loopwise.generator.stamped_user import StampedUser

__all__ = ["StampedUser"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """StampedUser, imported when it is asked for: Locust and gevent patch the standard library of their process."""
    if name == "StampedUser":
        from loopwise.generator.stamped_user import StampedUser

        return StampedUser
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
