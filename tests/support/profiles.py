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


def examples(in_the_suite: int) -> int:
    """Return how many examples a test is to try that tries so many in the suite."""
    return max(1, in_the_suite * settings().max_examples // USUAL)
