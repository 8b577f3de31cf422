"""Printing never fails a run, and never shows a secret."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.waiting import LONG_SECONDS

from perian_shim.api.redaction import Redactor
from perian_shim.api.server_text import printable
from perian_shim.lifecycle.console import Console, confidential_forms

KEY = "-----BEGIN KEY-----\nMIIabcdefghijkl\nmnopqrstuvwx==\n-----END KEY-----\n"

PROGRAM = """from perian_shim.lifecycle.console import Console
c = Console()
for line in {lines}: c(line)
"""
MANY = PROGRAM.format(lines="['x' * 1000] * 200")


def run(lines: list[str], **variables: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PATH": os.defpath, **variables}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(lines=repr(lines))],
        timeout=LONG_SECONDS,
        env=environment,
        capture_output=True,
        check=False,
    )


@given(text=st.text(st.characters()))
def test_any_text_can_be_encoded_once_it_is_printable(text: str) -> None:
    shown = printable(text)
    assert shown.encode().decode() == shown
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert shown == text


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "größe ☃ \\udc80".encode()), ("ascii", rb"gr\xf6\xdfe \u2603 \udc80")],
)
def test_a_line_that_the_terminal_cannot_show_is_escaped(encoding: str, shown: bytes) -> None:
    ended = run(["größe ☃ \udc80", "more"], PYTHONIOENCODING=encoding)
    assert ended.stdout.splitlines() == [shown, b"more"]
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_reader_that_went_away_does_not_fail_the_process() -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", MANY],
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(reader)
    os.close(writer)
    _, stderr = process.communicate(timeout=LONG_SECONDS)
    assert (process.returncode, stderr) == (0, b"")


def test_a_full_disk_does_not_fail_the_process() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ended = subprocess.run(
            [sys.executable, "-c", MANY],
            timeout=LONG_SECONDS,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_closed_output_does_not_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    Console()("a line")


@pytest.mark.parametrize("disguise", [str, lambda text: text.replace("\n", "\r\n")])
def test_no_line_of_a_secret_of_several_lines_is_printed(
    disguise: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(Redactor([], confidential_forms([disguise(KEY)])))
    for line in KEY.splitlines():
        console(f"> {line}")
    assert capsys.readouterr().out == "> [redacted]\n" * 4


def test_a_secret_of_several_lines_is_taken_out_as_a_whole_too() -> None:
    redact = Redactor([], confidential_forms([KEY]))
    assert redact(f"before\n{KEY}after") == "before\n[redacted]after"


def test_short_lines_of_a_secret_do_not_garble_the_log() -> None:
    assert "end" not in confidential_forms(["begin\nend\nlong enough to hide"])


def test_the_texts_in_a_secret_that_is_a_json_document_are_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    account = json.dumps(
        {"type": "x", "private_key": KEY, "nested": [{"password": "hunter2hunter2"}]}
    )
    console = Console(Redactor([], confidential_forms([account])))
    for line in [*KEY.splitlines(), "hunter2hunter2", account]:
        console(f"> {line}")
    assert capsys.readouterr().out == "> [redacted]\n" * 6


STUCK = """
import os, sys, threading, time
from perian_shim.lifecycle.console import Console
reading, writing = os.pipe()
os.dup2(writing, 1)
os.set_blocking(writing, False)
try:
    while True: os.write(writing, b"x" * 4096)
except BlockingIOError:
    pass
os.set_blocking(writing, True)
console = Console()
console.hurry()
began = time.monotonic()
for number in range(20): console(f"line {number}")
print(time.monotonic() - began < 5, file=sys.stderr, flush=True)
os._exit(0)
"""


def test_a_pipe_that_nobody_reads_does_not_hold_up_who_is_in_a_hurry() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, check=True, timeout=60
    )
    assert ended.stderr == b"True\n"


def test_who_is_in_a_hurry_still_prints_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.hurry()
    for number in range(5):
        console(f"line {number}")
    assert capsys.readouterr().out.split("\n")[:-1] == [f"line {n}" for n in range(5)]


HOSTILE = "\x1b[2J\x1b[31mred\x1b[0m tok\x1b[0men-value"


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_is_kept_from_obeying_what_a_job_prints(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", shown)
    Console(Redactor(["token-value"]))(HOSTILE)
    expected = "\\x1b[2Jred [redacted]" if terminal else HOSTILE
    assert shown.getvalue() == f"{expected}\n"


def test_what_a_job_prints_is_inert_on_a_real_terminal() -> None:
    primary, secondary = os.openpty()
    with open(primary, "rb", buffering=0) as reading:  # noqa: PTH123 - a descriptor
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(lines=repr([HOSTILE]))],
            stdout=secondary,
            check=True,
            timeout=LONG_SECONDS,
        )
        os.close(secondary)
        assert reading.read(1000) == b"\\x1b[2Jred token-value\r\n"
