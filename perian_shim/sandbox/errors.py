"""What can go wrong with the sandbox itself.

These are raised where the sandbox is started or stopped. What goes wrong with a *job* is never
raised: it becomes the job's status and its ``errors`` text, as on the platform.
"""

import errno

ADVICE = "pip install 'perian-shim[sandbox]'"
"""What gets the packages that a sandbox needs."""


class SandboxError(RuntimeError):
    """The sandbox cannot do what was asked; the text says what to change."""


class SandboxDependencyError(SandboxError):
    """A package of the ``sandbox`` extra is not installed."""


class IsolationUnavailable(SandboxError):
    """The isolation that was asked for does not work on this machine."""


def address_problem(error: OSError) -> str:
    """Return why a server cannot listen, and what to do."""
    known = {
        errno.EADDRINUSE: "the port is in use; name another one, or 0 for a free one",
        errno.EACCES: "this port is the system's; name one above 1023",
        errno.EADDRNOTAVAIL: "the address is not this machine's",
    }
    return known.get(error.errno or 0, error.strerror or str(error))
