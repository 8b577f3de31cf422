"""``perian-shim doctor``: a set-up that works, and each thing that may be wrong, provoked once."""

import email.utils
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from support.answers import by_request, reply, silence
from support.api_front import FaultyServer
from support.front import Behaviour, Exchange, Received
from support.s3 import ACCESS_KEY, REGION, SECRET_KEY, Bucket, new_bucket, s3_endpoint
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api
from support.storage_front import Answer, StorageFront, faulty_server, s3_error

from perian_shim.checkup.clocks import clock
from perian_shim.checkup.findings import Check, Finding, Status, made, ok
from perian_shim.checkup.here import versions
from perian_shim.cli import main
from perian_shim.sandbox.server.application import Response

IMAGE = "registry.example.org/perian-shim-executor:0.1.0"

Set = Callable[..., None]
Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture(autouse=True)
def well(server: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A set-up that works."""
    for name in (
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "https_proxy",
        "http_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    given = {
        "NO_PROXY": "*",
        "HOME": str(tmp_path),
        "PERIAN_ORGANIZATION": ORGANIZATION,
        "PERIAN_TOKEN": TOKEN,
        "PERIAN_API_URL": server.server.url,
        "PERIAN_SHIM_IMAGE": IMAGE,
        "FLYTE_SECRETS_DEFAULT_DIR": str(tmp_path / "secrets"),
        "FLYTE_AWS_ENDPOINT": s3_endpoint(),
        "FLYTE_AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "FLYTE_AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Set variables; None: not at all."""

    def change(**variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return change


@pytest.fixture
def bucket() -> Bucket:
    return new_bucket()


class Report:
    """What doctor has found."""

    def __init__(self, code: int, findings: list[dict[str, str]]) -> None:
        self.code = code
        self.findings = findings

    def of(self, check: str) -> list[dict[str, str]]:
        return [each for each in self.findings if each["check"] == check]

    def problems(self) -> list[str]:
        return [each["check"] for each in self.findings if each["status"] == "problem"]


@pytest.fixture
def doctor(capsys: Printed) -> Callable[..., Report]:
    def run(*arguments: str) -> Report:
        code = main(["doctor", "--json", *arguments])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert found["ok"] == (code == 0)
        return Report(code, found["findings"])

    return run


Doctor = Callable[..., Report]


def expect(report: Report, check: str, status: str, *texts: str) -> None:
    """Expect a finding that says all of it; a problem is the only one, and fails."""
    told = [each for each in report.of(check) if each["status"] == status]
    assert told, report.findings
    said = " ".join(f"{each['text']} {each['remedy']}" for each in told)
    for text in texts:
        assert text in said
    if status == "problem":
        assert set(report.problems()) == {check}
        assert report.code == 1
    else:
        assert report.code == 0


# --- a set-up that works ---


def test_a_set_up_that_works_is_ok(doctor: Doctor) -> None:
    report = doctor()
    assert {each["status"] for each in report.findings} == {"ok"}
    assert report.code == 0
    names = [each["check"] for each in report.findings]
    assert names == [
        *("perian-shim", "python", "flytekit", "image", "secrets", "proxy"),
        *("credentials", "credit", "catalogue", "clock (Perian)"),
    ]


def test_a_store_that_works_is_tried_and_left_as_it_was(doctor: Doctor, bucket: Bucket) -> None:
    bucket.put("mine/other", b"x")
    report = doctor("--raw-data-prefix", f"s3://{bucket.name}/mine")
    for check in ("store", "signed URL", "upload form", "access", "clock (store)"):
        assert report.of(check)[0]["status"] == "ok"
    assert report.code == 0
    assert bucket.keys() == {"mine/other"}


def test_for_people_there_is_a_line_each_with_what_to_do_below(given: Set, capsys: Printed) -> None:
    given(PERIAN_SHIM_IMAGE=None)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warning  image"))
    assert lines[at + 1].lstrip().startswith("→ Build the image")
    assert "\x1b" not in printed
    assert main(["doctor", "-o", "name"]) == 0
    assert capsys.readouterr().out == "image\n"


# --- this machine ---


@pytest.mark.parametrize("version", ["1.13.9", "2.0.0", None])
def test_a_flytekit_that_is_not_known_is_a_problem(version: str | None) -> None:
    def find(name: str) -> str:
        if version is None:
            raise PackageNotFoundError(name)
        return version

    *_, found = versions(find)
    assert (found.check, found.status) == ("flytekit", Status.PROBLEM)
    assert "from 1.14 on and before 2.0" in found.remedy


def test_an_image_that_is_none_is_a_problem(doctor: Doctor, given: Set) -> None:
    given(PERIAN_SHIM_IMAGE="Registry.example.org/UPPER:1")
    expect(doctor(), "image", "problem", "must be in lower case", "Correct PERIAN_SHIM_IMAGE")


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (None, "PERIAN_SHIM_IMAGE is not set"),
        ("localhost:5000/x:1", "a registry of this machine"),
        ("example.org/x", "may be another image tomorrow"),
        ("example.org/x:latest", "may be another image tomorrow"),
    ],
)
def test_an_image_that_may_not_do_is_a_warning(
    doctor: Doctor, given: Set, image: str | None, text: str
) -> None:
    given(PERIAN_SHIM_IMAGE=image)
    expect(doctor(), "image", "warning", text)


