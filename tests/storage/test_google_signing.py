"""Who signs for Google Cloud Storage, and what is said when nobody can."""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.front import Received
from support.gcs import refusal
from support.gcs_verifier import POD, SIGNER, GoogleCloud
from support.storage_front import UNWELL, Answer, faulty_server
from support.waiting import LONG_SECONDS

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.storage import ObjectStore, Signing, open_store
from perian_shim.storage.gcs import GcsStore
from perian_shim.storage.google_signing import AT_A_TIME
from perian_shim.storage.google_token import CLOUD_PLATFORM, token_chain
from perian_shim.storage.web import ATTEMPTS, Web

URI = "gs://bucket/in/data"
SECRET = "google_application_credentials"
IMPERSONATION = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{SIGNER}"


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud("bucket") as google:
        google.put("bucket", "in/data", b"content")
        yield google


def quick_store(
    environ: Mapping[str, str], secrets: Mapping[str, str] | None = None
) -> ObjectStore:
    return GcsStore.from_environment(environ, lambda _: None, secrets or {})


def with_file(google: GoogleCloud, folder: Path, content: str) -> dict[str, str]:
    file = folder / "credentials.json"
    file.write_text(content)
    return {**google.environ, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}


def signer_in(url: str) -> str:
    return url.partition("X-Goog-Credential=")[2].partition("%2F")[0].replace("%40", "@")


def was_asked(google: GoogleCloud, part: str) -> list[Received]:
    return [request for request in google.requests if part in request.target]


def test_the_key_in_a_file_of_credentials_signs(google: GoogleCloud, tmp_path: Path) -> None:
    store = quick_store(with_file(google, tmp_path, google.key()))
    assert signer_in(store.presign([URI], 60)[0]) == SIGNER
    assert store.signing() == Signing(None, renewed=True)
    assert was_asked(google, "signBlob") == []


def test_the_key_in_the_secrets_goes_before_the_file(google: GoogleCloud, tmp_path: Path) -> None:
    environ = with_file(google, tmp_path, google.key(POD))
    (url,) = quick_store(environ, {SECRET: google.key()}).presign([URI], 60)
    assert signer_in(url) == SIGNER


def impersonating(google: GoogleCloud, **more: object) -> str:
    return json.dumps(
        {
            "type": "impersonated_service_account",
            "service_account_impersonation_url": f"{IMPERSONATION}:generateAccessToken",
            "source_credentials": json.loads(google.key(POD)),
            **more,
        }
    )


def test_who_may_impersonate_an_account_has_it_sign(google: GoogleCloud, tmp_path: Path) -> None:
    google.identities.signers.add((POD, SIGNER))
    store = quick_store(with_file(google, tmp_path, impersonating(google)))
    assert signer_in(store.presign([URI], 60)[0]) == SIGNER
    assert store.signing() == Signing(12 * 3600, renewed=True)


def test_the_accounts_between_are_named(google: GoogleCloud, tmp_path: Path) -> None:
    google.identities.signers.add((POD, SIGNER))
    between = ["projects/-/serviceAccounts/between@project.iam.gserviceaccount.com"]
    environ = with_file(google, tmp_path, impersonating(google, delegates=between))
    quick_store(environ).presign([URI], 60)
    asked = was_asked(google, "signBlob")[0].json
    assert isinstance(asked, dict)
    assert asked["delegates"] == between


def test_the_token_to_sign_with_is_asked_for_by_its_own_scope(google: GoogleCloud) -> None:
    store = quick_store(google.environ)
    store.read(URI, 10)
    store.presign([URI], 60)
    queries = [request.query.get("scopes") for request in was_asked(google, "default/token")]
    assert queries == [None, "https://www.googleapis.com/auth/cloud-platform"]


def test_account_and_token_are_asked_for_once(google: GoogleCloud) -> None:
    store = quick_store(google.environ)
    for _ in range(3):
        store.presign([URI], 60)
        store.upload_policy("gs://bucket/out", 60)
    assert len(was_asked(google, "default/email")) == 1
    assert len(was_asked(google, "default/token")) == 1


def test_a_token_that_is_to_end_is_followed_by_another(google: GoogleCloud) -> None:
    tokens = token_chain(google.environ, Web(google.environ), CLOUD_PLATFORM, google.now)
    first = tokens.current()
    google.pass_time(1700)
    assert tokens.current() == first
    google.pass_time(1300)
    assert tokens.current() != first


def test_a_pod_that_may_not_sign_for_itself_is_told_what_it_needs(google: GoogleCloud) -> None:
    google.identities.signers.clear()
    with pytest.raises(StorageFailed, match=r"iam\.serviceAccounts\.signBlob' denied") as raised:
        quick_store(google.environ).presign([URI], 60)
    assert f"Grant roles/iam.serviceAccountTokenCreator on {POD}" in raised.value.remedy
    assert not raised.value.passing


def test_a_pod_without_an_account_of_googles_is_told_what_it_needs(google: GoogleCloud) -> None:
    google.identities.pod = "project.svc.id.goog"
    with pytest.raises(InvalidInput, match=r"no service account .*'project\.svc\.id\.goog'"):
        quick_store(google.environ).presign([URI], 60)


@pytest.mark.parametrize("kind", ["authorized_user", "external_account"])
def test_a_login_that_is_no_service_account_cannot_sign(
    kind: str, google: GoogleCloud, tmp_path: Path
) -> None:
    environ = with_file(google, tmp_path, json.dumps({"type": kind}))
    store = quick_store(environ)
    with pytest.raises(InvalidInput, match=f"type '{kind}'. makes nobody") as raised:
        store.presign([URI], 60)
    with pytest.raises(InvalidInput, match=f"type '{kind}'. makes nobody"):
        store.upload_policy(URI, 60)
    for way in ("roles/iam.serviceAccountTokenCreator", "impersonate", f"secret {SECRET}"):
        assert way in raised.value.remedy
    assert store.signing() == Signing()


