"""This distribution's version: the packaging reads it from here.

Written down, not asked of the installation: ``importlib.metadata`` would take 2.5 MiB and 15 ms in
every pod that waits.
"""

__version__ = "0.2.0"
