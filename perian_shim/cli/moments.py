"""Times as people type them: a date, a moment, or how long ago; in UTC, as they are shown."""

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import click

SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
"""Units of how long ago, in seconds."""

FORMS = "2026-01-31, 2026-01-31T12:00:00+01:00, or how long ago, as 90m, 12h, 7d or 4w"


class Moment(click.ParamType[datetime]):
    """A moment; without an offset it is in UTC."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it."""
        text = str(value).strip()
        span = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
        try:
            if span:
                ago = timedelta(seconds=int(span[1]) * SPANS[span[2]])
                return datetime.now(timezone.utc) - ago
            read = datetime.fromisoformat(re.sub(r"[zZ]\Z", "+00:00", text))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: expected one like {FORMS}", param, ctx)
        return read if read.tzinfo else read.replace(tzinfo=timezone.utc)
