"""S3 over real HTTP: what is read is whole, what is not there is not there, errors say why."""

import datetime
import email.utils
import re
import threading
import time
from collections.abc import Callable
from unittest.mock import ANY

import pytest
from support.s3 import SECRET_KEY, new_bucket, s3_client, s3_store
from support.storage_front import Answer, FaultyStorage, Seen, faulty_server, in_turn, s3_error

from perian_shim.errors import StorageFailed
from perian_shim.storage import ObjectStore, is_well_formed
from perian_shim.storage.web import ATTEMPTS

BROKEN_OFF = Answer(body=b"12345", announced=10)
WHOLE = Answer(body=b"1234567890")
AWKWARD = [
    "a//b",
    "/in front",
    "d/x",
    "p?q#r%25+ s/ü",
    "~b*c'(d)!",
    '&amp;<x>"',
    "%2F%2e",
    "日本/🚀",
]

CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "read": lambda store: store.read("s3://bucket/key", 100),
    "size": lambda store: store.size("s3://bucket/key"),
    "list": lambda store: list(store.iter_objects("s3://bucket/key")),
    "read the end": lambda store: store.read_end("s3://bucket/key", 1000),
    "write": lambda store: store.write("s3://bucket/key", b"content"),
}


def read_from(server: FaultyStorage, limit: int) -> tuple[bytes | None, int]:
    """What is read, and how often it was tried again."""
    pauses: list[float] = []
    return s3_store(server.url, pauses.append).read("s3://bucket/key", limit), len(pauses)


def test_a_read_whose_answer_breaks_off_is_tried_again() -> None:
    with faulty_server(in_turn(BROKEN_OFF, BROKEN_OFF, WHOLE)) as server:
        assert read_from(server, 100) == (WHOLE.body, 2)


def test_a_read_that_never_is_whole_is_an_error_and_no_value() -> None:
    with (
        faulty_server(lambda _: BROKEN_OFF) as server,
        pytest.raises(
            StorageFailed, match="Reading s3://bucket/key failed: the answers keep breaking off"
        ) as raised,
    ):
        read_from(server, 100)
    assert (len(server.seen), raised.value.passing) == (ATTEMPTS, True)


@pytest.mark.parametrize("limit", [0, 1, 5, 10, 11])
def test_of_a_long_object_the_first_bytes_are_read(limit: int) -> None:
    with faulty_server(lambda _: WHOLE) as server:
        assert read_from(server, limit) == (WHOLE.body[:limit], 0)


def test_no_more_than_the_limit_is_waited_for() -> None:
    held = Answer(body=b"12345", announced=10, hold=True)
    with faulty_server(lambda _: held) as server:
        assert read_from(server, 5) == (b"12345", 0)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, s3_error("SlowDown", "Please reduce your request rate.")),
        Answer(500, s3_error("InternalError", "We encountered an internal error.")),
        Answer(429, b"<html>too many</html>"),
        Answer(502),
    ],
    ids=lambda answer: str(answer.status),
)
def test_a_store_in_trouble_is_asked_a_few_times_and_may_recover(call: str, answer: Answer) -> None:
    with faulty_server(lambda _: answer) as server, pytest.raises(StorageFailed) as raised:
        CALLS[call](s3_store(server.url))
    assert (len(server.seen), raised.value.passing) == (ATTEMPTS, True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(403, s3_error("AccessDenied", "Access Denied")),
        Answer(403, s3_error("SignatureDoesNotMatch", "The request signature differs.")),
        Answer(400, s3_error("ExpiredToken", "The provided token has expired.")),
        Answer(400, s3_error("AuthorizationHeaderMalformed", "the region is wrong")),
        Answer(301, s3_error("PermanentRedirect", "use the other endpoint")),
        Answer(401),
    ],
    ids=lambda answer: str(answer.status),
)
def test_a_refusal_is_final(call: str, answer: Answer) -> None:
    with faulty_server(lambda _: answer) as server, pytest.raises(StorageFailed) as raised:
        CALLS[call](s3_store(server.url))
    # What a HEAD is told by 301 and 400 is in the body that it does not have.
    asked = ["HEAD", "GET"] if call == "size" and answer.status in {301, 400} else [ANY]
    assert ([seen.method for seen in server.seen], raised.value.passing) == (asked, False)


def test_a_request_that_came_too_slowly_for_the_store_is_made_again() -> None:
    slow = Answer(400, s3_error("RequestTimeout", "Your socket connection was idle."))
    with faulty_server(in_turn(slow, WHOLE)) as server:
        assert read_from(server, 100) == (WHOLE.body, 1)


