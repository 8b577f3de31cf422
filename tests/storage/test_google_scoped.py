"""Tokens of Google's that are good for what a job may reach, and for nothing else."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from support.connections import unused_port
from support.gcs_identities import READ_WRITE, TOKEN_SECONDS
from support.gcs_verifier import POD, SIGNER, GoogleCloud
from support.storage_front import UNWELL, Answer, faulty_server

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.storage.google_scoped import GoogleScoper
from perian_shim.storage.google_token import Token
from perian_shim.storage.reach import Reach
from perian_shim.storage.web import ATTEMPTS, Web

SECRET = "google_application_credentials"
REACH = Reach(("gs://bucket/solo/x",), ("gs://bucket/in/",), ("gs://bucket/out/",))


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud("bucket", "other") as google:
        for key in ("in/data", "solo/x", "solo/y", "out/old", "secret"):
            google.put("bucket", key, key.encode())
        google.put("other", "in/data", b"")
        yield google


def scoper(google: GoogleCloud, secrets: Mapping[str, str] | None = None) -> GoogleScoper:
    return found(google.environ, secrets, google.now)


def found(
    environ: Mapping[str, str],
    secrets: Mapping[str, str] | None = None,
    now: Callable[[], float] = time.time,
) -> GoogleScoper:
    made = GoogleScoper.find(secrets or {}, environ, Web(environ, lambda _: None), now)
    assert made is not None
    return made


class Job:
    """A job with a token: HTTP statuses of what it tries."""

    def __init__(self, google: GoogleCloud, token: Token) -> None:
        self.url = google.url
        self.headers = {"Authorization": f"Bearer {token.text}"}

    def ask(self, method: str, path: str, **more: Any) -> int:
        answer = requests.request(method, self.url + path, headers=self.headers, timeout=60, **more)
        return answer.status_code

    def at(self, key: str, bucket: str = "bucket") -> str:
        return f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"

    def get(self, key: str, bucket: str = "bucket") -> int:
        return self.ask("GET", self.at(key, bucket), params={"alt": "media"})

    def delete(self, key: str) -> int:
        return self.ask("DELETE", self.at(key))

    def put(self, key: str) -> int:
        query = {"uploadType": "media", "name": key}
        return self.ask("POST", "/upload/storage/v1/b/bucket/o", params=query, data=b"mine")

    def resume(self, key: str) -> int:
        query = {"uploadType": "resumable", "name": key}
        return self.ask("POST", "/upload/storage/v1/b/bucket/o", params=query)

    def list(self, prefix: str, bucket: str = "bucket") -> int:
        return self.ask("GET", f"/storage/v1/b/{bucket}/o", params={"prefix": prefix})

    def compose(self, *names: str, to: str) -> int:
        asked = {"sourceObjects": [{"name": name} for name in names]}
        return self.ask("POST", self.at(to) + "/compose", json=asked)


@pytest.fixture(params=["key", "workload identity"])
def job(request: pytest.FixtureRequest, google: GoogleCloud) -> Job:
    secrets = {SECRET: google.key()} if request.param == "key" else {}
    return Job(google, scoper(google, secrets).token(REACH))


def test_a_job_reaches_what_it_may_reach(job: Job) -> None:
    assert [job.get(key) for key in ("in/data", "solo/x", "out/old")] == [200, 200, 200]
    assert [job.list(prefix) for prefix in ("in/", "in/sub/", "out/")] == [200, 200, 200]
    assert [job.put("out/new"), job.put("out/old"), job.resume("out/big")] == [200, 200, 200]
    assert job.compose("out/new", "out/old", to="out/both") == 200
    assert job.delete("out/new") == 204


def test_a_job_reads_nothing_else(job: Job) -> None:
    assert [job.get(key) for key in ("secret", "solo/y", "in", "outside")] == [403] * 4
    assert job.get("in/data", "other") == 403


def test_a_job_lists_nothing_else(job: Job) -> None:
    assert [job.list(prefix) for prefix in ("", "i", "in", "solo/", "solo/x", "o")] == [403] * 6
    assert job.list("in/", "other") == 403


def test_a_job_writes_nothing_else(job: Job, google: GoogleCloud) -> None:
    before = google.contents("bucket")
    keys = ("in/data", "in/new", "solo/x", "new", "out", "outside")
    assert [job.put(key) for key in keys] == [403] * 6
    assert [job.resume(key) for key in keys] == [403] * 6
    assert job.compose("in/data", to="in/copy") == 403
    assert google.contents("bucket") == before


def test_a_job_deletes_nothing_else(job: Job, google: GoogleCloud) -> None:
    before = google.contents("bucket")
    assert [job.delete(key) for key in ("in/data", "solo/x", "secret")] == [403] * 3
    assert google.contents("bucket") == before


def test_a_job_composes_nothing_that_it_may_not_read(job: Job) -> None:
    assert job.compose("secret", to="out/stolen") == 403


def test_a_jobs_token_signs_nothing_and_makes_no_wider_one(job: Job, google: GoogleCloud) -> None:
    google.identities.signers |= {(SIGNER, SIGNER)}
    for account in (POD, SIGNER):
        path = f"/v1/projects/-/serviceAccounts/{account}:signBlob"
        assert job.ask("POST", path, json={"payload": "YQ=="}) == 403
    text = job.headers["Authorization"].partition(" ")[2]
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange"}
    kind = "urn:ietf:params:oauth:token-type:access_token"
    form |= {"subject_token": text, "subject_token_type": kind, "requested_token_type": kind}
    assert job.ask("POST", "/v1/token", data=form) == 400


def test_a_token_ends_with_the_one_that_it_is_made_of(google: GoogleCloud) -> None:
    token = scoper(google).token(REACH)
    assert token.expires is not None
    assert abs(token.expires.timestamp() - google.now() - TOKEN_SECONDS) < 60
    google.pass_time(TOKEN_SECONDS)
    assert Job(google, token).get("in/data") == 401


def test_a_token_is_never_about_to_end(google: GoogleCloud) -> None:
    made = scoper(google)
    for _ in range(10):
        google.pass_time(1000)
        token = made.token(REACH)
        assert token.expires is not None
        assert token.expires.timestamp() - google.now() > 800
        assert Job(google, token).get("in/data") == 200


def test_a_token_that_does_not_tell_its_end_ends_with_its_source(google: GoogleCloud) -> None:
    answer = Answer(body=b'{"access_token": "narrow"}')
    with faulty_server(lambda _: answer) as server:
        environ = {**google.environ, "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": server.url}
        token = found(environ).token(REACH)
    assert token.text == "narrow"
    assert token.expires is not None


def test_whose_tokens_they_are_is_told(google: GoogleCloud, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(google.key())
    of_file = {**google.environ, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    assert scoper(google).source == "the pod's workload identity"
    assert found(of_file).source == "the pod's credentials file for Google"
    key = scoper(google, {SECRET: google.key()})
    assert key.source == "the service account key of the task's secrets"
    assert "PRIVATE KEY" not in repr(key)


def test_the_key_of_a_file_makes_tokens(google: GoogleCloud, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_text(google.key())
    environ = {**google.environ, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    token = found(environ).token(REACH)
    assert google.identities.tokens[token.text].account == SIGNER
    assert Job(google, token).get("in/data") == 200


def none_found(environ: Mapping[str, str]) -> bool:
    whole = {"HOME": "/no/such/home", **environ}
    return GoogleScoper.find({}, whole, Web(whole)) is None


def test_where_nothing_answers_there_is_no_identity() -> None:
    assert none_found({"GCE_METADATA_HOST": f"127.0.0.1:{unused_port()}"})


def test_another_clouds_metadata_server_is_none_of_googles() -> None:
    with faulty_server(lambda _: Answer(body=b"latest/")) as server:
        assert none_found({"GCE_METADATA_HOST": server.url.partition("://")[2]})


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    began = time.monotonic()
    with faulty_server(lambda _: Answer(hold=True, announced=9)) as server:
        host = server.url.partition("://")[2]
        assert none_found({"GCE_METADATA_HOST": host})
    assert time.monotonic() - began < 60


def test_who_says_that_there_is_none_is_believed(google: GoogleCloud) -> None:
    assert none_found({**google.environ, "NO_GCE_CHECK": "true"})
    assert google.requests == []


def test_an_emulator_without_a_key_is_nobodys() -> None:
    with GoogleCloud("bucket", emulates=True) as emulator:
        assert none_found(emulator.environ)


def test_a_secret_that_is_no_key_is_refused(google: GoogleCloud) -> None:
    with pytest.raises(InvalidInput, match=f"The secret {SECRET} is no key"):
        scoper(google, {SECRET: "{}"})


def test_a_machine_whose_tokens_are_for_storage_only_is_told_what_it_needs(
    google: GoogleCloud,
) -> None:
    narrow = google.identities.issue(POD, frozenset({READ_WRITE}))
    body = json.dumps({"access_token": narrow.text, "expires_in": 3600}).encode()
    answer = Answer(body=body, headers={"Metadata-Flavor": "Google"})
    with faulty_server(lambda _: answer) as metadata:
        made = found({**google.environ, "GCE_METADATA_HOST": metadata.url.partition("://")[2]})
        with pytest.raises(StorageFailed, match="lacks cloud-platform") as raised:
            made.token(REACH)
    assert "with the scope cloud-platform" in raised.value.remedy


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(400, b'{"error": "invalid_grant", "error_description": "no"}'),
            "invalid_grant: no",
        ),
        (Answer(403, b"<html>"), "HTTP 403"),
        (Answer(200, b"[]"), "no token"),
        (Answer(200, b"{}"), "no token"),
    ],
)
def test_a_refusal_is_told(answer: Answer, said: str, google: GoogleCloud) -> None:
    with faulty_server(lambda _: answer) as server:
        made = found({**google.environ, "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": server.url})
        with pytest.raises(StorageFailed) as raised:
            made.token(REACH)
    assert said in raised.value.message
    assert "the pod's workload identity" in raised.value.message
    assert (len(server.seen), raised.value.passing) == (1, False)


def test_a_service_in_trouble_is_asked_a_few_times(google: GoogleCloud) -> None:
    with faulty_server(lambda _: UNWELL) as server:
        made = found({**google.environ, "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": server.url})
        with pytest.raises(StorageFailed) as raised:
            made.token(REACH)
    assert (len(server.seen), raised.value.passing) == (ATTEMPTS, True)


def test_no_token_is_in_a_repr_or_an_error(google: GoogleCloud) -> None:
    made = scoper(google)
    token = made.token(REACH)
    assert token.text not in repr(token) + repr(made)