def secret(tmp_path: Path, key: str, value: bytes, group: str = "perian") -> None:
    file = tmp_path / "secrets" / group / key
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(value)


def test_secrets_that_are_mounted_are_named_and_not_shown(doctor: Doctor, tmp_path: Path) -> None:
    secret(tmp_path, "perian_organization", b"acme")
    secret(tmp_path, "perian_token", b"mounted-token")
    report = doctor()
    assert report.of("secrets")[0]["text"].endswith("has perian_organization, perian_token")
    assert "mounted-token" not in json.dumps(report.findings)


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        ({"perian_organization": b"acme"}, "has no perian_token"),
        ({"docker_registry_url": b"x"}, "has no docker_registry_username and no docker_registry_"),
        ({"aws_access_key_id": b"AKIA"}, "has no aws_secret_access_key"),
        ({"google_application_credentials": b"{}"}, "is no key of a service account"),
        ({"perian_token": b"\xff\xfe"}, "is no text"),
    ],
)
def test_half_a_secret_is_a_problem(
    doctor: Doctor, tmp_path: Path, secrets: dict[str, bytes], text: str
) -> None:
    whole = {"perian_organization": b"acme", "perian_token": b"t"}
    kept = {} if "perian_organization" in secrets else whole
    for key, value in {**kept, **secrets}.items():
        secret(tmp_path, key, value, "team")
    expect(doctor("--secret-group", "team"), "secrets", "problem", text)


def test_a_proxy_that_is_none_is_a_problem_whose_password_is_not_shown(
    doctor: Doctor, given: Set
) -> None:
    given(http_proxy="socks5://ann:hunter2@proxy", NO_PROXY="")
    report = doctor()
    (found,) = [each for each in report.of("proxy") if each["status"] == "problem"]
    assert "http_proxy is no URL of an HTTP proxy" in found["text"]
    assert report.code == 1
    assert "hunter2" not in json.dumps(report.findings)


def test_the_proxy_on_the_way_is_named(doctor: Doctor, given: Set) -> None:
    given(HTTPS_PROXY="http://ann:hunter2@proxy.example.org:3128", NO_PROXY="127.0.0.1")
    assert doctor().of("proxy")[0]["text"].endswith(": none")
    given(PERIAN_API_URL="https://perian.invalid", HTTPS_PROXY="http://ann:hunter2@127.0.0.1:1")
    report = doctor("--patience", "5")
    assert report.of("proxy")[0]["text"] == "perian.invalid: by 127.0.0.1:1"
    assert "hunter2" not in json.dumps(report.findings)


def test_a_variable_that_is_hidden_by_another_is_a_warning(doctor: Doctor, given: Set) -> None:
    given(no_proxy="*", NO_PROXY="localhost")
    expect(doctor(), "proxy", "warning", "no_proxy and NO_PROXY differ")


def test_certificates_that_are_not_there_are_a_problem(doctor: Doctor, given: Set) -> None:
    given(REQUESTS_CA_BUNDLE="/no/such/bundle.pem")
    expect(doctor(), "certificates", "problem", "no CA bundle where REQUESTS_CA_BUNDLE says")


# --- Perian ---


def test_missing_credentials_are_a_problem(doctor: Doctor, given: Set) -> None:
    given(PERIAN_TOKEN=None, PERIAN_ORGANIZATION=None)
    expect(doctor(), "credentials", "problem", "Set PERIAN_ORGANIZATION and PERIAN_TOKEN")


def test_a_token_that_is_refused_is_a_problem_and_not_shown(doctor: Doctor, given: Set) -> None:
    given(PERIAN_TOKEN="wrong-token-1234")
    report = doctor()
    expect(report, "credentials", "problem", "HTTP 401", "Check organization and token")
    assert not report.of("credit")
    assert "wrong-token-1234" not in json.dumps(report.findings)


