"""What pods leave for each other: who has the work, how many jobs may be, which have served."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory_store import MemoryStore

from perian_shim.errors import StorageFailed
from perian_shim.lifecycle.launch_record import (
    MAX_IDS,
    LaunchRecord,
    LaunchRecords,
    Owner,
    Stage,
)

FOLDER = "s3://b/node/_perian/attempts"


def pod(store: MemoryStore, attempt: int = 0, *, key: str = "k") -> LaunchRecords:
    def report_of(number: int) -> str:
        return f"s3://b/node/{number}/error.pb"

    return LaunchRecords(store, FOLDER, Owner(attempt), LaunchRecord(key), report_of)


def started(store: MemoryStore, attempt: int = 0, **changes: object) -> LaunchRecords:
    records = pod(store, attempt)
    records.take_over()
    if changes:
        records.write(**changes)
    return records


texts = st.text(max_size=8)
ids = st.lists(texts, max_size=3).map(tuple)
counts = st.integers(0, 9)
seconds = st.floats(0, 1e6)
records = st.builds(
    LaunchRecord,
    key=texts,
    stage=st.sampled_from(Stage),
    asked=counts,
    job_id=st.none() | texts,
    output=texts,
    reported=ids,
    losers=ids,
    cancelled=ids,
    queued_seconds=seconds,
    running_seconds=seconds,
    unseen=counts,
    log_length=counts,
    log_digest=texts,
)


@given(records)
def test_a_record_is_read_as_it_was_written(record: LaunchRecord) -> None:
    assert LaunchRecord.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"version": 1},
        {"stage": "asleep"},
        {"asked": "two"},
        {"asked": -1},
        {"job_id": 7},
        {"reported": [7]},
        {"more": 1},
        {"key": None},
    ],
    ids=str,
)
def test_a_record_that_is_damaged_or_a_newer_versions_is_refused(change: dict[str, object]) -> None:
    values = {**json.loads(LaunchRecord("k").to_json()), **change}
    with pytest.raises(ValueError, match=r"."):
        LaunchRecord.from_json(json.dumps(values).encode())


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        LaunchRecord.from_json(content)


# --- who has the work ---


def test_the_later_attempt_has_the_work() -> None:
    store = MemoryStore()
    first, second = started(store, 0), started(store, 1)
    assert first.successor() == second.owner
    assert second.successor() is None


def test_an_attempt_number_decides_whichever_pod_was_later() -> None:
    store = MemoryStore()
    second, first = started(store, 1), started(store, 0)
    assert first.successor() == second.owner
    assert second.successor() is None


def test_a_pod_that_is_started_again_within_an_attempt_takes_over() -> None:
    store = MemoryStore()
    first = started(store, 0, stage=Stage.SUBMITTED, job_id="a", asked=1)
    again = started(store, 0)
    assert again.record.job_id == "a"
    assert first.successor() is not None
    assert again.successor() is None


def test_a_pod_says_that_it_takes_over_before_it_reads_anything() -> None:
    store = MemoryStore()
    started(store, 0)
    second = pod(store, 1)
    store.objects[f"{FOLDER}/000000-000000-00.json"] = b"{"
    second.take_over()
    assert store.written.index(f"{FOLDER}/{second.owner.name}") == 1


def test_a_first_attempt_that_is_alone_has_said_that_it_submits() -> None:
    records = started(MemoryStore())
    assert (records.record.stage, records.record.asked) == (Stage.INTENT, 1)


def test_a_first_attempt_that_is_not_alone_looks_first() -> None:
    store = MemoryStore()
    started(store, 0)
    assert started(store, 0).record.stage is Stage.LOOKING


# --- what was left ---


def test_the_job_of_the_attempt_before_is_known_with_what_was_seen_of_it() -> None:
    store = MemoryStore()
    left = {
        "job_id": "a",
        "output": "s3://b/raw/0",
        "asked": 1,
        "queued_seconds": 3.0,
        "running_seconds": 60.0,
        "log_length": 9,
        "log_digest": "d",
        "unseen": 1,
    }
    started(store, 0, stage=Stage.SUBMITTED, **left)
    record = started(store, 1).record
    assert record == replace(LaunchRecord("k"), **left)  # type: ignore[arg-type]  # its fields


def test_every_attempts_record_is_known_not_only_the_last_ones() -> None:
    store = MemoryStore()
    started(store, 0, stage=Stage.REPORTED, job_id="a", asked=1)
    started(store, 2, stage=Stage.SUBMITTED, job_id="b", asked=2)
    store.objects = {uri: o for uri, o in store.objects.items() if "000001" not in uri}
    record = started(store, 3).record
    assert record.job_id == "b"
    assert record.reported == ("a",)


def test_an_intent_without_a_job_counts_as_a_job_that_may_exist() -> None:
    store = MemoryStore()
    started(store, 0)
    record = started(store, 1).record
    assert (record.asked, record.job_id) == (1, None)


def test_a_job_that_was_reported_has_served() -> None:
    store = MemoryStore()
    started(store, 0, stage=Stage.REPORTED, job_id="a", asked=1)
    assert started(store, 1).record.reported == ("a",)


@pytest.mark.parametrize(("written", "reported"), [(True, ("a",)), (False, ())])
def test_a_job_whose_report_was_under_way_has_served_if_flyte_has_the_report(
    written: bool, reported: tuple[str, ...]
) -> None:
    store = MemoryStore()
    started(store, 0, stage=Stage.REPORTING, job_id="a", asked=1)
    if written:
        store.objects["s3://b/node/0/error.pb"] = b"x"
    assert started(store, 1).record.reported == reported


def test_a_job_that_was_being_cancelled_is_known_as_such() -> None:
    store = MemoryStore()
    started(store, 0, stage=Stage.CANCELLING, job_id="a", asked=1)
    record = started(store, 1).record
    assert (record.job_id, record.cancelled) == ("a", ("a",))


def test_what_earlier_pods_do_later_is_learned_without_losing_what_is_known() -> None:
    store = MemoryStore()
    first = started(store, 0, stage=Stage.SUBMITTED, job_id="a", asked=1)
    second = started(store, 1, stage=Stage.SUBMITTED, job_id="a", asked=1)
    first.write(stage=Stage.CANCELLING, cancelled=("a",))
    second.inherit()
    assert second.record.cancelled == ("a",)
    assert second.record.stage is Stage.SUBMITTED


def test_a_record_of_other_work_is_not_believed() -> None:
    store = MemoryStore()
    other = pod(store, 0, key="other")
    other.take_over()
    other.write(stage=Stage.SUBMITTED, job_id="a", asked=1)
    second = started(store, 1)
    assert second.record.job_id is None
    assert second.blind


@pytest.mark.parametrize("damage", [b"{", None])
def test_an_attempt_that_left_no_record_leaves_a_doubt(damage: bytes | None) -> None:
    store = MemoryStore()
    first = started(store, 0)
    uri = f"{FOLDER}/{first.owner.name}"
    if damage is None:
        del store.objects[uri]
    else:
        store.objects[uri] = damage
    assert started(store, 1).blind


def test_with_every_attempts_record_there_is_no_such_doubt() -> None:
    store = MemoryStore()
    started(store, 0)
    assert not started(store, 1).blind


# --- writing ---


def test_ids_are_kept_once_and_not_without_end() -> None:
    store = MemoryStore()
    many = tuple(str(n) for n in range(3 * MAX_IDS))
    started(store, 0, stage=Stage.LOOKING, reported=many)
    assert started(store, 1).record.reported == many[-MAX_IDS:]


def test_a_record_that_could_not_be_kept_is_said_and_kept_the_next_time() -> None:
    store = MemoryStore()
    records = started(store)
    said: list[str] = []
    records.warn = said.append
    store.failures = 1
    records.keep(stage=Stage.SUBMITTED, job_id="a")
    assert said
    before = records.saved
    records.keep()
    assert (before, records.saved) == (False, True)
    assert started(store, 1).record.job_id == "a"


def test_taking_over_fails_when_the_store_does() -> None:
    store = MemoryStore(failures=1)
    with pytest.raises(StorageFailed):
        pod(store).take_over()
