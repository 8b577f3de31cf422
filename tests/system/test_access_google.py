"""A job on Google Cloud Storage holds no key: it reaches its own data as long as it runs, no more.

Each job waits at a gate while what it holds is tried out on everything else.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from support.doors import Door
from support.flyte import Harness
from support.functions import on_google as functions
from support.gcs_verifier import POD, SIGNER, GoogleCloud
from support.google_desk import KEY, WORKLOAD_IDENTITY, Desk, Ran, Tried
from support.google_pods import BUCKET
from support.job_gate import JobGate
from support.waiting import LONG_SECONDS

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.job.grant import Grant

pytestmark = [
    pytest.mark.slow,
    # All of this lies below the doors; test_access_google_flytekit goes through the other one.
    pytest.mark.parametrize("harness", [Door.ENTRYPOINT], indirect=True, ids=["entrypoint"]),
]

FILES = {
    "in/file": b"of google",
    "in/tree/top": b"top",
    "in/tree/deep/er": b"deeper",
    "in/other": b"another",
    "secret": b"secret",
}
OUTPUTS: dict[str, Any] = {"file": FlyteFile, "folder": FlyteDirectory, "number": int}
COPY = "cp -R /var/inputs/file /var/inputs/folder /var/outputs; echo 42 > /var/outputs/number"
ACCOUNTS = {KEY: SIGNER, WORKLOAD_IDENTITY: POD}


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleCloud]:
    with GoogleCloud(BUCKET, "elsewhere") as google:
        for key, content in FILES.items():
            google.put(BUCKET, key, content)
        google.put("elsewhere", "in/file", b"elsewhere")
        yield google


@pytest.fixture(scope="module")
def desk(harness: Harness, google: GoogleCloud) -> Iterator[Desk]:
    with JobGate() as gate:
        yield Desk(harness, google, gate)


def copying(gate: JobGate, transport: str) -> PerianContainerTask:
    return PerianContainerTask(
        name="test.google.copy",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["/bin/bash", "-ec", f"{COPY}; {gate.command}"],
        inputs={"file": FlyteFile, "folder": FlyteDirectory},
        outputs=OUTPUTS,
        environment={"PERIAN_SHIM_TRANSPORT": transport},
    )


def stolen_by_url(google: GoogleCloud, grant: Grant, raw_prefix: str) -> Tried:
    """Use a container task's URLs and form."""
    assert f"gs://{BUCKET}/{grant.prefix}".startswith(f"{raw_prefix}/")
    url = next(iter(grant.gets.values())).decode()
    query = urlsplit(url).query
    renewing = urlsplit(grant.next)
    mine = f"{grant.prefix}outputs/mine"

    def post(key: str) -> int:
        fields = {name.decode(): value.decode() for name, value in grant.fields}
        form = {**fields, "key": key}
        sent = requests.post(grant.post, form, files={"file": b"mine"}, timeout=LONG_SECONDS)
        return sent.status_code

    def ask(method: str, url: str) -> int:
        return requests.request(method, url, data=b"mine", timeout=LONG_SECONDS).status_code

    def at(key: str, signed: str = query) -> str:
        return f"{google.url}/{BUCKET}/{quote(key)}?{signed}"

    own = post(mine)
    inputs = renewing.path.removeprefix(f"/{BUCKET}/").partition("/_perian/")[0] + "/inputs.pb"
    return {
        "leave an output": own,
        "read an input": requests.get(url, timeout=LONG_SECONDS).status_code,
        "post beside the prefix": post("stolen"),
        "post above the prefix": post(f"{grant.prefix.rstrip('/')}-stolen"),
        "post over an input": post("in/file"),
        "post over a task's inputs": post(inputs),
        "post over the grant": post(renewing.path.removeprefix(f"/{BUCKET}/")),
        "read another object": ask("GET", at("secret")),
        "read an object beside": ask("GET", at("in/other")),
        "read with the grant's signature": ask("GET", at("secret", renewing.query)),
        "read what was left": ask("GET", at(mine)),
        "read another bucket": ask("GET", f"{google.url}/elsewhere/in/file?{query}"),
        "list the bucket": ask("GET", f"{google.url}/{BUCKET}?{query}"),
        "list a folder": ask("GET", f"{google.url}/{BUCKET}?prefix=in/&{query}"),
        "list without a signature": ask("GET", f"{google.url}/storage/v1/b/{BUCKET}/o"),
        "delete an input": ask("DELETE", url),
        "delete another object": ask("DELETE", at("secret")),
        "delete the grant": ask("DELETE", grant.next),
        "replace an input": ask("PUT", url),
        "replace the grant": ask("PUT", grant.next),
    }


BY_URL = [
    "post beside the prefix",
    "post above the prefix",
    "post over an input",
    "post over a task's inputs",
    "post over the grant",
    "read another object",
    "read an object beside",
    "read with the grant's signature",
    "read what was left",
    "read another bucket",
    "list the bucket",
    "list a folder",
    "list without a signature",
    "delete an input",
    "delete another object",
    "delete the grant",
    "replace an input",
    "replace the grant",
]

