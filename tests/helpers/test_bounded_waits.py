"""Nothing in the tests waits for ever: what could is given a time, or says what else bounds it.

This looks at the code's shape, without types: calls of these names that are given no time. A line
that is right all the same says why, in a comment that begins with ``bounded``. Waiting for a pod
has no such bound of its own; there it is the one that each test has.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

PROGRAMS = frozenset({"run", "call", "check_call", "check_output"})
"""Functions of ``subprocess``."""

WITHOUT_ARGUMENTS = frozenset({"wait", "join", "get", "acquire", "communicate"})
"""What waits for ever if it is given nothing."""

SOCKETS = frozenset({"recv", "accept", "recv_fds"})
"""What waits for ever unless the socket has been given a time in the same function."""

PODS = frozenset({"pod", "first", "running"})
"""What attempts of tasks are called in tests."""

BOUNDED = frozenset({"Credits", "terminal"})
"""What else has bounds of its own: the API's client, and terminals of tests."""


def waits(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that may wait for ever."""
    for function in ast.walk(tree):
        if isinstance(function, ast.Module | ast.FunctionDef):
            own = [node for node in own_nodes(function) if isinstance(node, ast.Call)]
            timed = any(called(call) in {"settimeout", "create_connection"} for call in own)
            for call in own:
                if may_wait(call) or (called(call) in SOCKETS and not timed):
                    yield call


def own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function and not in one within it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from own_nodes(child)


def called(call: ast.Call) -> str:
    """Return the name of the method that is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def may_wait(call: ast.Call) -> bool:
    """Whether a call waits for ever, if need be."""
    given = {word.arg for word in call.keywords}
    if not isinstance(call.func, ast.Attribute) or "timeout" in given or None in given:
        return False
    receiver = call.func.value
    if isinstance(receiver, ast.Name) and receiver.id == "subprocess":
        return call.func.attr in PROGRAMS
    return call.func.attr in WITHOUT_ARGUMENTS and not call.args and not is_pod(receiver)


def is_pod(receiver: ast.expr) -> bool:
    """Whether an attempt of a task is waited for, or something else with bounds of its own."""
    if isinstance(receiver, ast.Call):
        return called(receiver) == "start" or getattr(receiver.func, "id", "") == "super"
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name in PODS | BOUNDED


def unbounded(source: str) -> list[str]:
    """Return the lines of a module that may wait for ever."""
    lines = source.splitlines()
    found = {call.lineno: call for call in waits(ast.parse(source))}
    return [
        f"{number}: {lines[number - 1].strip()}"
        for number, call in sorted(found.items())
        if not any("# bounded" in line for line in lines[number - 1 : call.end_lineno])
    ]


MODULES = sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py"))


def test_nothing_waits_for_ever() -> None:
    found = {module: unbounded((TESTS / module).read_text()) for module in MODULES}
    assert {module: lines for module, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "thread.join()",
        "event.wait()",
        "process.wait()",
        "process.communicate()",
        "subprocess.run(['true'], check=True)",
        "queue.get()",
        "lock.acquire()",
        "connection.recv(1)",
        "with thread: other.join()",
    ],
)
def test_what_may_wait_for_ever_is_found(line: str) -> None:
    assert unbounded(f"def function():\n    {line}\n") == [f"2: {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "thread.join(3)",
        "', '.join(words)",
        "event.wait(timeout=3)",
        "subprocess.run(['true'], timeout=3)",
        "pod.wait()",
        "cluster.start(task).wait()",
        "connection.settimeout(3); connection.recv(1)",
        "thread.join()  # bounded by its socket's time",
    ],
)
def test_what_ends_in_time_is_left_alone(line: str) -> None:
    assert unbounded(f"def function():\n    {line}\n") == []
