"""What the tests of handles need."""

from support.people import api, server, use

__all__ = ["api", "server", "use"]