CONTAINERS = [
    (identity, transport)
    for identity in (KEY, WORKLOAD_IDENTITY)
    for transport in ("python3", "curl")
]


@pytest.fixture(scope="module", params=CONTAINERS, ids="-by-".join)
def container(desk: Desk, request: pytest.FixtureRequest) -> Ran:
    """A container task's job."""
    identity, transport = request.param
    inputs = {
        "file": FlyteFile(f"gs://{BUCKET}/in/file"),
        "folder": FlyteDirectory(f"gs://{BUCKET}/in/tree"),
    }
    task = copying(desk.gate, transport)
    return desk.run(desk.on(identity=identity), task, inputs, stolen_by_url)


def test_a_container_tasks_job_fetches_its_inputs_and_leaves_its_outputs(container: Ran) -> None:
    assert container.left_below("file") == {"": b"of google"}
    assert container.left_below("folder") == {"/top": b"top", "/deep/er": b"deeper"}
    assert container.integer("number") == 42


def test_its_outputs_are_below_the_attempts_raw_prefix(container: Ran) -> None:
    uri = container.literals["file"].scalar.blob.uri
    assert uri.startswith(f"{container.raw_prefix}/")
    assert uri.startswith("gs://")


def test_a_key_signs_before_the_pods_own_identity(
    container: Ran, request: pytest.FixtureRequest
) -> None:
    (identity, _) = request.node.callspec.params["container"]
    queries = [parse_qs(urlsplit(url.decode()).query) for url in container.grant.gets.values()]
    signers = {query["X-Goog-Credential"][0].partition("/")[0] for query in queries}
    assert signers == {ACCOUNTS[identity]}


def test_a_container_tasks_job_has_no_token(container: Ran) -> None:
    assert container.grant.keys == []


def test_a_container_tasks_job_may_do_what_it_has_to(container: Ran) -> None:
    assert container.tried["leave an output"] in {201, 204}
    assert container.tried["read an input"] == 200


@pytest.mark.parametrize("what", BY_URL)
def test_with_urls_and_a_form_nothing_else_can_be_done(what: str, container: Ran) -> None:
    assert container.tried[what] in {400, 401, 403}


def test_nothing_of_others_is_changed_with_urls_and_a_form(container: Ran) -> None:
    assert {key: container.after[key] for key in FILES} == FILES
    assert "stolen" not in container.after


def test_the_api_shows_nothing_confidential_of_a_container_tasks_job(
    container: Ran, desk: Desk
) -> None:
    assert [each for each in desk.confidential(container) if each in container.shown] == []


def test_the_log_shows_nothing_confidential_of_a_container_tasks_job(
    container: Ran, desk: Desk
) -> None:
    log = container.attempt.log
    assert [each for each in desk.confidential(container) if each in log] == []


def test_after_its_end_a_container_tasks_grant_is_gone(container: Ran) -> None:
    assert container.grants_left == [404, 404]


def stolen_by_token(google: GoogleCloud, grant: Grant, raw_prefix: str) -> Tried:
    """Use a function task's token."""
    ((_, token),) = grant.keys
    headers = {"Authorization": f"Bearer {token.decode()}"}
    granted = urlsplit(grant.next).path.removeprefix(f"/{BUCKET}/")
    own = raw_prefix.removeprefix(f"gs://{BUCKET}/")

    def ask(method: str, path: str, **more: Any) -> int:
        url = google.url + path
        return requests.request(
            method, url, headers=headers, timeout=LONG_SECONDS, **more
        ).status_code

    def at(key: str, bucket: str = BUCKET) -> str:
        return f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"

    def put(key: str) -> int:
        query = {"uploadType": "media", "name": key}
        return ask("POST", f"/upload/storage/v1/b/{BUCKET}/o", params=query, data=b"mine")

    def listed(prefix: str) -> int:
        return ask("GET", f"/storage/v1/b/{BUCKET}/o", params={"prefix": prefix})

    sign = f"/v1/projects/-/serviceAccounts/{POD}:signBlob"
    return {
        "read an input": ask("GET", at("in/file")),
        "list its own": listed(f"{own}/"),
        "read another object": ask("GET", at("secret")),
        "read an object beside": ask("GET", at("in/other")),
        "read by the other API": ask("GET", f"/{BUCKET}/secret"),
        "read another bucket": ask("GET", at("in/file", "elsewhere")),
        "read the grant": ask("GET", at(granted)),
        "write beside the prefix": put("stolen"),
        "write over an input": put("in/file"),
        "write over the grant": put(granted),
        "write by the other API": ask("PUT", f"/{BUCKET}/stolen", data=b"mine"),
        "delete an input": ask("DELETE", at("in/file")),
        "delete another object": ask("DELETE", at("secret")),
        "delete the grant": ask("DELETE", at(granted)),
        "list the bucket": listed(""),
        "list a folder": listed("in/"),
        "list by the other API": ask("GET", f"/{BUCKET}"),
        "have something signed": ask("POST", sign, json={"payload": "YQ=="}),
        "widen the token": ask("POST", "/v1/token", data=widening(token.decode())),
    }


