"""Objects of Google Cloud Storage that are joined within the store."""

from collections.abc import Iterator

import pytest
from support.front import Exchange
from support.gcs_verifier import GoogleCloud

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.sandbox.server.application import Response
from perian_shim.storage.gcs import GcsStore

TARGET = "gs://bucket/out/big"


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud("bucket", "other") as google:
        yield google


@pytest.fixture
def store(google: GoogleCloud) -> GcsStore:
    return GcsStore.from_environment(google.environ, lambda _: None)


def parts_of(google: GoogleCloud, count: int) -> dict[str, bytes]:
    parts = {f"pieces/é {number:05}": b"%d," % number for number in range(count)}
    for key, content in parts.items():
        google.put("bucket", key, content)
    return parts


def uris(parts: dict[str, bytes]) -> list[str]:
    return [f"gs://bucket/{key}" for key in parts]


@pytest.mark.parametrize("count", [1, 2, 32, 33, 64, 100, 1025])
def test_parts_become_one_object_in_their_order_and_stay(
    count: int, store: GcsStore, google: GoogleCloud
) -> None:
    parts = parts_of(google, count)
    store.join(uris(parts), TARGET)
    assert google.contents("bucket") == {**parts, "out/big": b"".join(parts.values())}


def test_what_was_there_is_replaced(store: GcsStore, google: GoogleCloud) -> None:
    google.put("bucket", "out/big", b"old")
    parts = parts_of(google, 3)
    store.join(uris(parts), TARGET)
    assert google.contents("bucket")["out/big"] == b"0,1,2,"


@pytest.mark.parametrize("missing", [0, 50, 99])
def test_nothing_is_left_of_what_could_not_be_made(
    missing: int, store: GcsStore, google: GoogleCloud
) -> None:
    parts = parts_of(google, 100)
    gone = list(parts)[missing]
    store.delete(f"gs://bucket/{gone}")
    with pytest.raises(StorageFailed, match="No such object"):
        store.join(uris(parts), TARGET)
    assert google.contents("bucket") == {k: v for k, v in parts.items() if k != gone}


def test_a_refusal_of_the_last_round_leaves_nothing(store: GcsStore, google: GoogleCloud) -> None:
    parts = parts_of(google, 40)

    def refuse(exchange: Exchange) -> Response | None:
        if "big/compose" in exchange.request.target.replace("%2F", "/"):
            return Response(403, b'{"error": {"message": "no"}}', {})
        return exchange.answer()

    google.front.meet_first(refuse)
    with pytest.raises(StorageFailed, match=r"HTTP 403 \(no\)"):
        store.join(uris(parts), TARGET)
    assert google.contents("bucket") == parts


def test_what_stays_of_the_rounds_is_no_failure(store: GcsStore, google: GoogleCloud) -> None:
    parts = parts_of(google, 40)

    def refuse(exchange: Exchange) -> Response | None:
        if exchange.request.method == "DELETE":
            return Response(403, b'{"error": {"message": "no"}}', {})
        return exchange.answer()

    google.front.meet_first(refuse)
    store.join(uris(parts), TARGET)
    assert google.contents("bucket")["out/big"] == b"".join(parts.values())


def test_parts_of_another_bucket_are_refused(store: GcsStore) -> None:
    with pytest.raises(InvalidInput, match="objects of one bucket only"):
        store.join(["gs://other/a", "gs://other/b"], TARGET)


def test_a_delete_is_no_fault_if_there_is_nothing(store: GcsStore, google: GoogleCloud) -> None:
    google.put("bucket", "a b/ü", b"")
    store.delete("gs://bucket/a b/ü")
    store.delete("gs://bucket/a b/ü")
    assert google.contents("bucket") == {}