def test_a_store_that_is_not_reached_may_be_later() -> None:
    with faulty_server(lambda _: WHOLE) as server:
        server.listen(False)
        with pytest.raises(StorageFailed, match="no answer from") as raised:
            read_from(server, 100)
    assert raised.value.passing


def test_an_error_is_one_line_with_the_uri_and_what_the_store_said() -> None:
    refusal = Answer(403, s3_error("AccessDenied", "User is not\n authorized"))
    with (
        faulty_server(lambda _: refusal) as server,
        pytest.raises(StorageFailed) as raised,
    ):
        read_from(server, 100)
    assert raised.value.message == (
        "Access to s3://bucket/key failed: HTTP 403 (AccessDenied: User is not authorized)."
    )


def test_a_listing_that_is_no_xml_is_an_error() -> None:
    with (
        faulty_server(lambda _: Answer(body=b"<html><p>welcome")) as server,
        pytest.raises(StorageFailed, match="the listing is no XML"),
    ):
        list(s3_store(server.url).iter_objects("s3://bucket/key"))


def test_names_in_a_listing_are_taken_as_they_are_where_a_store_does_not_quote_them() -> None:
    entry = b"<Contents><Key>key/a+b%41</Key><Size>5</Size></Contents>"
    page = b"<ListBucketResult>" + entry + b"</ListBucketResult>"
    with faulty_server(lambda _: Answer(body=page)) as server:
        found = list(s3_store(server.url).iter_objects("s3://bucket/key"))
    assert [each.uri for each in found] == ["s3://bucket/key/a+b%41"]


def test_a_key_that_no_header_can_hold_is_not_told() -> None:
    store = s3_store("http://localhost:9", FLYTE_AWS_ACCESS_KEY_ID="in\nside")
    with pytest.raises(StorageFailed, match="a header is malformed") as raised:
        store.size("s3://bucket/key")
    assert raised.value.__cause__ is not None
    assert "side" not in f"{raised.value} {raised.value.__cause__!r}"
    assert raised.value.__cause__.__suppress_context__


def test_what_is_not_there_reads_as_none_and_lists_as_nothing() -> None:
    store, bucket = s3_store(), new_bucket()
    assert store.read(f"s3://{bucket.name}/no", 10) is None
    assert store.size(f"s3://{bucket.name}/no") is None
    assert list(store.iter_objects(f"s3://{bucket.name}/no")) == []
    assert list(store.iter_objects("s3://no-such-bucket-anywhere/no")) == []


def test_a_bucket_that_is_not_there_is_an_error_and_no_missing_object() -> None:
    with pytest.raises(StorageFailed, match="NoSuchBucket"):
        s3_store().read("s3://no-such-bucket-anywhere/no", 10)


def test_an_empty_object_is_empty_and_not_absent() -> None:
    store, bucket = s3_store(), new_bucket()
    store.write(f"s3://{bucket.name}/empty", b"")
    assert store.read(f"s3://{bucket.name}/empty", 10) == b""
    assert store.size(f"s3://{bucket.name}/empty") == 0


@pytest.mark.parametrize("name", AWKWARD)
def test_an_object_may_have_any_name(name: str) -> None:
    store, bucket = s3_store(), new_bucket()
    uri = f"s3://{bucket.name}/folder/{name}"
    store.write(uri, b"12345")
    assert bucket.keys() == {f"folder/{name}"}
    assert (store.read(uri, 3), store.size(uri)) == (b"123", 5)
    assert [found.uri for found in store.iter_objects(f"s3://{bucket.name}/folder")] == [uri]


def test_a_listing_tells_when_an_object_was_written() -> None:
    store, bucket = s3_store(), new_bucket()
    store.write(f"s3://{bucket.name}/folder/x", b"1")
    (found,) = store.iter_objects(f"s3://{bucket.name}/folder")
    assert found.modified == pytest.approx(time.time(), abs=60)


def test_browsers_are_told_what_an_object_is() -> None:
    store, bucket = s3_store(), new_bucket()
    store.write(f"s3://{bucket.name}/page", b"<p>", "text/html")
    assert s3_client().head_object(Bucket=bucket.name, Key="page")["ContentType"] == "text/html"


def test_a_long_listing_is_whole_in_order_and_without_the_folders_own_marker() -> None:
    store, bucket = s3_store(), new_bucket()
    names = [f"s3://{bucket.name}/folder/{number:04}" for number in range(1001)]
    for name in names:
        bucket.put(name.partition(f"{bucket.name}/")[2], b"1")
    bucket.put("folder/", b"")
    bucket.put("folder/sub/", b"")
    bucket.put("folder2/x", b"")
    assert [found.uri for found in store.iter_objects(f"s3://{bucket.name}/folder")] == [
        *names,
        f"s3://{bucket.name}/folder/sub/",
    ]


