"""Former name of stamped_user: scripts that import StampedUser from here keep working."""

from loopwise.generator.stamped_user import StampedUser

__all__ = ["StampedUser"]