def test_credentials_may_be_those_of_the_secret_group(
    doctor: Doctor, given: Set, tmp_path: Path
) -> None:
    given(PERIAN_TOKEN=None, PERIAN_ORGANIZATION=None)
    secret(tmp_path, "perian_organization", ORGANIZATION.encode(), "team")
    secret(tmp_path, "perian_token", TOKEN.encode(), "team")
    expect(doctor("--secret-group", "team"), "credentials", "ok", f"organization {ORGANIZATION}")


def test_a_program_that_prints_no_token_is_a_problem(doctor: Doctor, given: Set) -> None:
    given(PERIAN_TOKEN=None, PERIAN_TOKEN_COMMAND="false --password hunter2")
    report = doctor()
    expect(report, "credentials", "problem", "failed with exit code 1")
    assert "hunter2" not in json.dumps(report.findings)


def test_a_program_that_never_ends_is_given_up(doctor: Doctor, given: Set) -> None:
    program = shlex.join([sys.executable, "-c", "import time; time.sleep(30)"])
    given(PERIAN_TOKEN=None, PERIAN_TOKEN_COMMAND=program)
    began = time.monotonic()
    expect(doctor("--patience", "1"), "credentials", "problem", "no answer within 1 s")
    assert time.monotonic() - began < 20


def test_an_api_that_is_not_there_is_a_problem(doctor: Doctor, given: Set) -> None:
    given(PERIAN_API_URL="http://127.0.0.1:1")
    report = doctor()
    assert report.problems() == ["credentials", "clock (Perian)"]
    assert report.code == 1


def test_an_api_that_says_nothing_is_given_up(doctor: Doctor, given: Set) -> None:
    with FaultyServer(silence()) as server:
        given(PERIAN_API_URL=server.url)
        report = doctor("--patience", "1")
    assert report.problems() == ["credentials", "clock (Perian)"]


def account(
    credit: object = "10", machines: int = 1, kinds: int = 1, date: float | None = None
) -> Behaviour:
    """A Perian that has what is said, and tells the time of so many seconds from now."""
    bodies: dict[str, object] = {
        "/job": {"jobs": []},
        "/billing/remaining-credits": {
            "current_amount": credit,
            "currency": "EUR",
            "original_amount": "100",
        },
        "/instance-type": {"instance_types": [{"id": str(n)} for n in range(machines)]},
        "/accelerator-type": {"accelerator_types": [{"id": str(n)} for n in range(kinds)]},
    }

    def answer(request: Received) -> Behaviour:
        if request.method == "HEAD":
            told = email.utils.formatdate(time.time() + (date or 0), usegmt=True)
            return reply(headers={} if date is None else {"Date": told})
        return reply(body=bodies[request.path])

    return by_request(answer)


@pytest.mark.parametrize(
    ("perian", "check", "status", "text"),
    [
        (account("0"), "credit", "problem", "0.00 EUR are left: no job can be rented"),
        (account("-3"), "credit", "problem", "-3.00 EUR are left"),
        (account("9.99"), "credit", "warning", "9.99 EUR are left of 100.00 EUR"),
        (account(machines=0), "catalogue", "problem", "there is no machine to rent"),
        (account(kinds=0), "catalogue", "warning", "no accelerators"),
        (account(date=600), "clock (Perian)", "problem", "s behind Set this machine's clock"),
        (account(date=-600), "clock (Perian)", "problem", "s ahead Set this machine's clock"),
        (account(date=60), "clock (Perian)", "warning", "s behind"),
        (account(), "clock (Perian)", "warning", "does not tell the time"),
        (account("nothing"), "credit", "problem", "current_amount"),
    ],
)
def test_what_perian_says_is_judged(
    doctor: Doctor, given: Set, perian: Behaviour, check: str, status: str, text: str
) -> None:
    with FaultyServer(perian) as server:
        given(PERIAN_API_URL=server.url)
        report = doctor()
    expect(report, check, status, text)


def test_an_unlimited_plan_is_ok(doctor: Doctor, given: Set) -> None:
    known = account(date=0)

    def answer(request: Received) -> Behaviour:
        billing = request.path.startswith("/billing")
        return reply(400, {"detail": "no such account"}) if billing else known

    with FaultyServer(by_request(answer)) as server:
        given(PERIAN_API_URL=server.url)
        report = doctor()
    assert report.of("credit")[0]["text"] == "no account of it is kept: the plan is unlimited"
    assert report.code == 0


def test_an_api_without_encryption_is_a_warning(doctor: Doctor, given: Set) -> None:
    given(PERIAN_API_URL="http://perian.invalid")
    report = doctor("--patience", "5")
    (found,) = report.of("address")
    assert (found["status"], found["remedy"]) == ("warning", "Use https.")


