"""Any JSON is read or malformed; times are read however they are spelled."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.official import MORNING

from perian_shim.api.catalogue import AcceleratorType, InstanceType, Price
from perian_shim.api.errors import MalformedResponse
from perian_shim.api.fields import parse_time
from perian_shim.api.jobs import Job
from perian_shim.api.pages import Page

JOB_KEYS = [
    "id",
    "status",
    "logs",
    "head",
    "omitted",
    "tail",
    "price",
    "unit_price",
    "created_at",
    "env_variables",
    "jobs",
]
NESTED_KEYS = ["docker_metadata", "docker_run_parameters", "pagination", "total_pages", "memory"]
MACHINE_KEYS = ["cpu", "cores", "ram", "size", "name", "accelerator", "accelerator_types"]
KEYS = [*JOB_KEYS, *NESTED_KEYS, *MACHINE_KEYS]

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(documents)
@pytest.mark.parametrize(
    "read",
    [
        Job.from_json,
        Job.from_listing,
        InstanceType.from_json,
        AcceleratorType.from_json,
        Price.from_json,
        lambda document: Page.from_json(document, "jobs", Job.from_json, page=1, limit=1),
    ],
)
def test_any_json_is_read_or_malformed_and_nothing_else(
    read: Callable[[object], object], document: object
) -> None:
    with suppress(MalformedResponse):
        read(document)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02T03:04:05Z", MORNING.replace(microsecond=0)),
        ("2026-01-02T03:04:05", MORNING.replace(microsecond=0)),
        ("2026-01-02 03:04:05.6789", MORNING),
        ("2026-01-02T03:04:05.678900999+00:00", MORNING),
        ("2026-01-02T05:04:05.6789+02:00", MORNING),
        ("2026-01-02T05:04:05.6789+0200", MORNING),
        ("2026-01-02T01:04:05.6789-02", MORNING),
    ],
)
def test_times_are_aware_and_without_an_offset_utc(text: str, time: datetime) -> None:
    assert parse_time(text) == time
    assert parse_time(text).tzinfo is not None


@given(st.datetimes(datetime(2, 1, 3), datetime(9998, 12, 28), timezones=st.timezones()))  # noqa: DTZ001 - hypothesis gives the zone
def test_every_time_that_python_writes_is_read(time: datetime) -> None:
    text = time.astimezone(timezone.utc).isoformat()
    assert parse_time(text) == datetime.fromisoformat(text)
