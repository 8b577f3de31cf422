"""Asking Perian for somebody who waits: what may pass by itself is ridden out, not for long."""

import logging
from collections.abc import Callable
from typing import TypeVar

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import (
    MalformedResponse,
    PerianError,
    RateLimited,
    ServerFault,
    TransportError,
)
from perian_shim.lifecycle.clock import Clock
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.remote.connection import Connection

T = TypeVar("T")

ASKING_SECONDS = 20.0
"""How long an outage is ridden out for one question."""

FOLLOWING_SECONDS = 300.0
"""The same while a job is followed."""

log = logging.getLogger("perian_shim.remote")


def for_people(seconds: float = ASKING_SECONDS) -> RetryPolicy:
    """Return how calls are made again while somebody waits.

    Args:
        seconds: how long an outage is ridden out; ``PERIAN_OUTAGE_SECONDS`` may say less.

    Raises:
        ConfigError: that is not a number of seconds.
    """
    outage = min(seconds, settings.seconds(settings.OUTAGE_SECONDS, seconds))
    return RetryPolicy(outage, first=0.3, longest=4.0, longest_wait=20.0, unreached=5.0)


def may_pass(error: PerianError) -> bool:
    """Whether a failure is of a kind that passes within seconds."""
    if isinstance(error, MalformedResponse):
        return error.incomplete
    return error.retryable and isinstance(error, TransportError | RateLimited | ServerFault)


def retrier(clock: Clock, seconds: float = ASKING_SECONDS) -> Retrier:
    """Return what makes calls again; it says so as a warning of the logger ``perian_shim.remote``.

    Raises:
        ConfigError: see ``for_people``.
    """
    return Retrier(for_people(seconds), clock, log.warning)


def ask(
    connection: Connection,
    act: Callable[[PerianClient], T],
    *,
    passes: Callable[[PerianError], bool] = may_pass,
    clock: Clock | None = None,
) -> T:
    """Make a call that changes nothing, or may be made twice.

    Args:
        connection: who asks.
        act: the call.
        passes: whether a failure may pass by itself.
        clock: time and chance.

    Raises:
        ApiError: it failed.
    """

    def call() -> T:
        with connection.client() as client:
            return act(client)

    return retrier(clock or Clock()).call(call, passes)
