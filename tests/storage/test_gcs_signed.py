"""What a job is given on Google Cloud Storage, and that it is good for nothing else.

The server computes each signature anew from what comes over the wire.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping

import pytest
import requests
from support.gcs_verifier import POD, SIGNER, STRANGER, GoogleCloud

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.storage import ObjectStore, Signing, UploadPolicy, open_store

IN_KEY = "google_application_credentials"
HOUR = 3600
BYTES = "application/octet-stream"


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud("bucket", "other") as google:
        google.put("bucket", "in/data", b"content")
        yield google


@pytest.fixture(params=["key", "signBlob"])
def signs(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def store(signs: str, google: GoogleCloud) -> ObjectStore:
    return open_store("gs://bucket", google.environ, secrets_of(signs, google))


def secrets_of(signs: str, google: GoogleCloud) -> dict[str, str]:
    return {} if signs == "signBlob" else {IN_KEY: google.key()}


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=60)


def post(
    policy: UploadPolicy, key: str, content: bytes = b"content", /, **fields: str
) -> requests.Response:
    sent = {**policy.fields, "key": key, **fields}
    return requests.post(policy.url, data=sent, files={"file": content}, timeout=60)


def code(answer: requests.Response) -> tuple[int, str]:
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    return answer.status_code, found[1] if found else ""


NAMES = ["key", "a//b", "p?q#r%25+ s/ü", "/in front", "日本/🚀", "%2F", "it's \"\\ &=;"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_a_url_reads_its_object(
    name: str, scheme: str, store: ObjectStore, google: GoogleCloud
) -> None:
    google.put("bucket", name, b"here it is")
    (url,) = store.presign([f"{scheme}://bucket/{name}"], HOUR)
    assert get(url).content == b"here it is"


def test_an_emulators_objects_are_signed_for_by_a_key() -> None:
    with GoogleCloud("bucket", emulates=True) as emulator:
        store = open_store("gs://bucket", emulator.environ, {IN_KEY: emulator.key()})
        store.write("gs://bucket/in/data", b"content")
        (url,) = store.presign(["gs://bucket/in/data"], HOUR)
        assert get(url).content == b"content"
        assert post(store.upload_policy("gs://bucket/out", HOUR), "out/x").status_code == 201


@pytest.mark.parametrize(("given", "told"), [("text/html", "text/html"), ("", BYTES)])
def test_browsers_are_told_what_an_object_is(given: str, told: str, store: ObjectStore) -> None:
    store.write("gs://bucket/page", b"<p>", given)
    (url,) = store.presign(["gs://bucket/page"], HOUR)
    assert get(url).headers["Content-Type"] == told


def test_urls_are_in_the_order_of_their_objects(store: ObjectStore, google: GoogleCloud) -> None:
    for number in range(20):
        google.put("bucket", f"in/{number}", b"%d" % number)
    urls = store.presign([f"gs://bucket/in/{number}" for number in range(20)], HOUR)
    assert [get(url).content for url in urls] == [b"%d" % number for number in range(20)]


def test_no_url_is_no_work(store: ObjectStore) -> None:
    assert store.presign([], HOUR) == []


def test_a_url_ends(store: ObjectStore, google: GoogleCloud) -> None:
    (url,) = store.presign(["gs://bucket/in/data"], HOUR)
    google.pass_time(HOUR + 1)
    assert code(get(url)) == (400, "ExpiredToken")


def test_a_url_of_an_object_that_is_gone_is_dead(store: ObjectStore) -> None:
    (url,) = store.presign(["gs://bucket/in/data"], HOUR)
    store.delete("gs://bucket/in/data")
    assert code(get(url)) == (404, "NoSuchKey")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD"])
def test_a_url_is_for_reading_only(method: str, store: ObjectStore, google: GoogleCloud) -> None:
    (url,) = store.presign(["gs://bucket/in/data"], HOUR)
    assert requests.request(method, url, data=b"mine", timeout=60).status_code == 403
    assert google.contents("bucket") == {"in/data": b"content"}


TAMPERED = {
    "another object": ("/bucket/in/data", "/bucket/in/secret"),
    "another bucket": ("/bucket/", "/other/"),
    "a longer life": ("X-Goog-Expires=3600", "X-Goog-Expires=36000"),
    "a later time": (r"X-Goog-Date=\d{8}T\d{6}Z", "X-Goog-Date=20991231T000000Z"),
    "one more parameter": (r"$", "&generation=1"),
    "another account": (r"Credential=\w+%40", "Credential=stranger%40"),
    "another signature": (r"Signature=..", "Signature=00"),
    "no signature": (r"&X-Goog-Signature=.*", ""),
    "the whole bucket": ("/bucket/in/data", "/bucket/"),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_a_url_that_was_changed_is_refused(
    change: str, store: ObjectStore, google: GoogleCloud
) -> None:
    google.put("bucket", "in/secret", b"secret")
    (url,) = store.presign(["gs://bucket/in/data"], HOUR)
    changed = re.sub(*TAMPERED[change], url, count=1)
    assert changed != url
    assert get(changed).status_code in {401, 403}


def test_a_policy_lets_objects_be_made_below_its_prefix(
    store: ObjectStore, google: GoogleCloud
) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    assert policy.key_prefix == "out/"
    assert post(policy, "out/a/it's ü & so on").status_code == 201
    assert google.contents("bucket")["out/a/it's ü & so on"] == b"content"


@pytest.mark.parametrize("prefix", ["it's \"\\ <&>", "日本", "a b+c%2F"])
def test_a_prefix_may_have_any_name(prefix: str, store: ObjectStore, google: GoogleCloud) -> None:
    policy = store.upload_policy(f"gs://bucket/{prefix}", HOUR)
    assert post(policy, f"{prefix}/x").status_code == 201
    assert google.contents("bucket")[f"{prefix}/x"] == b"content"


@pytest.mark.parametrize("key", ["in/data", "output", "out", "", "/out/x", "OUT/x"])
def test_a_policy_is_good_for_nothing_outside_its_prefix(
    key: str, store: ObjectStore, google: GoogleCloud
) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    assert code(post(policy, key)) == (400, "InvalidPolicyDocument")
    assert google.contents("bucket") == {"in/data": b"content"}


def test_a_policy_is_for_one_bucket(store: ObjectStore, google: GoogleCloud) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    elsewhere = UploadPolicy(
        policy.url.replace("/bucket/", "/other/"), policy.key_prefix, policy.fields
    )
    assert code(post(elsewhere, "out/x")) == (400, "InvalidPolicyDocument")
    assert google.contents("other") == {}


def test_a_policy_ends(store: ObjectStore, google: GoogleCloud) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    google.pass_time(HOUR + 1)
    assert code(post(policy, "out/x")) == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize(
    "fields",
    [{"acl": "public-read"}, {"success_action_status": "200"}, {"x-goog-meta-a": "b"}],
    ids=str,
)
def test_a_form_has_the_policys_fields_and_no_others(
    fields: dict[str, str], store: ObjectStore
) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    assert code(post(policy, "out/x", b"content", **fields)) == (400, "InvalidPolicyDocument")


def changed_policy(policy: UploadPolicy, **changes: object) -> Mapping[str, str]:
    document = {**json.loads(base64.b64decode(policy.fields["policy"])), **changes}
    return {"policy": base64.b64encode(json.dumps(document).encode()).decode()}


def test_a_policy_that_was_changed_is_refused(store: ObjectStore) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    wider = changed_policy(policy, conditions=[["starts-with", "$key", ""], {"bucket": "bucket"}])
    later = changed_policy(policy, expiration="2099-12-31T00:00:00Z")
    for change in (wider, later):
        answer = post(policy, "out/x", b"content", **change)
        assert code(answer) == (403, "SignatureDoesNotMatch")


def test_the_signature_of_a_url_signs_no_policy(store: ObjectStore) -> None:
    policy = store.upload_policy("gs://bucket/out", HOUR)
    (url,) = store.presign(["gs://bucket/in/data"], HOUR)
    answer = post(policy, "out/x", **{"x-goog-signature": url.rpartition("=")[2]})
    assert code(answer) == (403, "SignatureDoesNotMatch")


def test_who_signs_has_to_have_access(google: GoogleCloud) -> None:
    store = open_store("gs://bucket", google.environ, {IN_KEY: google.key(STRANGER)})
    (url,) = store.presign(["gs://bucket/in/data"], HOUR)
    assert code(get(url)) == (403, "AccessDenied")


def test_a_key_signs_and_the_pod_does_all_else(google: GoogleCloud) -> None:
    store = open_store("gs://bucket", google.environ, {IN_KEY: google.key(STRANGER)})
    store.write("gs://bucket/mine", b"the pod's")
    assert (
        f"X-Goog-Credential={STRANGER.replace('@', '%40')}"
        in store.presign(["gs://bucket/mine"], HOUR)[0]
    )
    assert {token.account for token in google.identities.tokens.values()} == {POD}


def lives(url: str) -> int:
    return int(re.findall(r"X-Goog-Expires=(\d+)", url)[0])


def test_what_a_key_signs_lives_for_seven_days_at_most(google: GoogleCloud) -> None:
    store = open_store("gs://bucket", google.environ, {IN_KEY: google.key()})
    (url,) = store.presign(["gs://bucket/in/data"], 30 * 24 * HOUR)
    assert lives(url) == 7 * 24 * HOUR
    google.pass_time(7 * 24 * HOUR - 60)
    assert get(url).content == b"content"


def test_what_google_signs_lives_for_twelve_hours_at_most(google: GoogleCloud) -> None:
    store = open_store("gs://bucket", google.environ)
    assert lives(store.presign(["gs://bucket/in/data"], 7 * 24 * HOUR)[0]) == 12 * HOUR
    policy = store.upload_policy("gs://bucket/out", 7 * 24 * HOUR)
    google.pass_time(12 * HOUR + 1)
    assert code(post(policy, "out/x")) == (400, "InvalidPolicyDocument")


def test_how_long_signing_lasts_is_told(google: GoogleCloud) -> None:
    with_key = open_store("gs://bucket", google.environ, {IN_KEY: google.key()})
    assert with_key.signing() == Signing(None, renewed=True)
    without = open_store("gs://bucket", google.environ)
    assert without.signing() == Signing(12 * HOUR, renewed=True)


def test_the_account_that_signs_is_named_in_what_it_signs(signs: str, store: ObjectStore) -> None:
    account = POD if signs == "signBlob" else SIGNER
    policy = store.upload_policy("gs://bucket/out", HOUR)
    assert policy.fields["x-goog-credential"].partition("/")[0] == account


def test_what_signs_is_tried_before_a_job_is_paid_for(google: GoogleCloud) -> None:
    key = google.key()
    google.identities.accounts[SIGNER].pop()  # as when somebody deletes the key
    store = open_store("gs://bucket", google.environ, {IN_KEY: key})
    with pytest.raises(StorageFailed, match="SignatureDoesNotMatch") as raised:
        store.upload_policy("gs://bucket/out", HOUR)
    assert "neither disabled nor deleted" in raised.value.remedy
    assert not raised.value.passing


def test_a_bucket_that_is_not_there_is_told(store: ObjectStore) -> None:
    with pytest.raises(StorageFailed, match="NoSuchBucket"):
        store.upload_policy("gs://no-such-bucket/out", HOUR)


def test_a_bucket_is_tried_once(google: GoogleCloud) -> None:
    store = open_store("gs://bucket", google.environ)
    for _ in range(3):
        store.upload_policy("gs://bucket/out", HOUR)
    assert len([each for each in google.requests if "X-Goog-Signature" in each.target]) == 1


def test_nothing_is_signed_for_another_store(store: ObjectStore) -> None:
    with pytest.raises(InvalidInput, match="'s3://bucket/in/data' is not in Google"):
        store.presign(["s3://bucket/in/data"], HOUR)
    with pytest.raises(InvalidInput, match="'s3://bucket/out' is not in Google"):
        store.upload_policy("s3://bucket/out", HOUR)
