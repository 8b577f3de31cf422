"""Tokens that are fetched: when, how often, and what is said if there is none."""

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.answers import by_request, close, reply
from support.api_front import FaultyServer
from support.front import Behaviour, Received
from support.waiting import join_all

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ClientConfigError, TransportError, Unauthorized
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements
from perian_shim.api.tokens import CommandToken, FileToken, TokenSource

JOB = {"id": "j1", "status": "Running"}
REQUEST = CreateJobRequest(DockerRun("busybox", command="true"), Requirements(cores=2))


def accepting(*tokens: str) -> Behaviour:
    """An API that knows these tokens."""

    def choose(request: Received) -> Behaviour:
        given = request.headers["authorization"].removeprefix("Bearer ")
        if given not in tokens:
            return reply(401, {"detail": f"The token {given} is not valid"})
        return reply(body={"id": "j1"} if request.method == "POST" else {"jobs": [JOB]})

    return by_request(choose)


def sent(server: FaultyServer) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]


class Listed:
    """A source that has its tokens in a list."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def current(self) -> str:
        return self.tokens[0]

    def renewed(self, refused: str) -> str | None:
        if self.tokens[0] == refused and len(self.tokens) > 1:
            del self.tokens[0]
        return self.tokens[0]


def client_for(server: FaultyServer, token: str | TokenSource) -> PerianClient:
    return PerianClient(server.url, "acme", token)


def test_a_refused_token_is_renewed_and_the_call_made_again() -> None:
    with FaultyServer(accepting("new")) as server, client_for(server, Listed("old", "new")) as api:
        assert api.get_job("j1").status == "Running"
        assert api.get_job("j1").status == "Running"
    assert sent(server) == ["old", "new", "new"]


def test_a_submission_is_made_again_too_for_a_refused_one_did_nothing() -> None:
    with FaultyServer(accepting("new")) as server, client_for(server, Listed("old", "new")) as api:
        assert api.create_job(REQUEST) == "j1"
    assert [request.method for request in server.requests] == ["POST", "POST"]
    assert server.requests[0].body == server.requests[1].body


def test_a_second_refusal_is_the_answer() -> None:
    source = Listed("one", "two", "three")
    with (
        FaultyServer(accepting()) as server,
        client_for(server, source) as api,
        pytest.raises(Unauthorized),
    ):
        api.get_job("j1")
    assert sent(server) == ["one", "two"]


@pytest.mark.parametrize("token", ["only", Listed("only")])
def test_without_another_token_the_first_refusal_is_the_answer(token: str | TokenSource) -> None:
    with (
        FaultyServer(accepting()) as server,
        client_for(server, token) as api,
        pytest.raises(Unauthorized),
    ):
        api.get_job("j1")
    assert sent(server) == ["only"]


@pytest.mark.parametrize("status", [400, 403, 500])
def test_only_a_401_renews(status: int) -> None:
    refusal = reply(status, {"detail": "no"})
    with (
        FaultyServer(refusal) as server,
        client_for(server, Listed("old", "new")) as api,
        pytest.raises(Exception, match="no"),
    ):
        api.get_job("j1")
    assert sent(server) == ["old"]


def test_a_submission_that_breaks_after_the_renewal_is_not_sent_a_third_time() -> None:
    refusal = reply(401, {"detail": "no"})
    with (
        FaultyServer(refusal, close()) as server,
        client_for(server, Listed("a1", "a2")) as api,
        pytest.raises(TransportError) as caught,
    ):
        api.create_job(REQUEST)
    assert caught.value.outcome_unknown
    assert sent(server) == ["a1", "a2"]


def test_every_token_that_was_ever_sent_is_hidden_in_every_text() -> None:
    source = Listed("canary-1", "canary-2", "canary-3")
    said = reply(401, {"detail": "not canary-1, canary-2 or canary-3"})
    with FaultyServer(said) as server, client_for(server, source) as api:
        with pytest.raises(Unauthorized) as first:
            api.get_job("j1")
        with pytest.raises(Unauthorized) as second:
            api.get_job("j1")
    assert str(first.value).count("[redacted]") == 2
    assert "canary" not in str(second.value)
    assert "canary" not in repr(api)


@pytest.mark.parametrize("token", ["", " ", "two\nlines", "ü", "a\x7f"])
def test_a_source_that_gives_no_token_is_told_so_unseen(token: str) -> None:
    with (
        FaultyServer(accepting()) as server,
        client_for(server, Listed(token)) as api,
        pytest.raises(ClientConfigError, match="token") as caught,
    ):
        api.get_job("j1")
    assert "lines" not in str(caught.value)
    assert not server.requests


def test_nothing_is_fetched_before_it_is_needed(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with PerianClient("http://localhost", "acme", CommandToken(["touch", str(ran)])):
        pass
    assert not ran.exists()


def test_the_pods_way_to_the_api_never_loads_what_runs_programs() -> None:
    code = "import perian_shim.api.client, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "perian_shim.api.client" in loaded
    rare = {"subprocess", "shlex", "perian_shim.api.tokens", "perian_shim.api.billing"}
    assert not rare & loaded


def program(tmp_path: Path, text: str) -> Path:
    """A program in the shell's language that counts how often it is run."""
    path = tmp_path / "get-token"
    path.write_text(f"#!/bin/sh\necho >> '{tmp_path}/runs'\n{text}\n")
    path.chmod(0o755)
    return path


def runs(tmp_path: Path) -> int:
    return (tmp_path / "runs").read_text().count("\n")


def counting(tmp_path: Path) -> CommandToken:
    """A command whose every run prints another token."""
    path = program(tmp_path, f"echo token-$(wc -l < '{tmp_path}/runs')")
    return CommandToken([str(path)])


