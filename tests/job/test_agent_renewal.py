"""The agent hands out new keys in good time, and says why if there are none."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.agent import OLDEST, Agent, Telling, python_of
from support.agent_answers import ACCOUNT, aws, google, key_of, telling
from support.answers import reply
from support.front import Exchange
from support.grants import CANARY, GrantServer, aws_keys, google_token, grant_text
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox.server.application import Response

pytestmark = [pytest.mark.sampled("agent"), pytest.mark.thorough]


@pytest.fixture(params=["", OLDEST], ids=["own-python", f"python-{OLDEST}"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Agent:
    return Agent(tmp_path, python_of(request.param))


@pytest.mark.every_variant
def test_the_next_grant_is_read_in_time_at_the_place_that_the_last_one_named(agent: Agent) -> None:
    with GrantServer(aws_keys(1), renew=1) as server, telling(agent, server) as command:
        assert key_of(command) == "ID1"
        server.write(aws_keys(2))
        wait_until(lambda: key_of(command) == "ID2", LONG_SECONDS, "no new keys")
        end = command.end()

    assert server.reads == ["0", "1"]
    assert (end.code, end.err) == (0, "")


@pytest.mark.parametrize(
    ("age", "renew"), [(2800, 600), (600, 3200)], ids=["less-than-a-quarter", "less-than-renew"]
)
def test_who_asks_when_little_time_is_left_gets_the_next_keys(
    agent: Agent, age: int, renew: int
) -> None:
    with GrantServer() as server:
        server.write(aws_keys(1), lives=3600, renew=renew, age=age)
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
        exchange.connection.settimeout(LONG_SECONDS)
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
