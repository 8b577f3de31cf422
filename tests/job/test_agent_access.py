"""The agent serves keys that are renewed, in the two protocols, for as long as they live."""

import datetime
import email.utils
import http.client
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.agent import OLDEST, Agent, Telling, python_of
from support.answers import close, half_body, in_turn, reply, send
from support.certificate import Certificate, make_certificate
from support.front import Exchange
from support.grants import CANARY, GrantServer, Record, aws_keys, google_token, grant_text
from support.s3 import Bucket
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox.server.application import Response

WINNING = [
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    *("FLYTE_AWS_ACCESS_KEY_ID", "FLYTE_AWS_SECRET_ACCESS_KEY"),
]
FLAVOR = {"Metadata-Flavor": "Google"}
EMAIL = "job@perian-shim.invalid"
ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"


@pytest.fixture(params=["", OLDEST], ids=["own-python", f"python-{OLDEST}"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Agent:
    return Agent(tmp_path, python_of(request.param))


def telling(agent: Agent, server: GrantServer, **variables: str) -> Telling:
    """A command that runs with what the server grants."""
    agent.give(PERIAN_SHIM_GRANT=server.first_url, **variables)
    return agent.telling()


def get(address: str, path: str, headers: Mapping[str, str]) -> "tuple[int, str]":
    """Ask the agent; return status and body."""
    connection = http.client.HTTPConnection(address, timeout=LONG_SECONDS)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def aws(command: Telling, authorization: str | None = None) -> "tuple[int, dict[str, str]]":
    """Ask for AWS's keys; return status and what is answered."""
    url = urlsplit(command.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    token = command.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    given = token if authorization is None else authorization
    status, body = get(url.netloc, url.path, {"Authorization": given} if given else {})
    return status, json.loads(body)


def google(command: Telling, path: str, headers: Mapping[str, str] = FLAVOR) -> "tuple[int, str]":
    """Ask the metadata server; return status and body."""
    return get(command.environment["GCE_METADATA_HOST"], path, headers)


def seconds_until(stamp: str) -> float:
    """How long from now on it is until a moment."""
    assert stamp.endswith("Z")
    end = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    return (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


# ---- AWS -----------------------------------------------------------------------------------------


def test_keys_are_handed_out_with_the_moment_of_their_end(agent: Agent) -> None:
    with GrantServer(aws_keys(), lives=900) as server, telling(agent, server) as command:
        status, keys = aws(command)

    end = seconds_until(keys.pop("Expiration"))
    assert (status, keys) == (
        200,
        {"AccessKeyId": "ID1", "SecretAccessKey": "SECRET-CANARY-1", "Token": "TOKEN-CANARY-1"},
    )
    assert 900 - LONG_SECONDS < end <= 900


def test_the_time_since_a_grant_was_written_is_not_granted_again(agent: Agent) -> None:
    with GrantServer() as server:
        server.write(aws_keys(), lives=3600, age=1800)
        with telling(agent, server) as command:
            end = seconds_until(aws(command)[1]["Expiration"])

    assert 1800 - LONG_SECONDS < end <= 1800


def test_a_wrong_clock_of_the_store_does_no_harm(agent: Agent) -> None:
    def wrong(exchange: Exchange) -> Response | None:
        response = exchange.answer()
        assert response is not None
        shift = datetime.timedelta(days=400)
        dates = {
            name: email.utils.format_datetime(
                email.utils.parsedate_to_datetime(response.headers[name]) + shift, usegmt=True
            )
            for name in ("Date", "Last-Modified")
        }
        return Response(response.status, response.body, {**response.headers, **dates})

    with GrantServer() as server:
        server.write(aws_keys(), lives=3600, age=1800)
        server.meet_first(wrong)
        with telling(agent, server) as command:
            end = seconds_until(aws(command)[1]["Expiration"])

    assert 1800 - LONG_SECONDS < end <= 1800


@pytest.mark.parametrize("dates", [{}, {"Date": "soon", "Last-Modified": "now"}])
def test_a_store_that_tells_no_dates_is_taken_to_answer_at_once(
    agent: Agent, dates: "dict[str, str]"
) -> None:
    with GrantServer() as server:
        text = grant_text(server.first_url, [aws_keys()], lives=900)
        server.meet_first(lambda _: Response(200, text.encode(), dates))
        with telling(agent, server) as command:
            end = seconds_until(aws(command)[1]["Expiration"])

    assert 900 - LONG_SECONDS < end <= 900


@pytest.mark.parametrize("authorization", ["", "wrong", "Bearer \xff"])
def test_without_the_token_no_key_is_handed_out(agent: Agent, authorization: str) -> None:
    with GrantServer(aws_keys()) as server, telling(agent, server) as command:
        status, answer = aws(command, authorization)

    assert (status, set(answer)) == (403, {"code", "message"})


def test_every_job_has_a_token_of_its_own(tmp_path: Path) -> None:
    tokens = set()
    with GrantServer(aws_keys()) as server:
        for _ in range(2):
            with telling(Agent(tmp_path), server) as command:
                tokens.add(command.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"])

    assert {len(token) for token in tokens} == {64}
    assert len(tokens) == 2


def test_the_token_is_in_a_file_too_for_libraries_that_read_no_other(agent: Agent) -> None:
    script = 'cat "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"; echo " $0"'
    with GrantServer(aws_keys()) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="/x")
        out = agent.run("/bin/sh", "-c", f'{script}; echo "$AWS_CONTAINER_AUTHORIZATION_TOKEN"').out

    in_file, in_variable = out.split(" /bin/sh\n")
    assert in_file == in_variable.strip() != ""


def test_keys_that_would_win_are_taken_out_and_that_is_said(agent: Agent) -> None:
    mine = dict.fromkeys(WINNING, "mine")
    kept = {"AWS_REGION": "r", "FLYTE_AWS_ENDPOINT": "e", "GOOGLE_APPLICATION_CREDENTIALS": "g"}
    with GrantServer(aws_keys()) as server, telling(agent, server, **mine, **kept) as command:
        environment = command.environment
        err = command.end().err

    assert not set(mine) & set(environment)
    assert kept.items() <= environment.items()
    assert environment["AWS_EC2_METADATA_DISABLED"] == "true"
    assert err.count("\n") == 1
    assert all(name in err for name in mine)
    assert "mine" not in err


# ---- Google --------------------------------------------------------------------------------------


def test_a_token_is_handed_out_with_its_time(agent: Agent) -> None:
    with GrantServer(google_token(), lives=900) as server, telling(agent, server) as command:
        status, body = google(command, f"{ACCOUNT}/token?scopes=a,b")

    answer = json.loads(body)
    lives = answer.pop("expires_in")
    assert (status, answer) == (200, {"access_token": "OAUTH-CANARY-1", "token_type": "Bearer"})
    assert 900 - LONG_SECONDS < lives <= 900


@pytest.mark.parametrize("path", ["/", f"{ACCOUNT}/token", f"{ACCOUNT}/email"])
@pytest.mark.parametrize(
    "headers", [{}, {"Metadata-Flavor": "Other"}, {**FLAVOR, "X-Forwarded-For": "1.2.3.4"}]
)
def test_without_the_header_nothing_is_told(
    agent: Agent, path: str, headers: "dict[str, str]"
) -> None:
    with GrantServer(google_token()) as server, telling(agent, server) as command:
        status, body = google(command, path, headers)

    assert status == 403
    assert "CANARY" not in body


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "computeMetadata/\n"),
        ("/computeMetadata/v1/", "instance/\nproject/\nuniverse/\n"),
        (f"{ACCOUNT}/email", EMAIL),
        (f"{ACCOUNT}/scopes", "https://www.googleapis.com/auth/cloud-platform\n"),
        (f"{ACCOUNT}/aliases", "default\n"),
        (f"{ACCOUNT}/", "aliases\nemail\nscopes\n"),
        ("/computeMetadata/v1/project/project-id", "perian-shim"),
        ("/computeMetadata/v1/universe/universe-domain", "googleapis.com"),
    ],
)
def test_it_describes_a_machine(tmp_path: Path, path: str, expected: str) -> None:
    with GrantServer(google_token()) as server, telling(Agent(tmp_path), server) as command:
        assert google(command, path) == (200, expected)


@pytest.mark.parametrize("name", ["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"])
def test_the_project_is_the_one_of_the_environment(tmp_path: Path, name: str) -> None:
    with (
        GrantServer(google_token()) as server,
        telling(Agent(tmp_path), server, **{name: "mine"}) as command,
    ):
        assert google(command, "/computeMetadata/v1/project/project-id") == (200, "mine")


@pytest.mark.parametrize(
    "name", ["default", "job@perian-shim.invalid", "job%40perian-shim.invalid"]
)
def test_an_account_is_described_in_one_answer(tmp_path: Path, name: str) -> None:
    path = f"/computeMetadata/v1/instance/service-accounts/{name}/?recursive=true"
    with GrantServer(google_token()) as server, telling(Agent(tmp_path), server) as command:
        status, body = google(command, path)

    assert (status, json.loads(body)) == (
        200,
        {
            "aliases": ["default"],
            "email": EMAIL,
            "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
        },
    )


@pytest.mark.parametrize(
    "path", [f"{ACCOUNT}/identity?audience=x", "/elsewhere", "/elsewhere/token", "/aws/"]
)
def test_what_is_not_there_is_not_found(tmp_path: Path, path: str) -> None:
    with GrantServer(google_token()) as server, telling(Agent(tmp_path), server) as command:
        assert google(command, path)[0] == 404


def test_googles_own_variables_are_set_so_that_the_metadata_server_is_asked(agent: Agent) -> None:
    mine = {"GOOGLE_APPLICATION_CREDENTIALS": "/file", "NO_GCE_CHECK": "true"}
    kept = {"AWS_ACCESS_KEY_ID": "kept"}
    with (
        GrantServer(google_token()) as server,
        telling(agent, server, **mine, **kept) as command,
    ):
        environment = command.environment
        err = command.end().err

    assert not set(mine) & set(environment)
    assert kept.items() <= environment.items()
    host = environment["GCE_METADATA_HOST"]
    assert host.startswith("127.0.0.1:")
    assert environment["GCE_METADATA_IP"] == environment["GCE_METADATA_ROOT"] == host
    assert "GOOGLE_APPLICATION_CREDENTIALS, NO_GCE_CHECK: taken out of the environment" in err


def test_a_proxy_is_not_asked_for_what_is_on_this_machine(agent: Agent) -> None:
    # The agent itself reads its grant from the test's server, by a name that the proxy is not for.
    proxy = {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "localhost"}
    with GrantServer(google_token()) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url.replace("127.0.0.1", "localhost"), **proxy)
        with agent.telling() as command:
            environment = command.environment

    assert environment["no_proxy"] == environment["NO_PROXY"] == "localhost,127.0.0.1"


