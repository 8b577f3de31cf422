"""What the tests of commands about jobs need."""

from support.people import api, server, use

__all__ = ["api", "server", "use"]
