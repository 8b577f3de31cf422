"""``perian-shim``: the command line.

``app`` is the program, and every other module has some of its commands: ``embedded`` those that
need no account, ``jobs``, ``job``, ``logs`` and ``cancel`` those about jobs, ``completion`` what
shells are told. A module is imported when one of its commands is asked for, so that a look at a job
does not wait for flytekit. ``output`` prints what they found, ``live`` again and again.
"""

from perian_shim.cli.app import main

__all__ = ["main"]
