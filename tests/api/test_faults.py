"""Every leaf of the error tree, reached over real HTTP; and the token, which is in none of them."""

import socket
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import close, half_body, reply, reset, send, silence, stream
from support.api_front import FaultyServer
from support.connections import unused_port
from support.front import Behaviour

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import (
    ApiError,
    ApiTimeout,
    InstanceTypeNotFound,
    InsufficientCredit,
    InvalidRequest,
    JobAlreadyDone,
    JobNotFound,
    MalformedResponse,
    RateLimited,
    Redirected,
    ServerFault,
    TlsFailure,
    TransportError,
    Unauthorized,
)
from perian_shim.api.job_request import (
    CreateJobRequest,
    DockerRun,
    RegistryCredentials,
    Requirements,
)
from perian_shim.api.responses import retry_after

TOKEN = "canary/tok+en=="
ORGANIZATION = "canary-organization"
PASSWORD = "canary-password"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
REQUEST = CreateJobRequest(
    DockerRun("busybox", secrets={"S": "canary-secret"}),
    Requirements(),
    registry=RegistryCredentials("reg", "user", PASSWORD),
)

Method = Callable[[PerianClient], object]


def create(client: PerianClient) -> object:
    return client.create_job(REQUEST)


def get(client: PerianClient) -> object:
    return client.get_job("j1")


def cancel(client: PerianClient) -> None:
    client.cancel_job("j1")


def offers(client: PerianClient) -> object:
    return client.list_instance_types()


METHODS = [create, get, cancel, offers]


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


AMPLE = 20.0
"""Seconds that no answer takes, however busy the machine is."""


def client_at(
    url: str, read_timeout: float = AMPLE, connect_timeout: float = AMPLE
) -> PerianClient:
    return PerianClient(
        url,
        ORGANIZATION,
        TOKEN,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        clock=lambda: NOW,
    )


def failure(behaviour: Behaviour, method: Method, read_timeout: float = AMPLE) -> ApiError:
    with (
        FaultyServer(behaviour) as server,
        client_at(server.url, read_timeout) as client,
        pytest.raises(ApiError) as caught,
    ):
        method(client)
    return caught.value


def refusal(detail: object, status: int = 400) -> Behaviour:
    message = "Operation failed due to a client error"
    body = {"status": "Error", "message": message, "detail": detail, "status_code": status}
    return reply(status, body)


@pytest.mark.parametrize(
    ("method", "detail", "leaf"),
    [
        (get, "No job found with specified ID", JobNotFound),
        (cancel, "No job found with specified ID", JobNotFound),
        (get, "The JOB was not found.", JobNotFound),
        (cancel, "The job you are trying to cancel is already complete.", JobAlreadyDone),
        (cancel, "Job already cancelled", JobAlreadyDone),
        (cancel, "job is ALREADY DONE", JobAlreadyDone),
        (get, "Please provide a specific job ID.", InvalidRequest),
        (get, "The job is already complete.", InvalidRequest),
        (
            create,
            "You have insufficient credits to create a new Inference Services.",
            InsufficientCredit,
        ),
        (create, "Not enough credit left", InsufficientCredit),
        (create, "The selected Instance Type was not found", InstanceTypeNotFound),
        (offers, "No instance type found with specified ID", InstanceTypeNotFound),
        (create, "no instance_type available", InstanceTypeNotFound),
        (
            create,
            "Please either provide a specific instance type ID or requirements for the job",
            InvalidRequest,
        ),
        (create, "No job found with specified ID", InvalidRequest),
        (get, "The provided organization name is not valid", Unauthorized),
        (get, "Missing header X-PERIAN-AUTH-ORG", Unauthorized),
        (get, "", InvalidRequest),
    ],
)
def test_what_perian_answers_with_400_is_told_apart_by_words_and_endpoint(
    method: Method, detail: str, leaf: type[ApiError]
) -> None:
    error = failure(refusal(detail), method)
    assert type(error) is leaf
    assert error.status_code == 400
    assert not error.retryable
    assert not error.outcome_unknown
    assert detail in str(error)
    assert "Operation failed due to a client error" in str(error)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("status", "leaf"),
    [
        (401, Unauthorized),
        (403, Unauthorized),
        (404, InvalidRequest),
        (409, InvalidRequest),
        (408, ApiTimeout),
        (429, RateLimited),
        (500, ServerFault),
        (502, ServerFault),
        (504, ServerFault),
        (302, Redirected),
    ],
)
def test_other_statuses_mean_the_same_for_every_call(
    method: Method, status: int, leaf: type[ApiError]
) -> None:
    error = failure(reply(status, {"detail": "Not Found"}), method)
    assert type(error) is leaf
    assert error.status_code == status
    assert f"HTTP {status}" in str(error)


