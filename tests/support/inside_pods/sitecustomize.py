"""In a pod: change what its environment says is to be changed.

Found by Python itself through PYTHONPATH.
"""

import importlib
import os

if os.environ.get("CONNECTING"):
    importlib.import_module("asking_to_connect").install()

if os.environ.get("CLOCK_SKEW_SECONDS") or os.environ.get("CLOCK_SPEED"):
    importlib.import_module("other_clock").install()

if os.environ.get("PEAK_TO"):
    importlib.import_module("peak").install()