@pytest.mark.parametrize("off", [-29.0, 0.0, 29.0])
def test_a_clock_that_is_nearly_right_is_ok(server: Api, off: float) -> None:
    found = clock("Perian", server.server.url, {}, 10.0, lambda: time.time() + off)
    assert found.status is Status.OK


# --- the object store ---


@pytest.mark.parametrize(
    ("prefix", "text"),
    [("/tmp/folder", "is reached by"), ("s3://", "is no folder"), ("file:///x", "is no folder")],
)
def test_a_prefix_that_is_in_no_store_is_a_problem(doctor: Doctor, prefix: str, text: str) -> None:
    expect(doctor("--raw-data-prefix", prefix), "store", "problem", "is no folder in an object")
    assert text


def test_a_store_that_only_flytekit_reaches_is_a_warning(doctor: Doctor) -> None:
    report = doctor("--raw-data-prefix", "abfs://container/folder")
    expect(report, "store", "warning", "reached by flytekit alone")


def test_a_bucket_that_is_not_there_is_a_problem(doctor: Doctor) -> None:
    expect(doctor("--raw-data-prefix", "s3://no-such-bucket/x"), "store", "problem", "NoSuchBucket")


def test_keys_that_are_wrong_are_a_problem_and_not_shown(
    doctor: Doctor, given: Set, bucket: Bucket
) -> None:
    given(FLYTE_AWS_SECRET_ACCESS_KEY="wrong-key-12345")
    report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, "store", "problem", "SignatureDoesNotMatch")
    assert "wrong-key-12345" not in json.dumps(report.findings)


def refused(when: Callable[[Received], bool]) -> Behaviour:
    """Refuse some requests, and pass on the others."""
    denied = Answer(403, s3_error("AccessDenied", "Access Denied"))
    return lambda at: denied(at) if when(at.request) else at.answer()


@pytest.mark.parametrize(
    ("when", "check"),
    [
        (lambda request: "X-Amz-Signature" in request.target, "signed URL"),
        (lambda request: request.method == "POST", "upload form"),
    ],
)
def test_what_a_job_could_not_do_is_a_problem(
    doctor: Doctor, given: Set, bucket: Bucket, when: Callable[[Received], bool], check: str
) -> None:
    with StorageFront(s3_endpoint(), refused(when)) as front:
        given(FLYTE_AWS_ENDPOINT=front.url)
        report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, check, "problem", "AccessDenied")
    assert bucket.keys() == set()
    assert "Signature=" not in json.dumps(report.findings).replace("Signature=[redacted]", "")


def test_a_store_that_says_nothing_is_given_up(doctor: Doctor, given: Set, bucket: Bucket) -> None:
    with StorageFront(s3_endpoint(), silence()) as front:
        given(FLYTE_AWS_ENDPOINT=front.url)
        report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x", "--patience", "1")
    expect(report, "store", "problem", "no answer within 1 s")


def test_a_clock_that_differs_from_the_stores_is_a_problem(
    doctor: Doctor, given: Set, bucket: Bucket
) -> None:
    def late(exchange: Exchange) -> Response | None:
        if exchange.request.method != "HEAD" or exchange.request.target != "/":
            return exchange.answer()
        told = email.utils.formatdate(time.time() - 1000, usegmt=True)
        return Response(403, b"", {"Date": told, "Content-Length": "0"})

    with StorageFront(s3_endpoint(), late) as front:
        given(FLYTE_AWS_ENDPOINT=front.url)
        report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, "clock (store)", "problem", "s ahead")


def test_a_store_that_jobs_can_hardly_reach_is_a_warning(doctor: Doctor, bucket: Bucket) -> None:
    report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, "store", "warning", "can hardly reach 127.0.0.1", "PERIAN_S3_PUBLIC_ENDPOINT")


def test_a_public_name_that_does_not_work_from_here_is_a_warning(
    doctor: Doctor, given: Set, bucket: Bucket
) -> None:
    with faulty_server(lambda _: Answer(403, s3_error("AccessDenied", "no"))) as public:
        given(PERIAN_S3_PUBLIC_ENDPOINT=public.url)
        report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, "signed URL", "warning", "at least not from here", "outside the cluster")


def test_access_that_ends_at_an_unknown_time_is_a_warning(
    doctor: Doctor, given: Set, bucket: Bucket
) -> None:
    given(
        FLYTE_AWS_ACCESS_KEY_ID=None,
        FLYTE_AWS_SECRET_ACCESS_KEY=None,
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_SESSION_TOKEN="session-token-1234",
    )
    report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    (found,) = report.of("access")
    assert (found["status"], "nobody knows" in found["text"]) == ("warning", True)
    assert "session-token-1234" not in json.dumps(report.findings)


