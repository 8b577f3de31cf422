"""How far this machine's clock is from a server's, by the ``Date`` that it answers with."""

import email.utils
import time
from collections.abc import Callable, Mapping
from datetime import timezone
from urllib.parse import urlsplit

from perian_shim.checkup.findings import Finding, ok, problem, warning
from perian_shim.wire import Connection, UnusableProxy, proxy_for, tls_context
from perian_shim.wire.faults import CONNECTION_FAULTS, describe

NOTEWORTHY_SECONDS = 30.0
"""From which difference on it is told: a request takes seconds, and the header has whole ones."""

WRONG_SECONDS = 300.0
"""From which on it is a problem: object stores refuse what is signed a quarter of an hour off, and
token services less."""

SET_THE_CLOCK = "Set this machine's clock, by NTP for example."


def clock(
    whose: str,
    url: str,
    environ: Mapping[str, str],
    seconds: float,
    now: Callable[[], float] = time.time,
) -> Finding:
    """Compare this machine's clock with a server's.

    Args:
        whose: the server, for the text.
        url: where it is; it is asked without any credentials.
        environ: says how it is reached.
        seconds: how long it may take to connect, and to answer.
        now: the time since the epoch.
    """
    check = f"clock ({whose})"
    try:
        told, began, ended = date_of(url, environ, seconds, now)
    except UnusableProxy as error:
        return problem(check, str(error), error.remedy)
    except CONNECTION_FAULTS as error:
        return problem(check, f"{urlsplit(url).netloc}: {describe(error)}")
    if told is None:
        return warning(check, "the server does not tell the time")
    # It was told at some time in between, and cut to whole seconds.
    off = told - ended if told > ended else min(told + 1 - began, 0.0)
    if abs(off) < NOTEWORTHY_SECONDS:
        return ok(check, "this machine's clock agrees with it")
    direction = "behind" if off > 0 else "ahead"
    text = f"this machine's clock is {abs(off):.0f} s {direction}"
    make = problem if abs(off) >= WRONG_SECONDS else warning
    return make(check, text, SET_THE_CLOCK)


def date_of(
    url: str, environ: Mapping[str, str], seconds: float, now: Callable[[], float]
) -> tuple[float | None, float, float]:
    """Return a server's time, None if it tells none, and ours before and after."""
    parts = urlsplit(url)
    context = tls_context(environ) if parts.scheme == "https" else None
    connection = Connection(url, proxy_for(url, environ), context, seconds)
    try:
        began = now()
        answer = connection.request("HEAD", "/", headers={}, body=None, timeout=seconds)
        ended = now()
        told = answer.headers.get("Date", "")
    finally:
        connection.close()
    try:
        date = email.utils.parsedate_to_datetime(told)
    except (ValueError, TypeError):  # Pythons differ
        return None, began, ended
    return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp(), began, ended