def test_several_threads_may_use_a_store() -> None:
    store, bucket = s3_store(), new_bucket()
    bucket.put("x", b"12345")
    sizes: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: sizes.append(store.size(f"s3://{bucket.name}/x")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sizes == [5] * 8


def test_a_connection_is_used_again() -> None:
    answer = Answer(body=b"12345", headers={"Connection": "keep-alive"})
    with faulty_server(lambda _: answer) as server:
        store = s3_store(server.url)
        for _ in range(3):
            store.read("s3://bucket/key", 100)
            store.size("s3://bucket/key")
    assert len({seen.connection for seen in server.seen}) == 1


def test_no_key_is_in_what_a_store_says_of_itself() -> None:
    store = s3_store()
    assert SECRET_KEY not in repr(store) + repr(vars(store)) + repr(store._signer.keys())


@pytest.mark.parametrize(
    ("uri", "as_object", "as_folder"),
    [
        ("s3://bucket/key", True, True),
        ("s3://bucket/a b?#%/ü\n", True, True),
        ("s3://bucket/", False, True),
        ("s3://bucket", False, True),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/x", True, True),
        ("s3://", False, False),
        ("s3:///key", False, False),
        ("s3://two words/key", False, False),
        ("S3:bucket/key", False, False),
    ],
)
def test_a_uri_needs_a_bucket_and_for_an_object_a_key(
    uri: str, as_object: bool, as_folder: bool
) -> None:
    assert is_well_formed(uri) is as_object
    assert is_well_formed(uri, folder=True) is as_folder


@pytest.mark.parametrize(
    ("content", "length", "end"),
    [(b"0123456789", 4, b"6789"), (b"0123", 4, b"0123"), (b"01", 4, b"01"), (b"", 4, b"")],
)
def test_the_end_of_an_object_is_read(content: bytes, length: int, end: bytes) -> None:
    bucket = new_bucket()
    bucket.put("key", content)
    store = s3_store()
    assert store.read_end(f"s3://{bucket.name}/key", length) == end
    assert store.read_end(f"s3://{bucket.name}/no-such-key", length) is None


def test_a_beginning_is_never_taken_for_an_end() -> None:
    with (
        faulty_server(lambda _: Answer(body=b"0123456789")) as server,
        pytest.raises(StorageFailed, match="does not send a part"),
    ):
        s3_store(server.url).read_end("s3://bucket/key", 4)


# --- regions at an endpoint of one's own ---

REGION_HEADER = "x-amz-bucket-region"
ELSEWHERE = "eu-central-1"
MALFORMED = s3_error(
    "AuthorizationHeaderMalformed",
    f"the region 'us-east-1' is wrong; expecting '{ELSEWHERE}'",
    f"<Region>{ELSEWHERE}</Region>",
)


def signed_for(region: str) -> Callable[[Seen], Answer]:
    """A store that takes only what is signed for its region."""

    def answered(seen: Seen) -> Answer:
        if f"/{region}/s3/aws4_request" not in seen.headers["authorization"]:
            return Answer(400, b"" if seen.method == "HEAD" else MALFORMED)
        return Answer(404, s3_error("NoSuchKey", "none")) if "run" in seen.path else WHOLE

    return answered


@pytest.mark.parametrize("call", ["read", "size", "write", "read the end"])
def test_a_region_that_the_store_tells_is_signed_for(call: str) -> None:
    with faulty_server(signed_for(ELSEWHERE)) as server:
        store = s3_store(server.url)
        CALLS[call](store)
        assert f"%2F{ELSEWHERE}%2F" in store.presign(["s3://bucket/key"], 60)[0]


def test_what_a_job_signs_with_is_tried_before_it_is_handed_out() -> None:
    with faulty_server(signed_for(ELSEWHERE)) as server:
        store = s3_store(server.url)
        policy = store.upload_policy("s3://bucket/run", 60)
        assert f"/{ELSEWHERE}/s3/aws4_request" in policy.fields["x-amz-credential"]
        asked = len(server.seen)
        store.upload_policy("s3://bucket/run", 60)
        assert (asked, len(server.seen)) == (3, 3)  # the second one for the region that was told


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            Answer(301, s3_error("PermanentRedirect", "x"), headers={REGION_HEADER: ELSEWHERE}),
            f"The bucket is in region {ELSEWHERE}",
        ),
        (Answer(400, MALFORMED), f"The bucket is in region {ELSEWHERE}"),
        (Answer(307, s3_error("TemporaryRedirect", "x")), "AWS_REGION"),
        (Answer(404, s3_error("NoSuchBucket", "x")), "NoSuchBucket"),
        (Answer(403, s3_error("InvalidAccessKeyId", "x")), "InvalidAccessKeyId"),
        (Answer(403, s3_error("SignatureDoesNotMatch", "x")), "SignatureDoesNotMatch"),
        (Answer(400, s3_error("ExpiredToken", "x")), "ExpiredToken"),
    ],
    ids=lambda item: str(item)[:30],
)
def test_what_no_job_could_use_is_not_handed_out(answer: Answer, says: str) -> None:
    with faulty_server(lambda _: answer) as server, pytest.raises(StorageFailed) as raised:
        s3_store(server.url).upload_policy("s3://bucket/run", 60)
    assert says in str(raised.value)
    assert not raised.value.passing


