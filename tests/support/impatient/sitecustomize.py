"""In a pod: wait for less time than in earnest, or have a bug.

Found by Python itself through PYTHONPATH. ``ODD_ANSWERS_SECONDS`` shortens how long an unknown job
is not believed, for nobody wants to wait for a minute. ``FAULT`` makes taking in a job's log raise
an error with this text, once there is a log: a mistake of perian-shim's own is to be had no other
way.
"""

import os

if os.environ.get("ODD_ANSWERS_SECONDS"):
    from perian_shim.lifecycle import watcher

    watcher.ODD_ANSWERS_SECONDS = float(os.environ["ODD_ANSWERS_SECONDS"])

if os.environ.get("FAULT"):
    from perian_shim.lifecycle.logs import LogTail

    def feed(_tail: LogTail, log: str | None) -> list[str]:
        """Fail when there is a log."""
        if log:
            raise ZeroDivisionError(os.environ["FAULT"])
        return []

    setattr(LogTail, feed.__name__, feed)  # a bug on purpose