def test_a_command_is_run_once_and_again_when_its_token_is_refused(tmp_path: Path) -> None:
    token = counting(tmp_path)
    assert [token.current(), token.current()] == ["token-1", "token-1"]
    assert token.renewed("token-1") == "token-2"
    assert token.current() == "token-2"
    assert runs(tmp_path) == 2


def test_a_token_that_was_renewed_meanwhile_is_not_renewed_again(tmp_path: Path) -> None:
    token = counting(tmp_path)
    token.current()
    assert [token.renewed("token-1"), token.renewed("token-1")] == ["token-2", "token-2"]
    assert runs(tmp_path) == 2


def test_threads_that_are_refused_together_renew_once(tmp_path: Path) -> None:
    token = counting(tmp_path)
    assert token.current() == "token-1"
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(token.renewed("token-1"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    join_all(threads)
    assert found == ["token-2"] * 8
    assert runs(tmp_path) == 2


def test_a_command_that_prints_the_same_again_has_no_other_token(tmp_path: Path) -> None:
    token = CommandToken([str(program(tmp_path, "echo same"))])
    assert token.current() == "same"
    assert token.renewed("same") is None
    assert runs(tmp_path) == 2


@pytest.mark.parametrize("command", ["printf ' %s\\n' 'a b'x", ["printf", " %s\n", "a bx"]])
def test_a_command_is_words_or_a_line_and_no_shell_reads_it(command: str | Sequence[str]) -> None:
    with pytest.raises(ClientConfigError, match="spaces"):
        CommandToken(command).current()
    assert CommandToken("printf '%s\n' $HOME;id").current() == "$HOME;id"


def test_a_command_has_nothing_to_read(tmp_path: Path) -> None:
    assert CommandToken([str(program(tmp_path, "cat; echo end"))]).current() == "end"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo canary; echo canary >&2; exit 3", "failed with exit code 3"),
        ("echo canary >&2", "printed nothing"),
        ("echo canary; echo canary", "printed several lines instead of one token"),
        ("printf 'canary\\rcanary'", "printed several lines"),
        ("printf 'canary canary'", "printed what is no token"),
        ("printf 'canary\\377'", "printed what is no token"),
        ("head -c 100000 /dev/zero | tr '\\0' x", "printed more than a token"),
        ("exec yes", "printed more than a token"),
        ("echo canary; kill -9 $$", "was ended by signal 9"),
    ],
)
def test_a_command_that_gives_no_token_is_named_and_what_it_printed_is_not(
    tmp_path: Path, text: str, said: str
) -> None:
    path = program(tmp_path, text)
    with pytest.raises(ClientConfigError) as caught:
        CommandToken([str(path), "canary-argument"]).current()
    assert f"{str(path)!r}, {said}" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "canary" not in str(pickle.loads(pickle.dumps(caught.value)))


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    path = program(tmp_path, "echo canary; exec sleep 600")
    with pytest.raises(ClientConfigError, match=r"had not ended after 0\.2 s") as caught:
        CommandToken([str(path)], timeout=0.2).current()
    assert "canary" not in str(caught.value)


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(ClientConfigError, match="'perian-no-such-program', was not found"):
        CommandToken("perian-no-such-program --now").current()


def test_a_command_that_is_no_program_is_named(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("canary")
    with pytest.raises(ClientConfigError, match=r"cannot be run \(Permission denied\)"):
        CommandToken([str(plain)]).current()


@pytest.mark.parametrize(
    ("command", "said"), [("", "is empty"), ([], "is empty"), ([""], "is empty"), ("a 'b", "quot")]
)
def test_a_command_that_is_none_is_refused_at_once(command: str | list[str], said: str) -> None:
    with pytest.raises(ClientConfigError, match=said):
        CommandToken(command)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_command_needs_some_time(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout: expected seconds above 0"):
        CommandToken("true", timeout)


def test_a_command_is_shown_without_its_arguments() -> None:
    assert repr(CommandToken("get-token --password canary")) == "CommandToken('get-token')"


def test_a_failed_command_is_run_again_the_next_time(tmp_path: Path) -> None:
    token = CommandToken([str(program(tmp_path, f"cat '{tmp_path}/there'"))])
    with pytest.raises(ClientConfigError, match="exit code 1"):
        token.current()
    (tmp_path / "there").write_text("token")
    assert token.current() == "token"


def test_a_file_is_read_again_when_its_token_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(" one\n")
    token = FileToken(path)
    assert token.current() == "one"
    assert token.renewed("one") is None
    path.write_text("two")
    assert token.current() == "one"
    assert token.renewed("one") == token.current() == "two"


def test_a_mounted_secret_that_rotates_is_followed_by_the_client(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old\n")
    with FaultyServer(accepting("new")) as server, client_for(server, FileToken(path)) as api:
        with pytest.raises(Unauthorized):
            api.get_job("j1")
        path.write_text("new\n")
        assert api.get_job("j1").status == "Running"
    assert sent(server) == ["old", "old", "new"]


def absent(_: Path) -> None:
    pass


def holding(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (absent, "cannot be read (No such file or directory)"),
        (Path.mkdir, "cannot be read (Is a directory)"),
        (holding(b" \n"), "holds nothing"),
        (holding(b"canary\ncanary\n"), "holds several lines"),
        (holding(b"canary\xff"), "holds what is no token"),
        (holding(b"x" * 100_000), "holds more than a token"),
    ],
)
def test_a_file_without_a_token_is_named_and_what_it_holds_is_not(
    tmp_path: Path, prepare: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / "token"
    prepare(path)
    with pytest.raises(ClientConfigError) as caught:
        FileToken(path).current()
    assert f"{str(path)!r}, {said}" in str(caught.value)
    assert "canary" not in str(caught.value)
