"""Riding out an outage of the platform while there is no job yet, or none that is known.

What has certainly changed nothing may be asked again for as long as an outage is ridden out (the
client's policy): giving up after seconds would spend Flyte's retries while a job of an attempt
before runs on with nobody to follow it. A submission without an answer is none of this: whoever
sent it must look first. Times are in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from perian_shim.api import ApiError
from perian_shim.errors import ApiUnavailable, SubmissionUnclear
from perian_shim.lifecycle.retrying import RetryingClient

T = TypeVar("T")

TELL_SECONDS = 60.0
"""How often people are told that an outage goes on."""


@dataclass(frozen=True)
class Endurance:
    """How an outage is ridden out.

    Attributes:
        now: seconds since some moment.
        sleep: waits.
        warn: prints a line.
    """

    now: Callable[[], float]
    sleep: Callable[[float], None]
    warn: Callable[[str], None]

    def ride_out(self, act: Callable[[], T], client: RetryingClient) -> T:
        """Do something again and again until the platform answers.

        Args:
            act: what changes nothing when it fails.
            client: what it asks with; says for how long and how often.

        Raises:
            ApiUnavailable: no good answer for too long, or one that waiting will not change.
            SubmissionUnclear: it may have changed something after all.
        """
        began = told = self.now()
        failures = 0
        while True:
            try:
                return act()
            except ApiUnavailable as error:
                silence = self.now() - began
                if not is_passing(error) or silence >= client.policy.outage:
                    raise
                if not failures or self.now() - told >= TELL_SECONDS:
                    told = self.now()
                    left = (client.policy.outage - silence) / 60
                    self.warn(f"{error.message} {error.remedy} Trying again, for {left:.0f} min.")
            failures += 1
            self.sleep(client.pause(failures))


def is_passing(error: ApiUnavailable) -> bool:
    """Whether the same call may be sent again, and may then get an answer."""
    cause = error.__cause__
    return (
        isinstance(cause, ApiError) and cause.retryable and not isinstance(error, SubmissionUnclear)
    )
