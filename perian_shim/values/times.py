"""Points in time and durations as text.

Points in time are protobuf Timestamps (UTC, nanoseconds, years 1 to 9999), durations are protobuf
Durations (nanoseconds, about 10 000 years, either sign). Text that cannot be read raises
ValueError with what is wrong.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from pytimeparse.timeparse import timeparse

NANOS_PER_SECOND = 10**9
MAX_DURATION_SECONDS = 315_576_000_000
MAX_DURATION_TEXT = 100

TIMESTAMP = re.compile(
    r"""(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})
    (?:[Tt\ ](?P<minute>[0-9]{2}:[0-9]{2})
       (?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?
       \ ?(?P<zone>[Zz]|UTC|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)?
    )?""",
    re.VERBOSE,
)
SECONDS = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]{1,9}))?s?")
PYTHON_TIMEDELTA = re.compile(
    r"(?:(?P<days>[+-]?[0-9]{1,9}) days?, )?"
    r"(?P<hours>[0-9]{1,2}):(?P<minutes>[0-9]{2}):(?P<seconds>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?"
)


def parse_timestamp(text: str) -> Timestamp:
    """Read an RFC 3339 point in time, or a less strict form of it.

    Accepted besides: a date alone (midnight), a space for the ``T``, no seconds, a comma before
    the fraction (as ``date -Ins`` writes), an offset without colon. Without a zone it is UTC.

    Args:
        text: the point in time; surrounding whitespace is ignored.

    Raises:
        ValueError: when it is none of these forms, or no such date or time exists.
    """
    match = TIMESTAMP.fullmatch(text.strip())
    if match is None:
        raise ValueError("not an RFC 3339 time such as 2026-01-31T12:00:00Z")
    offset = timedelta(0)
    if match["sign"]:
        hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
        if hours > 23 or minutes > 59:  # noqa: PLR2004 - hours and minutes
            raise ValueError(f"no such offset from UTC: {match['zone']}")
        offset = timedelta(hours=hours, minutes=minutes) * (1 if match["sign"] == "+" else -1)
    second = f"{match['minute'] or '00:00'}:{match['second'] or '00'}"
    local = datetime.strptime(f"{match['date']} {second}", "%Y-%m-%d %H:%M:%S").replace(
        tzinfo=timezone.utc
    )
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(local - offset)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999 in UTC") from None
    timestamp.nanos = int((match["fraction"] or "").ljust(9, "0"))
    return timestamp


def format_timestamp(timestamp: Timestamp) -> str:
    """Write RFC 3339 in UTC with as many digits of the second as needed: ``…T00:00:00.5Z``."""
    head = timestamp.ToDatetime().replace(microsecond=0).isoformat()
    fraction = f".{timestamp.nanos:09d}".rstrip("0") if timestamp.nanos else ""
    return f"{head}{fraction}Z"


def parse_duration(text: str) -> Duration:
    """Read a duration.

    Accepted: seconds with or without ``s`` (``5400s``, ``-0.5``), what Python's ``str`` makes of a
    timedelta (``1 day, 2:03:04.5``; in ``-1 day, 23:59:59`` only the days are negative), and words
    and units as ``1h30m`` or ``2 days 4 hours``.

    Args:
        text: the duration; surrounding whitespace is ignored.

    Raises:
        ValueError: when it is none of these, or too long for a protobuf Duration.
    """
    stripped = text.strip()
    if (match := SECONDS.fullmatch(stripped)) and (match["whole"] or match["fraction"]):
        # Longer than any duration, and Python refuses to read ints of thousands of digits.
        whole = int(match["whole"].lstrip("0")[:20] or 0)
        nanos = whole * NANOS_PER_SECOND + int((match["fraction"] or "").ljust(9, "0"))
        return duration_of(-nanos if match["sign"] == "-" else nanos)
    if match := PYTHON_TIMEDELTA.fullmatch(stripped):
        seconds = int(match["days"] or 0) * 86400
        seconds += int(match["hours"]) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"])
        fraction = int((match["fraction"] or "").ljust(9, "0"))
        return duration_of(seconds * NANOS_PER_SECOND + fraction)
    readable = stripped.isascii() and 0 < len(stripped) <= MAX_DURATION_TEXT
    parsed: int | float | None = timeparse(stripped) if readable else None
    if parsed is None:
        raise ValueError("not a duration such as 5400s, 90, 1h30m or 1 day, 2:03:04")
    # Through the shortest decimal, so that 0.1 is 100 000 000 ns and not a binary fraction's tail.
    return duration_of(int(Decimal(repr(parsed)) * NANOS_PER_SECOND))


def duration_of(nanoseconds: int) -> Duration:
    """Make a Duration.

    Raises:
        ValueError: when longer than protobuf allows (about 10 000 years).
    """
    magnitude, nanos = divmod(abs(nanoseconds), NANOS_PER_SECOND)
    if magnitude > MAX_DURATION_SECONDS or (magnitude == MAX_DURATION_SECONDS and nanos):
        raise ValueError(f"longer than {MAX_DURATION_SECONDS} seconds")
    sign = -1 if nanoseconds < 0 else 1
    return Duration(seconds=sign * magnitude, nanos=sign * nanos)


def format_duration(duration: Duration) -> str:
    """Write protobuf's text form: ``seconds:1 nanos:500000000``; nothing for zero.

    The Go program behind Flyte puts one or two spaces between the parts, as its build happens to
    decide; here it is always one.
    """
    parts = []
    if duration.seconds:
        parts.append(f"seconds:{duration.seconds}")
    if duration.nanos:
        parts.append(f"nanos:{duration.nanos}")
    return " ".join(parts)