@pytest.mark.parametrize("content", [None, "no JSON", "[]"])
def test_a_file_that_holds_no_credentials_is_named(
    content: str | None, google: GoogleCloud, tmp_path: Path
) -> None:
    environ = with_file(google, tmp_path, content or "")
    if content is None:
        Path(environ["GOOGLE_APPLICATION_CREDENTIALS"]).unlink()
    with pytest.raises(StorageFailed, match=r"credentials\.json cannot be read"):
        quick_store(environ).presign([URI], 60)


WRONG = {
    "no JSON": "ya29.secret",
    "a login": json.dumps({"type": "authorized_user", "refresh_token": "ya29.secret"}),
    "no private key": json.dumps({"type": "service_account", "client_email": SIGNER}),
    "no account": json.dumps({"type": "service_account", "private_key": "ya29.secret"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_secret_that_is_no_key_is_refused_and_not_shown(what: str, google: GoogleCloud) -> None:
    store = quick_store(google.environ, {SECRET: WRONG[what]})
    with pytest.raises(InvalidInput, match=f"The secret {SECRET} is no key") as raised:
        store.presign([URI], 60)
    assert "ya29" not in str(raised.value)


def test_an_empty_secret_is_none(google: GoogleCloud) -> None:
    (url,) = quick_store(google.environ, {SECRET: " \n"}).presign([URI], 60)
    assert signer_in(url) == POD


def test_a_private_key_that_is_none_is_refused_and_not_shown(google: GoogleCloud) -> None:
    key = json.dumps({**json.loads(google.key()), "private_key": "ya29.secret"})
    with pytest.raises(StorageFailed, match=r"private key .* is of no use") as raised:
        quick_store(google.environ, {SECRET: key}).presign([URI], 60)
    assert "ya29" not in str(raised.value)
    assert not raised.value.passing


def iam(url: str, google: GoogleCloud) -> dict[str, str]:
    return {**google.environ, "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": url}


def test_a_service_in_trouble_is_asked_a_few_times(google: GoogleCloud) -> None:
    with faulty_server(lambda _: UNWELL) as server, pytest.raises(StorageFailed) as raised:
        quick_store(iam(server.url, google)).presign([URI], 60)
    assert (len(server.seen), raised.value.passing) == (ATTEMPTS, True)


@pytest.mark.parametrize("answer", [Answer(body=b"<html>"), Answer(body=b"{}")])
def test_an_answer_without_a_signature_is_an_error(answer: Answer, google: GoogleCloud) -> None:
    with (
        faulty_server(lambda _: answer) as server,
        pytest.raises(StorageFailed, match="holds no signature"),
    ):
        quick_store(iam(server.url, google)).presign([URI], 60)


def test_one_refusal_of_many_is_the_error_of_all(google: GoogleCloud) -> None:
    with (
        faulty_server(lambda _: refusal(403, "not you")) as server,
        pytest.raises(StorageFailed, match=r"HTTP 403 \(not you\)"),
    ):
        quick_store(iam(server.url, google)).presign([URI] * 30, 60)


def test_several_are_signed_at_a_time_and_not_too_many(google: GoogleCloud) -> None:
    together = threading.Barrier(AT_A_TIME, timeout=LONG_SECONDS)
    busy: set[int] = set()
    most = []

    def sign(seen: Received) -> Answer:
        busy.add(seen.connection)
        together.wait(LONG_SECONDS)
        most.append(len(busy))
        together.wait(LONG_SECONDS)
        busy.discard(seen.connection)
        return Answer(body=json.dumps({"signedBlob": base64.b64encode(b"s").decode()}).encode())

    with faulty_server(sign) as server:
        quick_store(iam(server.url, google)).presign([URI] * (2 * AT_A_TIME), 60)
    assert max(most) == AT_A_TIME


def test_a_keys_many_signatures_are_made_by_one_process_that_leaves_nothing_here(
    google: GoogleCloud,
) -> None:
    program = (
        "import json, sys, subprocess; from perian_shim.storage import open_store;"
        "run, started = subprocess.run, []\n"
        "def counted(*a, **k): started.append(a); return run(*a, **k)\n"
        "subprocess.run = counted\n"
        "key = sys.stdin.read()\n"
        f"store = open_store({URI!r}, {google.environ!r}, {{{SECRET!r}: key}})\n"
        f"urls = store.presign([{URI!r}] * 50, 60)\n"
        "print(json.dumps([len(urls), len(started), sorted(sys.modules)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=google.key(),
        text=True,
        capture_output=True,
        check=True,
        timeout=LONG_SECONDS,
    )
    urls, started, modules = json.loads(done.stdout)
    assert (urls, started) == (50, 1)
    assert {"google.auth", "cryptography", "requests"} & set(modules) == set()


def test_no_key_is_in_the_arguments_of_a_process(
    google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, arguments = subprocess.run, []

    def watched(*args: object, **named: object) -> object:
        arguments.append(repr((args, named.get("env"))))
        return run(*args, **named)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", watched)
    open_store(URI, google.environ, {SECRET: google.key()}).presign([URI], 60)
    assert len(arguments) == 1
    assert "PRIVATE KEY" not in arguments[0]


def test_what_signs_shows_no_secret(google: GoogleCloud) -> None:
    store = quick_store(google.environ, {SECRET: google.key()})
    store.presign([URI], 60)
    assert "PRIVATE KEY" not in repr(store)