def test_a_grant_may_hold_keys_of_both(agent: Agent) -> None:
    with GrantServer(aws_keys(), google_token()) as server, telling(agent, server) as command:
        assert aws(command)[0] == 200
        assert google(command, f"{ACCOUNT}/token")[0] == 200


@pytest.mark.parametrize("record", [aws_keys(), google_token()])
def test_it_listens_on_the_loopback_interface_only(tmp_path: Path, record: Record) -> None:
    with GrantServer(record) as server, telling(Agent(tmp_path), server) as command:
        sockets = Path(f"/proc/{command.process.pid}/fd")
        inodes = {path.readlink().name for path in sockets.iterdir() if path.is_symlink()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [row[1] for row in rows if f"socket:[{row[9]}]" in inodes and row[3] == "0A"]
        rows6 = Path("/proc/net/tcp6").read_text().splitlines()[1:]

    assert [address.partition(":")[0] for address in ours] == ["0100007F"]
    assert not [row for row in rows6 if f"socket:[{row.split()[9]}]" in inodes]


# ---- the first grant -----------------------------------------------------------------------------


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


# ---- renewal -------------------------------------------------------------------------------------


def key_of(command: Telling) -> str:
    """The key ID that is handed out now."""
    return aws(command)[1].get("AccessKeyId", "")


def test_the_next_grant_is_read_in_time_at_the_place_that_the_last_one_named(agent: Agent) -> None:
    with GrantServer(aws_keys(1), renew=1) as server, telling(agent, server) as command:
        assert key_of(command) == "ID1"
        server.write(aws_keys(2))
        wait_until(lambda: key_of(command) == "ID2", LONG_SECONDS, "no new keys")
        end = command.end()

    assert server.reads == ["0", "1"]
    assert (end.code, end.err) == (0, "")


@pytest.mark.parametrize(("lives", "renew"), [(20, 3600), (3600, 3600)], ids=["quarter", "renew"])
def test_who_asks_when_little_time_is_left_gets_the_next_keys(
    agent: Agent, lives: int, renew: int
) -> None:
    with GrantServer() as server:
        server.write(aws_keys(1), lives=lives, renew=renew)
        with telling(agent, server) as command:
            server.write(aws_keys(2), lives=3600, renew=600)
            wait_until(lambda: key_of(command) == "ID2", LONG_SECONDS, "no new keys")


def test_keys_with_much_time_left_are_handed_out_without_asking(agent: Agent) -> None:
    with GrantServer(aws_keys(), renew=600) as server, telling(agent, server) as command:
        assert [key_of(command) for _ in range(5)] == ["ID1"] * 5

    assert server.reads == ["0"]


def test_while_the_store_is_down_living_keys_are_handed_out_and_each_reason_is_said_once(
    agent: Agent,
) -> None:
    with GrantServer(aws_keys(1), renew=1) as server, telling(agent, server) as command:
        server.meet_first(reply(503, b"<Code>SlowDown</Code><Message>Slowly</Message>"))
        wait_until(lambda: len(server.reads) >= 3, LONG_SECONDS, "not tried again")
        assert key_of(command) == "ID1"
        server.behaviours = []
        server.write(aws_keys(2))
        wait_until(lambda: key_of(command) == "ID2", LONG_SECONDS, "no new keys")
        err = wait_for_lines(command, 2)

    why = "HTTP status 503 (SlowDown: Slowly)"
    assert err == [
        f"[perian-shim] access to the object store could not be renewed: {why}; trying again",
        "[perian-shim] access to the object store has been renewed again",
    ]


def wait_for_lines(command: Telling, count: int) -> "list[str]":
    """What is said in so many lines."""
    assert command.process.stderr is not None
    return [command.process.stderr.readline().strip() for _ in range(count)]


def test_a_grant_that_breaks_off_does_not_replace_the_one_there_is(agent: Agent) -> None:
    with GrantServer(aws_keys(1), renew=1) as server, telling(agent, server) as command:
        broken = grant_text("http://127.0.0.1:1/", [aws_keys(9)], renew=1).partition("end")[0]
        server.meet_first(reply(200, broken.encode()))
        wait_until(lambda: len(server.reads) >= 3, LONG_SECONDS, "not tried again")
        assert key_of(command) == "ID1"


def test_an_answer_is_not_held_up_by_a_store_that_does_not_answer(agent: Agent) -> None:
    asked, given_up = threading.Event(), threading.Event()

    def silent(exchange: Exchange) -> None:
        asked.set()
        exchange.connection.recv(1)  # until the agent gives up
        given_up.set()

    grant = GrantServer(aws_keys(), renew=3600, lives=3600)  # too old as soon as it is there
    with grant as server, telling(agent, server) as command:
        server.meet_first(silent)

        def ask() -> bool:
            assert key_of(command) == "ID1"
            return asked.is_set()

        wait_until(ask, LONG_SECONDS, "the next grant is not asked for")
        assert not given_up.is_set()


def test_many_who_ask_at_once_wait_for_one_new_grant(agent: Agent) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slow(exchange: Exchange) -> Response | None:
        began.set()
        assert go_on.wait(LONG_SECONDS)
        return exchange.answer()

    with GrantServer() as server, ThreadPoolExecutor(8) as pool:
        server.write(aws_keys(1), renew=5, lives=6)
        with telling(agent, server) as command:
            server.meet_first(slow)
            wait_until(lambda: key_of(command) and began.is_set(), LONG_SECONDS, "not asked for")
            server.write(aws_keys(2))
            asking = [pool.submit(key_of, command) for _ in range(8)]
            go_on.set()
            found = {each.result(LONG_SECONDS) for each in asking}

    assert found <= {"ID1", "ID2"}
    assert server.reads == ["0", "1"]


def test_expired_keys_are_refused_with_the_reason(agent: Agent) -> None:
    grant = GrantServer(aws_keys(), google_token(), lives=4)
    with grant as server, telling(agent, server) as command:
        server.listen(False)
        wait_until(lambda: aws(command)[0] == 503, LONG_SECONDS, "still handed out")
        refused, because = aws(command)[1], json.loads(google(command, f"{ACCOUNT}/token")[1])
        end = command.end()

    text = "access to the object store has expired because the pod that renews it is gone"
    assert refused == {"code": "ExpiredAccess", "message": text}
    assert because == {"error": "unavailable", "error_description": text}
    assert "access to the object store has expired: the pod that renews it is gone" in end.err
    assert end.code == 0
    assert CANARY not in end.err


def test_access_comes_back_with_the_next_grant(agent: Agent) -> None:
    with GrantServer(aws_keys(1), lives=4) as server, telling(agent, server) as command:
        server.listen(False)
        wait_until(lambda: aws(command)[0] == 503, LONG_SECONDS, "still handed out")
        server.write(aws_keys(2))
        server.listen(True)
        wait_until(lambda: key_of(command) == "ID2", LONG_SECONDS, "no new keys")
