"""This distribution's version, as installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("perian-shim")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