def test_an_error_names_the_call_and_what_to_do() -> None:
    error = failure(refusal("No job found with specified ID"), cancel)
    assert str(error) == (
        "PATCH /job/j1/cancel was refused (HTTP 400): Operation failed due to a client error:"
        " No job found with specified ID."
        " Check the job id, and that it belongs to this organization."
    )
    assert (error.method, error.path) == ("PATCH", "/job/j1/cancel")
    assert error.detail == "No job found with specified ID"


def test_payment_required_is_missing_credit_whatever_it_says() -> None:
    assert type(failure(reply(402), create)) is InsufficientCredit


def test_validation_errors_are_readable() -> None:
    detail = [{"loc": ["body", "timeout_seconds"], "msg": "Input should be a valid integer"}]
    error = failure(reply(422, {"detail": detail}), create)
    assert type(error) is InvalidRequest
    assert "body.timeout_seconds: Input should be a valid integer" in str(error)


def test_validation_words_are_not_taken_for_a_missing_instance_type() -> None:
    detail = [{"loc": ["body", "instance_type_id"], "msg": "field not found"}]
    assert type(failure(reply(422, {"detail": detail}), create)) is InvalidRequest


@pytest.mark.parametrize(
    ("body", "leaf", "status"),
    [
        ({"status": "Error", "detail": "No job found"}, JobNotFound, 400),
        ({"status": "Success", "status_code": 500}, ServerFault, 500),
        ({"status_code": 401, "detail": "who?"}, Unauthorized, 401),
    ],
)
def test_an_error_inside_a_good_answer_is_an_error(
    body: object, leaf: type[ApiError], status: int
) -> None:
    error = failure(reply(200, body), get)
    assert type(error) is leaf
    assert error.status_code == status


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Fri, 02 Jan 2026 03:04:06 -0000", 1.0),
        ("soon", None),
        ("99999999999999", 86400.0),
        ("9" * 5000, None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86400.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 99999999999999999999 Jan 2020 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999", None),
        ("1_0", None),
        ("1e5", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
@pytest.mark.parametrize(("status", "leaf"), [(429, RateLimited), (503, ServerFault)])
def test_a_wish_to_wait_is_read(
    status: int, leaf: type[ApiError], value: str, seconds: float | None
) -> None:
    error = failure(reply(status, headers={"Retry-After": value}), get)
    assert type(error) is leaf
    assert error.retryable
    assert error.retry_after == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ \S+"))
def test_whatever_a_wish_to_wait_says_it_is_a_sane_number_or_nothing(value: str) -> None:
    seconds = retry_after(value, lambda: NOW)
    assert seconds is None or 0 <= seconds <= 86400


@pytest.mark.parametrize(
    "behaviour",
    [
        reply(200, b"<html><title>Sign in to the hotel's Wi-Fi</title></html>"),
        reply(200, b""),
        reply(200, [1, 2]),
        reply(200, b'{"status": "Suc'),
        reply(200, b"\xff\xfe"),
        reply(200, b"[" * 100_000),
        reply(200, {"status": "Success"}),
        half_body(200),
        reply(204),
    ],
)
def test_a_bad_body_is_malformed_and_leaves_a_submission_unclear(behaviour: Behaviour) -> None:
    error = failure(behaviour, create)
    assert type(error) is MalformedResponse
    assert error.retryable
    assert error.outcome_unknown
    assert (error.method, error.path) == ("POST", "/job")
    assert error.status_code in {200, 204}
    assert len(str(error)) < 1000


def test_half_a_body_of_a_failure_is_still_that_failure() -> None:
    error = failure(half_body(503, b'{"detail": "canary/tok'), get)
    assert type(error) is ServerFault
    assert "canary" not in str(error)


def test_a_failure_that_never_ends_is_still_that_failure() -> None:
    error = failure(stream(b"{", b" ", status=401, pause=0.001), get, NO_SILENCE)
    assert type(error) is Unauthorized


@pytest.mark.parametrize("behaviour", [close(), reset(), send(b"nonsense\r\n\r\n")])
@pytest.mark.parametrize(("method", "unknown"), [(create, True), (cancel, True), (get, False)])
def test_a_broken_connection_leaves_a_change_unclear(
    behaviour: Behaviour, method: Method, *, unknown: bool
) -> None:
    error = failure(behaviour, method)
    assert type(error) is TransportError
    assert error.sent
    assert error.retryable
    assert error.outcome_unknown is unknown


@pytest.mark.parametrize(
    "behaviour",
    [
        silence(),
        silence(b"HTTP/1.1 200 OK\r\n"),
        silence(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    ],
)
def test_silence_is_a_timeout_after_sending(behaviour: Behaviour) -> None:
    error = failure(behaviour, create, 0.2)
    assert error.smaller_may_succeed
    assert type(error) is ApiTimeout
    assert error.sent
    assert error.outcome_unknown


JOB_HEAD = b'{"jobs":[{"id":"j1","status":"Running"'
NO_SILENCE = 0.5
"""A read timeout that a trickle keeps below, also on a busy machine."""


@pytest.mark.parametrize(("piece", "pause"), [(b"line" * 1000, 0.0), (b"line", 0.02)])
def test_a_log_that_never_ends_does_not_hide_the_status(piece: bytes, pause: float) -> None:
    endless = stream(JOB_HEAD + b',"logs":"', piece, pause=pause)
    began = time.monotonic()
    with FaultyServer(endless) as server, client_at(server.url, NO_SILENCE) as client:
        job = client.get_job("j1")
    assert (job.id, job.status, job.env_complete) == ("j1", "Running", False)
    assert job.logs is not None
    assert job.logs.startswith("linelineline")
    assert 5 < time.monotonic() - began < 30, "ten read timeouts, and what a busy machine adds"


NEVER_ENDS = {
    "log before the status": stream(b'{"jobs":[{"id":"j1","logs":"', b"x" * 1000, pause=0.001),
    "another text": stream(JOB_HEAD + b',"errors":"', b"x" * 1000, pause=0.001),
    "what nobody reads": stream(JOB_HEAD + b',"x":[', b"[],", pause=0.001),
    "space": stream(b"", b" ", pause=0.02),
    "trickle": stream(b'{"', b"x", pause=0.02),
}


@pytest.mark.parametrize("behaviour", NEVER_ENDS.values(), ids=NEVER_ENDS)
def test_an_answer_that_never_ends_is_a_timeout(behaviour: Behaviour) -> None:
    error = failure(behaviour, get, NO_SILENCE)
    assert type(error) is ApiTimeout
    assert "had not ended after 5 s" in str(error)


@pytest.mark.parametrize("member", [b"logs", b"status"])
def test_a_listing_that_never_ends_is_a_timeout_that_a_smaller_page_may_avoid(
    member: bytes,
) -> None:
    endless = stream(b'{"jobs":[{"id":"j1","%b":"' % member, b"x" * 1000)
    error = failure(endless, PerianClient.list_jobs, NO_SILENCE)
    assert type(error) is ApiTimeout
    assert "had not ended after 1 s" in str(error)
    assert error.smaller_may_succeed


def test_an_answer_that_is_cut_within_a_log_is_no_answer() -> None:
    error = failure(half_body(200, JOB_HEAD + b',"logs":"line'), get)
    assert type(error) is MalformedResponse
    assert error.retryable


def test_an_answer_of_which_too_much_is_left_is_broken_off() -> None:
    error = failure(stream(b'{"jobs":[],"message":"', b"x" * 100_000), get, 30.0)
    assert type(error) is MalformedResponse
    assert "abandoned as too long" in str(error)
    assert error.smaller_may_succeed


@pytest.mark.parametrize(
    ("behaviour", "smaller"),
    [
        (reset(), True),
        (half_body(200), True),
        (reply(500), True),
        (reply(502), True),
        (reply(503), False),
        (reply(504), True),
        (reply(429), False),
        (reply(400), False),
        (reply(401), False),
        (reply(200, b"<html>"), False),
        (reply(200, {"jobs": None}), False),
    ],
)
def test_a_failure_that_a_smaller_answer_may_avoid_says_so(
    behaviour: Behaviour, *, smaller: bool
) -> None:
    assert failure(behaviour, PerianClient.list_jobs).smaller_may_succeed is smaller


def unreachable(
    url: str, method: Method = create, connect_timeout: float = AMPLE
) -> TransportError:
    with (
        client_at(url, connect_timeout=connect_timeout) as client,
        pytest.raises(TransportError) as caught,
    ):
        method(client)
    return caught.value


def test_a_refused_connection_has_sent_nothing() -> None:
    error = unreachable(f"http://127.0.0.1:{unused_port()}")
    assert type(error) is TransportError
    assert not error.sent
    assert not error.outcome_unknown
    assert not error.smaller_may_succeed
    assert "refused" in str(error)
    assert "127.0.0.1" in str(error)


def test_an_unknown_host_has_sent_nothing() -> None:
    error = unreachable("http://no-such-host.invalid")
    assert type(error) is TransportError
    assert not error.sent


@contextmanager
def full_listener() -> Iterator[str]:
    """A port whose queue of connections is full, so that further ones get no answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for sock in waiting:
            sock.close()


def test_a_connection_that_is_not_made_in_time_has_sent_nothing() -> None:
    with full_listener() as url:
        error = unreachable(url, connect_timeout=0.2)
    assert type(error) is ApiTimeout
    assert not error.sent
    assert "no connection" in str(error)


def test_an_older_error_that_is_being_handled_is_not_mistaken_for_this_one() -> None:
    with FaultyServer(reset()) as server, client_at(server.url) as client:
        try:
            unreachable_client = client_at(f"http://127.0.0.1:{unused_port()}")
            with unreachable_client:
                get(unreachable_client)
        except TransportError:
            with pytest.raises(TransportError) as caught:
                create(client)
    assert caught.value.sent


def test_a_missing_ca_bundle_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    error = unreachable("https://127.0.0.1:1")
    assert type(error) is TlsFailure
    assert "missing.pem" in str(error)
    assert not error.sent


def self_signed(folder: Path) -> Path:
    """Return a file with a key and a certificate that nobody trusts."""
    # Late, because the package is not ours: it comes with the S3 stand-in of the tests.
    from cryptography import x509  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - see above

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nobody")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(timezone.utc) - timedelta(days=1))
        .not_valid_after(datetime.now(timezone.utc) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


def test_an_untrusted_certificate_gets_no_request(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with FaultyServer(close(), tls=context) as server:
        error = unreachable(server.url)
    assert type(error) is TlsFailure
    assert not error.sent
    assert not error.retryable
    assert "certificate" in str(error).lower()
    assert not server.requests


HTML_ECHO = f"<h1>Bearer {TOKEN}</h1>".encode()
JSON_ECHO = {"message": f"Bearer {TOKEN}", "detail": [{"loc": [TOKEN], "msg": ORGANIZATION}]}
EVERY_FAULT: list[Behaviour] = [
    *(
        reply(status, body, {"Location": f"/{TOKEN}", "Retry-After": TOKEN})
        for status in (200, 302, 400, 401, 404, 422, 429, 500)
        for body in (
            JSON_ECHO,
            HTML_ECHO,
            {"status": "Error", "detail": f"{'x' * 690}{TOKEN} {ORGANIZATION}"},
            {"jobs": [{"id": TOKEN, "status": {TOKEN: TOKEN}}], "instance_types": TOKEN},
            {"detail": {"password": PASSWORD, "echo": [TOKEN, "canary-secret"]}},
        )
    ),
    half_body(200, HTML_ECHO),
    half_body(400, HTML_ECHO),
    send(f"HTTP/1.1 {TOKEN}\r\n\r\n".encode()),
    send(f"{TOKEN}\r\n\r\n".encode()),
    reset(),
    close(),
]


@pytest.mark.parametrize("behaviour", EVERY_FAULT)
@pytest.mark.parametrize("method", [create, get])
def test_no_error_holds_a_secret_even_if_the_server_echoes_it(
    behaviour: Behaviour, method: Method
) -> None:
    error = failure(behaviour, method)
    shown = f"{error}{error!r}{vars(error)}"
    hidden = [TOKEN, ORGANIZATION]
    if method is create:
        hidden += [PASSWORD, "canary-secret"]
    assert not [secret for secret in hidden if secret in shown]
    assert len(str(error)) < 1500


@pytest.mark.parametrize("behaviour", EVERY_FAULT)
def test_no_traceback_holds_a_secret(behaviour: Behaviour) -> None:
    error = failure(behaviour, create)
    assert TOKEN not in "".join(traceback.format_exception(error))