@pytest.mark.parametrize(
    "answer",
    [
        Answer(403, s3_error("AccessDenied", "x")),
        Answer(403),
        Answer(400, s3_error("InvalidRequest", "x")),
    ],
)
def test_who_may_only_write_or_whose_store_dislikes_the_question_gets_a_policy(
    answer: Answer,
) -> None:
    with faulty_server(lambda _: answer) as server:
        assert s3_store(server.url).upload_policy("s3://bucket/run", 60).key_prefix == "run/"


@pytest.mark.parametrize("key", ["outputs/whole", *AWKWARD])
def test_pieces_are_joined_in_their_order_and_stay(key: str) -> None:
    bucket, store = new_bucket(), s3_store()
    parts = [f"s3://{bucket.name}/pieces/{key}/{number}" for number in range(3)]
    contents = [b"a" * 5 * 1024**2, b"b" * 5 * 1024**2, b"the end"]
    for part, content in zip(parts, contents, strict=True):
        store.write(part, content)
    store.join(parts, f"s3://{bucket.name}/{key}")
    assert store.read(f"s3://{bucket.name}/{key}", 1024**3) == b"".join(contents)
    assert [store.size(part) for part in parts] == [len(content) for content in contents]


def test_what_cannot_be_joined_leaves_nothing_that_is_paid_for() -> None:
    bucket, store = new_bucket(), s3_store()
    with pytest.raises(StorageFailed, match="404"):
        store.join([f"s3://{bucket.name}/no-such-piece"], f"s3://{bucket.name}/whole")
    assert store.size(f"s3://{bucket.name}/whole") is None
    uploads = s3_client().list_multipart_uploads(Bucket=bucket.name)
    assert "Uploads" not in uploads


def test_a_join_that_fails_after_it_was_accepted_is_a_failure() -> None:
    began = Answer(body=b"<X><UploadId>1</UploadId></X>")
    server = faulty_server(
        in_turn(began, Answer(body=s3_error("InternalError", "Try again")), Answer(204))
    )
    with server, pytest.raises(StorageFailed, match="InternalError"):
        s3_store(server.url).join(["s3://bucket/part"], "s3://bucket/whole")


def test_an_object_can_be_deleted_and_need_not_be_there() -> None:
    bucket, store = new_bucket(), s3_store()
    store.write(f"s3://{bucket.name}/x", b"x")
    store.delete(f"s3://{bucket.name}/x")
    store.delete(f"s3://{bucket.name}/x")
    assert store.size(f"s3://{bucket.name}/x") is None


def test_what_is_signed_is_signed_by_the_stores_clock() -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    tomorrow = email.utils.format_datetime(now + datetime.timedelta(days=1))
    server = faulty_server(lambda _: Answer(200, b"", headers={"Date": tomorrow}))
    with server:
        store = s3_store(server.url)
        store.read("s3://bucket/key", 10)
        (url,) = store.presign(["s3://bucket/key"], 60)
    stamp = re.search(r"X-Amz-Date=(\d{8})T", url)
    assert stamp is not None
    assert stamp[1] == f"{now + datetime.timedelta(days=1):%Y%m%d}"


def test_a_request_that_is_refused_for_its_time_is_made_anew_by_the_stores_clock() -> None:
    tomorrow = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
    date = {"Date": email.utils.format_datetime(tomorrow)}
    refused = Answer(403, s3_error("RequestTimeTooSkewed", "too far"), headers=date)
    with faulty_server(in_turn(refused, Answer(200, b"content", headers=date))) as server:
        assert s3_store(server.url).read("s3://bucket/key", 10) == b"content"
