"""``perian-shim``: the command line.

``app`` is the program, and every other module has some of its commands: ``embedded`` those that
need no account, ``jobs`` those about jobs. A module is imported when one of its commands is asked
for, so that a look at a job does not wait for flytekit. ``output`` prints what they found.
"""

from perian_shim.cli.app import main

__all__ = ["main"]
