"""The agent serves keys in the two protocols that AWS's and Google's libraries know."""

import datetime
import email.utils
import json
from pathlib import Path

import pytest
from support.agent import OLDEST, Agent, python_of
from support.agent_answers import ACCOUNT, EMAIL, FLAVOR, aws, google, telling
from support.front import Exchange
from support.grants import GrantServer, Record, aws_keys, google_token, grant_text
from support.waiting import LONG_SECONDS

from perian_shim.sandbox.server.application import Response

pytestmark = [pytest.mark.sampled("agent"), pytest.mark.thorough]

WINNING = [
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    *("FLYTE_AWS_ACCESS_KEY_ID", "FLYTE_AWS_SECRET_ACCESS_KEY"),
]


@pytest.fixture(params=["", OLDEST], ids=["own-python", f"python-{OLDEST}"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Agent:
    return Agent(tmp_path, python_of(request.param))


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
