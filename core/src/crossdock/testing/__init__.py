"""For tests of whole installations: what must hold whatever has been broken on the way."""

from crossdock.testing.checker import assert_nothing_lost, standing

__all__ = ("assert_nothing_lost", "standing")
