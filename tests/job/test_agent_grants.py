"""The agent reads its first grant, or says why it cannot, and whom it trusts for that."""

from pathlib import Path

import pytest
from support.agent import OLDEST, Agent, python_of
from support.agent_answers import aws, telling
from support.answers import close, half_body, in_turn, reply, send
from support.certificate import Certificate, make_certificate
from support.grants import GrantServer, aws_keys, grant_text
from support.s3 import Bucket

pytestmark = [pytest.mark.sampled("agent"), pytest.mark.thorough]


@pytest.fixture(params=["", OLDEST], ids=["own-python", f"python-{OLDEST}"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Agent:
    return Agent(tmp_path, python_of(request.param))


@pytest.mark.parametrize(
    "fault",
    [
        half_body(head=b"version\t1\n"),
        send(b"HTTP/1.1 200 OK\r\n\r\nversion\t1\nrenew\t5\n"),
        reply(503),
        reply(404),
        close(),
    ],
    ids=["broken-off", "not-whole", "503", "404", "closed"],
)
def test_the_first_grant_is_asked_for_again(agent: Agent, fault: object) -> None:
    assert callable(fault)
    with GrantServer(aws_keys()) as server:
        server.meet_first(in_turn(fault, fault, lambda exchange: exchange.answer()))
        with telling(agent, server) as command:
            assert aws(command)[0] == 200

    assert server.reads == ["0"] * 3


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is not whole"),
        (b"version\t1\nrenew\t5\nlives\t5\nnext\thttp://x\n", "it is not whole"),
        (b"version\t2\nend\n", "it is not of version 1: another perian-shim made it"),
        (b"version\t1\nend\n", "it is damaged"),
        (
            b"version\t1\nrenew\tCANARY\nlives\t5\nnext\thttp://x\naws\ta\tb\tc\nend\n",
            "it is damaged",
        ),
        (b"version\t1\nrenew\t5\nlives\t5\nnext\thttp://x\naws\tCANARY\tb\nend\n", "it is damaged"),
        (b"version\t1\nrenew\t5\nlives\t5\nnext\thttp://x\nend\n", "it holds no keys"),
        (b"version\t1\nrenew\t5\nlives\t5\nnext\tfile:///x\naws\ta\tb\tc\nend\n", "it is damaged"),
        (b"x" * 300_000, "it has more than 262144 bytes"),
    ],
)
def test_what_is_no_grant_is_said(agent: Agent, body: bytes, why: str) -> None:
    with GrantServer() as server:
        server.meet_first(reply(200, body))
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        ended = agent.run("echo", "ran")

    assert (ended.code, ended.out) == (65, "")
    assert why in ended.err
    assert ended.err.count("\n") == 1
    assert "CANARY" not in ended.err
    assert server.reads == ["0"] * 5


@pytest.mark.parametrize(
    "url",
    [
        "no-scheme?X-Amz-Signature=CANARY",
        "http://127.0.0.1:1/a b?X-Amz-Signature=CANARY more",
        "http://no-such-host.invalid/a?X-Amz-Signature=CANARY",
        "ftp://127.0.0.1:1/a?X-Amz-Signature=CANARY",
    ],
)
def test_an_error_never_shows_what_a_url_is_signed_with(agent: Agent, url: str) -> None:
    agent.give(PERIAN_SHIM_GRANT=url)

    ended = agent.run("true")

    assert ended.code == 65
    assert ended.err.startswith("[perian-shim] no access to the object store")
    assert "CANARY" not in ended.err


def test_records_for_other_readers_do_no_harm(agent: Agent) -> None:
    records = [("prefix", "a/"), aws_keys(), ("field", "x", "y"), ("new",)]
    with GrantServer(*records) as server, telling(agent, server) as command:
        assert aws(command)[0] == 200


def test_a_grant_that_has_expired_is_no_beginning(agent: Agent) -> None:
    with GrantServer(aws_keys(), lives=0) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        ended = agent.run("echo", "ran")

    assert (ended.code, ended.out) == (65, "")
    assert "could not be read: what it says has expired (tried 5 times)" in ended.err


def test_a_presigned_url_of_a_real_store_will_do(agent: Agent, bucket: Bucket) -> None:
    bucket.put("grant", grant_text(bucket.url("grant"), [aws_keys()]).encode())
    agent.give(PERIAN_SHIM_GRANT=bucket.url("grant"))

    with agent.telling() as command:
        status, keys = aws(command)

    assert (status, keys["AccessKeyId"]) == (200, "ID1")


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


NO_AUTHORITIES = {"SSL_CERT_FILE": "/no/such/file", "SSL_CERT_DIR": "/no/such/folder"}


@pytest.mark.parametrize(
    "name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
)
def test_a_store_is_trusted_whose_authority_a_variable_names(
    agent: Agent, certificate: Certificate, name: str
) -> None:
    agent.give(**{**NO_AUTHORITIES, name: str(certificate.file)})
    grant = GrantServer(aws_keys(), tls=certificate.context)
    with grant as server, telling(agent, server) as command:
        assert aws(command)[0] == 200


def test_an_image_without_authorities_may_have_pythons(
    agent: Agent, certificate: Certificate, tmp_path: Path
) -> None:
    module = f"def where():\n    return {str(certificate.file)!r}\n"
    (tmp_path / "certifi.py").write_text(module)
    agent.give(**NO_AUTHORITIES, PYTHONPATH=str(tmp_path))
    grant = GrantServer(aws_keys(), tls=certificate.context)
    with grant as server, telling(agent, server) as command:
        assert aws(command)[0] == 200


def test_a_store_that_nobody_vouches_for_is_not_trusted(
    agent: Agent, certificate: Certificate
) -> None:
    with GrantServer(aws_keys(), tls=certificate.context) as server:
        agent.give(**NO_AUTHORITIES, PERIAN_SHIM_GRANT=server.first_url)
        ended = agent.run("echo", "ran")

    assert (ended.code, ended.out) == (65, "")
    assert "does the image have ca-certificates?" in ended.err
    assert server.reads == []
