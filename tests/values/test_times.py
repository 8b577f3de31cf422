from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.values.times import (
    format_duration,
    format_timestamp,
    parse_duration,
    parse_timestamp,
)

UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00Z"),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31T12:00", "2026-01-31T12:00:00Z"),
        (" 2026-01-31 12:00:01\n", "2026-01-31T12:00:01Z"),
        ("2026-01-31 12:00:01 UTC", "2026-01-31T12:00:01Z"),
        ("2026-01-31T12:00:01.5", "2026-01-31T12:00:01.5Z"),
        ("2026-01-31T12:00:01,123456789+05:30", "2026-01-31T06:30:01.123456789Z"),
        ("2026-01-31T12:00:00-0100", "2026-01-31T13:00:00Z"),
        ("2026-01-31T12:00:00+01", "2026-01-31T11:00:00Z"),
        ("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z"),
        ("0001-01-01", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_point_in_time_is_read(text: str, expected: str) -> None:
    assert format_timestamp(parse_timestamp(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "12:00:00",
        "2026-1-31",
        "2026-02-30",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00.1234567890Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+01:60",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01",
        "\uff12\uff10\uff12\uff16-01-31",
    ],
)
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_timestamp(text)


@given(st.datetimes(timezones=st.timezones()))
def test_the_text_of_a_datetime_is_that_datetime(value: dt.datetime) -> None:
    offset = value.utcoffset() or dt.timedelta(0)
    if offset.seconds % 60:
        return
    try:
        expected = value.astimezone(UTC)
    except OverflowError:
        return
    assert parse_timestamp(str(value)).ToDatetime(tzinfo=UTC) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5400s", "seconds:5400"),
        ("-0.5", "nanos:-500000000"),
        ("1.000000001s", "seconds:1 nanos:1"),
        (".25s", "nanos:250000000"),
        ("0", ""),
        ("00000000000000000000000005", "seconds:5"),
        ("1h30m", "seconds:5400"),
        ("-1h", "seconds:-3600"),
        ("2 days 4 hours", "seconds:187200"),
        ("0.1 min", "seconds:6"),
        ("2:03", "seconds:123"),
        ("1 day, 2:03:04", "seconds:93784"),
        ("-1 day, 23:59:59.5", "nanos:-500000000"),
        ("315576000000s", "seconds:315576000000"),
    ],
)
def test_a_duration_is_read(text: str, expected: str) -> None:
    assert format_duration(parse_duration(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        ".",
        "soon",
        "1e3",
        "1_0",
        "5 years",
        "315576000000.1s",
        "9" * 5000,
        "9" * 5000 + "h",
        "\u0663s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_duration(text)


@given(st.timedeltas(dt.timedelta(days=-3_000_000), dt.timedelta(days=3_000_000)))
def test_the_text_of_a_timedelta_is_that_timedelta(value: dt.timedelta) -> None:
    assert parse_duration(str(value)).ToTimedelta() == value
    assert parse_duration(parse_duration(str(value)).ToJsonString()).ToTimedelta() == value
