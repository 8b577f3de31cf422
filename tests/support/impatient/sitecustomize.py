"""In a pod: have a bug.

Found by Python itself through PYTHONPATH. ``FAULT`` makes taking in a job's log raise an error with
this text, once there is a log: a mistake of perian-shim's own is to be had no other way.
"""

import os

if os.environ.get("FAULT"):
    from perian_shim.lifecycle.logs import LogTail

    def feed(_tail: LogTail, log: str | None) -> list[str]:
        """Fail when there is a log."""
        if log:
            raise ZeroDivisionError(os.environ["FAULT"])
        return []

    setattr(LogTail, feed.__name__, feed)  # a bug on purpose