def test_keys_that_jobs_are_given_as_they_are_are_a_warning(doctor: Doctor, bucket: Bucket) -> None:
    report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, "function tasks", "warning", "as they are", "aws_role_arn")


def test_jobs_of_a_pod_that_has_nothing_for_them_are_a_warning(
    doctor: Doctor, given: Set, bucket: Bucket
) -> None:
    given(FLYTE_INTERNAL_EXECUTION_ID="x1")
    report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x")
    expect(report, "function tasks", "warning", "has no access to the object store")


CREDENTIALS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIAJOB</AccessKeyId>
<SecretAccessKey>secret-of-the-job</SecretAccessKey><SessionToken>token-of-the-job</SessionToken>
<Expiration>{}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def test_temporary_credentials_for_jobs_are_asked_for_and_not_shown(
    doctor: Doctor, bucket: Bucket, tmp_path: Path
) -> None:
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    with faulty_server(lambda _: Answer(200, CREDENTIALS.format(ends).encode())) as sts:
        secret(tmp_path, "aws_role_arn", b"arn:aws:iam::1:role/jobs", "team")
        secret(tmp_path, "aws_sts_endpoint_url", sts.url.encode(), "team")
        report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x", "--secret-group", "team")
    (found,) = report.of("function tasks")
    assert found["status"] == "ok"
    assert found["text"].endswith("for 60 min")
    assert "the role arn:aws:iam::1:role/jobs" in found["text"]
    shown = json.dumps(report.findings)
    assert "secret-of-the-job" not in shown
    assert "token-of-the-job" not in shown


def test_credentials_that_nobody_hands_out_are_a_problem(
    doctor: Doctor, given: Set, bucket: Bucket, tmp_path: Path
) -> None:
    given(FLYTE_INTERNAL_EXECUTION_ID="x1")
    with faulty_server(lambda _: Answer(403, s3_error("AccessDenied", "not you"))) as sts:
        secret(tmp_path, "perian_organization", b"acme", "team")
        secret(tmp_path, "perian_token", b"t", "team")
        secret(tmp_path, "aws_role_arn", b"arn:aws:iam::1:role/jobs", "team")
        secret(tmp_path, "aws_sts_endpoint_url", sts.url.encode(), "team")
        report = doctor("--raw-data-prefix", f"s3://{bucket.name}/x", "--secret-group", "team")
    expect(report, "function tasks", "problem", "no temporary credentials", "sts:AssumeRole")


# --- nothing is shown, nothing hangs ---


def test_no_secret_is_shown_whatever_a_server_repeats(doctor: Doctor, given: Set) -> None:
    def echo(request: Received) -> Behaviour:
        return reply(400, {"detail": f"you sent {request.headers.get('authorization')}"})

    with FaultyServer(by_request(echo)) as server:
        given(PERIAN_API_URL=server.url, PERIAN_TOKEN="token-to-be-hidden")
        report = doctor()
    assert report.code == 1
    assert "token-to-be-hidden" not in json.dumps(report.findings)


def test_no_key_of_the_environment_is_shown_whatever_a_store_repeats(
    doctor: Doctor, given: Set
) -> None:
    given(
        FLYTE_AWS_ACCESS_KEY_ID=None,
        FLYTE_AWS_SECRET_ACCESS_KEY=None,
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_SESSION_TOKEN="session-token-1234",
    )

    def echo(seen: Received) -> Answer:
        return Answer(403, s3_error("Odd", f"{seen.headers.get('x-amz-security-token')}"))

    with faulty_server(echo) as store:
        given(FLYTE_AWS_ENDPOINT=store.url)
        report = doctor("--raw-data-prefix", "s3://bucket/x")
    expect(report, "store", "problem", "Odd: [redacted]")
    assert "session-token-1234" not in json.dumps(report.findings)


def test_a_check_that_breaks_is_a_problem_and_the_others_go_on() -> None:
    def broken() -> Iterator[Finding]:
        yield ok("broken", "began")
        raise KeyError("may-be-a-secret")

    found = list(made([Check("broken", broken), Check("whole", lambda: [ok("whole", "")])], 10.0))
    assert [(each.check, each.status) for each in found] == [
        ("broken", Status.OK),
        ("broken", Status.PROBLEM),
        ("whole", Status.OK),
    ]
    assert "may-be-a-secret" not in found[1].text