def widening(token: str) -> dict[str, str]:
    """Return the form that trades a token for one for the whole bucket."""
    resource = f"//storage.googleapis.com/projects/_/buckets/{BUCKET}"
    rule = {
        "availableResource": resource,
        "availablePermissions": ["inRole:roles/storage.objectAdmin"],
    }
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": kind,
        "requested_token_type": kind,
        "subject_token": token,
        "options": quote(json.dumps({"accessBoundary": {"accessBoundaryRules": [rule]}})),
    }


BY_TOKEN = [
    "read another object",
    "read an object beside",
    "read by the other API",
    "read another bucket",
    "read the grant",
    "write beside the prefix",
    "write over an input",
    "write over the grant",
    "write by the other API",
    "delete an input",
    "delete another object",
    "delete the grant",
    "list the bucket",
    "list a folder",
    "list by the other API",
    "have something signed",
    "widen the token",
]


@pytest.fixture(scope="module", params=[KEY, WORKLOAD_IDENTITY])
def function(desk: Desk, request: pytest.FixtureRequest) -> Ran:
    """A function task's job."""
    pytest.importorskip("gcsfs")
    inputs = {
        "file": FlyteFile(f"gs://{BUCKET}/in/file"),
        "gate": desk.gate.listener.port,
    }
    harness = desk.on(identity=request.param)
    return desk.run(harness, functions.shouted, inputs, stolen_by_token)


def test_a_function_tasks_job_reads_its_input_and_leaves_its_outputs(function: Ran) -> None:
    assert function.left_below("o0") == {"": b"OF GOOGLE"}
    assert function.integer("o1") == len("of google")


def test_a_function_tasks_job_has_a_token_and_no_url_of_an_object(function: Ran) -> None:
    assert [name for name, *_ in function.grant.keys] == [b"google"]
    assert (function.grant.gets, function.grant.fields) == ({}, [])


def test_a_function_tasks_job_writes_with_a_token_that_is_narrowed_down(
    function: Ran, desk: Desk
) -> None:
    key = function.literals["o0"].scalar.blob.uri.removeprefix(f"gs://{BUCKET}/")
    uploads = [
        request
        for request in desk.google.requests
        if request.path.startswith("/upload/")
        and (request.query.get("name") == key or f'"name": "{key}"'.encode() in request.body)
    ]
    tokens = {request.headers["authorization"].removeprefix("Bearer ") for request in uploads}
    boundaries = [desk.google.identities.tokens[token].boundary for token in tokens]
    assert boundaries
    assert None not in boundaries


def test_a_function_tasks_job_has_no_key(function: Ran, desk: Desk) -> None:
    environment = json.dumps(dict(function.job.record.execution.environment or {}))
    assert json.loads(desk.google.key())["private_key_id"]
    assert "PRIVATE KEY" not in environment
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in environment


def test_a_function_tasks_job_may_do_what_it_has_to(function: Ran) -> None:
    assert [function.tried[what] for what in ("read an input", "list its own")] == [200, 200]


@pytest.mark.parametrize("what", BY_TOKEN)
def test_with_a_token_nothing_else_can_be_done(what: str, function: Ran) -> None:
    assert function.tried[what] in {400, 401, 403}


def test_nothing_of_others_is_changed_with_a_token(function: Ran) -> None:
    assert {key: function.after[key] for key in FILES} == FILES
    assert "stolen" not in function.after


def test_the_api_shows_nothing_confidential_of_a_function_tasks_job(
    function: Ran, desk: Desk
) -> None:
    assert [each for each in desk.confidential(function) if each in function.shown] == []


def test_the_log_shows_nothing_confidential_of_a_function_tasks_job(
    function: Ran, desk: Desk
) -> None:
    log = function.attempt.log
    assert [each for each in desk.confidential(function) if each in log] == []


def test_after_its_end_a_function_tasks_grant_is_gone(function: Ran) -> None:
    assert function.grants_left == [404, 404]


@pytest.mark.parametrize("transport", ["python3", "curl"])
@pytest.mark.parametrize("home", ["s3", "gs"])
def test_inputs_may_be_in_both_stores_wherever_the_outputs_are(
    home: str, transport: str, desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/er").write_text("of S3")
    inputs = {"file": FlyteFile(f"gs://{BUCKET}/in/file"), "folder": FlyteDirectory(str(tmp_path))}
    harness = desk.on(home)
    execution = harness.execution()
    desk.gate.open(execution)
    literals = harness.outputs(copying(desk.gate, transport), inputs, execution=execution)
    folder = literals["folder"].scalar.blob.uri
    store = harness.cluster.store()
    assert folder.startswith(f"{home}://")
    assert store.read(literals["file"].scalar.blob.uri) == b"of google"
    assert store.read(f"{folder}/deep/er") == b"of S3"
