"""What can go wrong with the sandbox itself.

These are raised where the sandbox is started or stopped. What goes wrong with a *job* is never
raised: it becomes the job's status and its ``errors`` text, as on the platform.
"""

ADVICE = "pip install 'perian-shim[sandbox]'"
"""What gets the packages that a sandbox needs."""


class SandboxError(RuntimeError):
    """The sandbox cannot do what was asked; the text says what to change."""


class SandboxDependencyError(SandboxError):
    """A package of the ``sandbox`` extra is not installed."""


class IsolationUnavailable(SandboxError):
    """The isolation that was asked for does not work on this machine."""
