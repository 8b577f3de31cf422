"""The launch record: what is kept, and what may have become of it meanwhile."""

import json
from dataclasses import dataclass, field, replace

import pytest
from flyteidl.core import errors_pb2, execution_pb2
from hypothesis import given
from hypothesis import strategies as st
from support.perian_model import ModelStore, StillPod, World

from perian_shim.errors import JobFailed, PlatformFailed, Terminating
from perian_shim.lifecycle.launch_record import (
    Journal,
    LaunchRecord,
    Stage,
    record_uri,
    spending_codes,
)

RECORD = LaunchRecord(
    "key", Stage.SUBMITTED, "s3://b/raw/x-n0-0", 12.5, "job", ("a",), ("b",), 7, "d"
)
BEFORE, OWN = "s3://b/raw/x-n0-0", "s3://b/raw/x-n0-1"
REPORT = "s3://b/metadata/x/n0/data/0/error.pb"


@dataclass
class Scene:
    """A journal of attempt 1, and what it warned of."""

    world: World = field(default_factory=World)
    warnings: list[str] = field(default_factory=list)

    @property
    def journal(self) -> Journal:
        store = ModelStore(self.world, StillPod(self.world))
        return Journal(store, OWN, BEFORE, self.warnings.append, (REPORT,))

    def left(self, content: bytes) -> "Scene":
        self.world.objects[record_uri(BEFORE)] = content
        return self


@given(
    record=st.builds(
        LaunchRecord,
        key=st.text(),
        stage=st.sampled_from(Stage),
        output=st.text(),
        first_intent=st.floats(allow_nan=False),
        job_id=st.none() | st.text(),
        spent=st.lists(st.text()).map(tuple),
        losers=st.lists(st.text()).map(tuple),
        log_length=st.integers(0),
        log_digest=st.text(),
    )
)
def test_a_record_is_read_as_it_was_written(record: LaunchRecord) -> None:
    assert LaunchRecord.from_json(record.to_json()) == record


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from(sorted(json.loads(RECORD.to_json()))), json_values))
def test_a_record_with_any_field_changed_is_refused_or_whole(changes: dict[str, object]) -> None:
    content = json.dumps({**json.loads(RECORD.to_json()), **changes}).encode()
    try:
        record = LaunchRecord.from_json(content)
    except ValueError:
        return
    assert record == LaunchRecord.from_json(record.to_json()) or record != record  # NaN  # noqa: PLR0124
    assert all(isinstance(job_id, str) for job_id in (*record.spent, *record.losers))


@given(content=st.binary(max_size=40))
def test_rubbish_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any message will do
        LaunchRecord.from_json(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        b"[" * 50_000,
        RECORD.to_json()[:-9],
        RECORD.to_json().replace(b'"version": 1', b'"version": 2'),
        RECORD.to_json().replace(b"submitted", b"hibernating"),
    ],
    ids=["empty", "open", "null", "no text", "deep", "cut off", "newer", "unknown stage"],
)
def test_a_damaged_record_is_a_warning_and_no_failure(content: bytes) -> None:
    scene = Scene().left(content)
    assert scene.journal.before("key") is None
    assert [record_uri(BEFORE) in text for text in scene.warnings] == [True]


def test_a_store_that_fails_is_a_warning_and_no_failure() -> None:
    scene = Scene().left(RECORD.to_json())
    scene.world.store_faults = 1
    assert scene.journal.before("key") is None
    assert len(scene.warnings) == 1


def test_a_record_of_other_work_is_none_of_ours() -> None:
    scene = Scene().left(RECORD.to_json())
    assert scene.journal.before("another key") is None
    assert scene.journal.before("key") == RECORD


def test_no_record_is_nothing_to_warn_of() -> None:
    scene = Scene()
    assert scene.journal.before("key") is None
    assert scene.warnings == []


def test_each_attempt_writes_its_own_record() -> None:
    scene = Scene().left(RECORD.to_json())
    scene.journal.write(replace(RECORD, job_id="other"))
    assert set(scene.world.objects) == {record_uri(BEFORE), record_uri(OWN)}
    assert scene.journal.before("key") == RECORD


def test_a_record_holds_nothing_but_what_it_names() -> None:
    assert set(json.loads(RECORD.to_json())) == {
        "version",
        "key",
        "stage",
        "output",
        "first_intent",
        "job_id",
        "spent",
        "losers",
        "log_length",
        "log_digest",
    }


@pytest.mark.parametrize(
    ("code", "origin", "expected"),
    [
        ("PERIAN:JobFailed", "USER", True),
        ("USER:Recoverable", "USER", True),
        ("PERIAN:ServerError", "SYSTEM", True),
        ("PERIAN:ApiUnavailable", "SYSTEM", False),
        ("PERIAN:Terminated", "SYSTEM", False),
    ],
)
def test_what_flyte_was_told_of_a_job_is_remembered(
    code: str,
    origin: str,
    expected: bool,
) -> None:
    document = errors_pb2.ErrorDocument()
    document.error.code = code
    document.error.message = "what happened"
    document.error.origin = getattr(execution_pb2.ExecutionError, origin)
    scene = Scene()
    scene.world.objects[REPORT] = document.SerializeToString()
    assert scene.journal.told() == (("what happened",) if expected else ())


def test_reports_that_are_missing_damaged_or_out_of_reach_tell_nothing() -> None:
    scene = Scene()
    assert scene.journal.told() == ()
    scene.world.objects[REPORT] = b"\xff\xff"
    assert scene.journal.told() == ()
    scene.world.store_faults = 1
    assert scene.journal.told() == ()
    assert [REPORT in text for text in scene.warnings] == [True]


def test_errors_about_how_a_job_ended_spend_it() -> None:
    assert {JobFailed.code, PlatformFailed.code} <= spending_codes()
    assert Terminating.code not in spending_codes()
