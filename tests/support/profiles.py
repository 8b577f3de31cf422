"""How many examples hypothesis tries: ``HYPOTHESIS_PROFILE``, or ``--hypothesis-profile``.

``suite`` is the default; ``nightly`` tries ten times as many, ``quick`` a tenth.
"""

import os

from hypothesis import settings

USUAL = 100
"""Examples of a test that says nothing of it, in the suite."""

PROFILES = {"suite": USUAL, "nightly": 10 * USUAL, "quick": USUAL // 10}


def load_profile() -> None:
    """Make the profiles known and load the one that the environment names."""
    for name, number in PROFILES.items():
        # A busy machine is slow now and then; what is too slow shows in the suite's own time.
        settings.register_profile(name, deadline=None, max_examples=number)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "suite")


def examples(in_the_suite: int, nightly: int | None = None) -> int:
    """Return how many examples a test is to try.

    Args:
        in_the_suite: how many it tries in the suite.
        nightly: how many at night, if not ten times as many.
    """
    times = settings().max_examples / USUAL
    if nightly is not None and times > 1:
        return nightly
    return max(1, int(in_the_suite * times))
