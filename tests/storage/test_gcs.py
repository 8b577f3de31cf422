"""Google Cloud Storage over real HTTP, and where its token comes from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.gcs import Gcs, refusal
from support.storage_front import UNWELL, Answer, FaultyStorage, faulty_server, in_turn

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.storage import ObjectStore, Signing
from perian_shim.storage.gcs import GcsStore
from perian_shim.storage.google_token import token_chain
from perian_shim.storage.web import ATTEMPTS, Web

TOKEN = Answer(body=b'{"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"}')


def gcs_store(url: str) -> GcsStore:
    environ = {"HOME": "/no/such/home", "STORAGE_EMULATOR_HOST": url}
    return GcsStore.from_environment(environ, lambda _: None)


@pytest.fixture
def google() -> Gcs:
    return Gcs("bucket")


@pytest.fixture
def server(google: Gcs) -> Iterator[FaultyStorage]:
    with faulty_server(google) as server:
        yield server


@pytest.fixture
def store(server: FaultyStorage) -> GcsStore:
    return gcs_store(server.url)


@pytest.mark.parametrize("name", ["key", "a//b", "p?q#r%25+ s/ü", "/in front", "日本/🚀", "%2F"])
def test_an_object_may_have_any_name(name: str, store: GcsStore, google: Gcs) -> None:
    uri = f"gs://bucket/folder/{name}"
    store.write(uri, b"12345")
    assert google.objects["bucket"] == {f"folder/{name}": b"12345"}
    assert (store.read(uri, 3), store.read(uri, 9), store.size(uri)) == (b"123", b"12345", 5)
    assert [found.uri for found in store.iter_objects("gs://bucket/folder")] == [uri]


def test_a_listing_tells_when_an_object_was_written(store: GcsStore) -> None:
    store.write("gs://bucket/folder/x", b"1")
    (found,) = store.iter_objects("gs://bucket/folder")
    assert found.modified == 1_767_225_600  # the double's 1 January 2026


def test_a_listing_is_whole_and_without_the_folders_own_marker(
    store: GcsStore, google: Gcs
) -> None:
    names = [f"folder/{number}" for number in range(5)]
    google.objects["bucket"] = dict.fromkeys([*names, "folder/sub/", "folder/", "folder2/x"], b"1")
    found = [each.uri for each in store.iter_objects("gs://bucket/folder/")]
    assert found == [f"gs://bucket/{name}" for name in [*names, "folder/sub/"]]


def test_what_is_not_there_reads_as_none_and_lists_as_nothing(store: GcsStore) -> None:
    assert store.read("gs://bucket/no", 10) is None
    assert store.size("gs://bucket/no") is None
    assert list(store.iter_objects("gs://bucket/no")) == []
    assert list(store.iter_objects("gs://no-such-bucket/no")) == []


def test_an_empty_object_is_empty_and_not_absent(store: GcsStore) -> None:
    store.write("gs://bucket/empty", b"")
    assert (store.read("gs://bucket/empty", 10), store.size("gs://bucket/empty")) == (b"", 0)


def test_an_emulator_signs_nothing_unless_a_key_is_given(store: GcsStore) -> None:
    with pytest.raises(InvalidInput, match=r"emulator, and no service account's key is given"):
        store.presign(["gs://bucket/key"], 60)
    with pytest.raises(InvalidInput, match=r"emulator, and no service account's key is given"):
        store.upload_policy("gs://bucket/key", 60)
    assert store.signing() == Signing()


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "read": lambda store: store.read("gs://bucket/key", 100),
    "size": lambda store: store.size("gs://bucket/key"),
    "list": lambda store: list(store.iter_objects("gs://bucket/key")),
    "write": lambda store: store.write("gs://bucket/key", b"content"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_store_in_trouble_is_asked_a_few_times_and_may_recover(call: str) -> None:
    with faulty_server(lambda _: UNWELL) as server, pytest.raises(StorageFailed) as raised:
        CALLS[call](gcs_store(server.url))
    assert (len(server.seen), raised.value.passing) == (ATTEMPTS, True)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [400, 401, 403, 412])
def test_a_refusal_is_final_and_told(call: str, status: int) -> None:
    answer = refusal(status, "pod@project does not\nhave access")
    with faulty_server(lambda _: answer) as server, pytest.raises(StorageFailed) as raised:
        CALLS[call](gcs_store(server.url))
    assert f"HTTP {status} (pod@project does not have access)" in raised.value.message
    assert (len(server.seen), raised.value.passing) == (1, False)


def test_a_read_that_never_is_whole_is_an_error_and_no_value() -> None:
    broken = Answer(body=b"12345", announced=10)
    with (
        faulty_server(lambda _: broken) as server,
        pytest.raises(StorageFailed, match="keep breaking off") as raised,
    ):
        gcs_store(server.url).read("gs://bucket/key", 100)
    assert raised.value.passing


def token_of(environ: dict[str, str], home: Path) -> str:
    whole = {"HOME": str(home), "NO_GCE_CHECK": "true", **environ}
    return token_chain(whole, Web(whole, lambda _: None)).current().text


def test_a_pod_with_workload_identity_asks_the_metadata_server(tmp_path: Path) -> None:
    with faulty_server(in_turn(UNWELL, TOKEN)) as server:
        environ = {"GCE_METADATA_HOST": server.url.partition("://")[2]}
        assert token_of(environ, tmp_path) == "ya29.token"
    assert server.seen[0].headers["metadata-flavor"] == "Google"


def test_the_token_is_sent(tmp_path: Path) -> None:
    with faulty_server(lambda _: TOKEN) as metadata, faulty_server(Gcs("bucket")) as server:
        environ = {"HOME": str(tmp_path), "GCE_METADATA_HOST": metadata.url.partition("://")[2]}
        web = Web(environ)
        GcsStore(token_chain(environ, web), web, server.url).write("gs://bucket/key", b"")
    assert server.seen[0].headers["authorization"] == "Bearer ya29.token"


@pytest.mark.parametrize("answer", [Answer(404), Answer(body=b"<html>")])
def test_a_pod_without_an_account_is_told_what_it_needs(answer: Answer, tmp_path: Path) -> None:
    with (
        faulty_server(lambda _: answer) as server,
        pytest.raises(StorageFailed, match="no credentials for Google Cloud Storage") as raised,
    ):
        token_of({"GCE_METADATA_HOST": server.url.partition("://")[2]}, tmp_path)
    assert not raised.value.passing


def test_the_key_of_a_service_account_is_google_auths_to_read(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with faulty_server(lambda _: TOKEN_AS_JSON) as server:
        account = {
            "type": "service_account",
            "client_email": "pod@project.iam.gserviceaccount.com",
            "private_key": key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode(),
            "token_uri": f"{server.url}/token",
        }
        (tmp_path / "key.json").write_text(json.dumps(account))
        environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}
        assert token_of(environ, tmp_path) == "ya29.token"


TOKEN_AS_JSON = Answer(body=TOKEN.body, headers={"Content-Type": "application/json"})


def test_a_file_of_credentials_that_is_not_there_is_named(tmp_path: Path) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "absent.json")}
    with pytest.raises(StorageFailed, match=r"absent\.json") as raised:
        token_of(environ, tmp_path)
    assert not raised.value.passing


def test_no_token_is_in_its_repr() -> None:
    with faulty_server(lambda _: TOKEN) as server:
        environ = {"HOME": "/no/such/home", "GCE_METADATA_HOST": server.url.partition("://")[2]}
        token = token_chain(environ, Web(environ)).current()
    assert "ya29" not in repr(token)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (Answer(206, b"6789", headers={"Content-Range": "bytes 6-9/10"}), b"6789"),
        (Answer(200, b"67"), b"67"),
        (Answer(416), b""),
        (Answer(404), None),
    ],
    ids=["part", "short", "empty", "absent"],
)
def test_the_end_of_an_object_is_asked_for(
    answer: Answer, end: bytes | None, tmp_path: Path
) -> None:
    with faulty_server(lambda _: answer) as server:
        store = GcsStore.from_environment(
            {"STORAGE_EMULATOR_HOST": server.url, "HOME": str(tmp_path)}, lambda _: None
        )
        assert store.read_end("gs://bucket/key", 4) == end
        assert server.seen[0].headers["range"] == "bytes=-4"
