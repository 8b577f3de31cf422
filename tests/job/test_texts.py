"""What the wrapper does with texts in an image without python3, in each shell and locale."""

import subprocess
from pathlib import Path

import pytest
from support.tools import require_tool

import perian_shim.job

TEXTS = Path(perian_shim.job.__file__).with_name("texts.sh")

pytestmark = pytest.mark.parametrize("locale", ["C", "C.UTF-8"])


@pytest.fixture(params=["dash", "busybox", "bash"])
def shell(request: pytest.FixtureRequest) -> list[str]:
    program = require_tool(request.param)
    return [str(program), "sh"] if request.param == "busybox" else [str(program)]


def said(
    shell: list[str], locale: str, script: str, *arguments: str | bytes, text: bytes = b""
) -> bytes:
    """What a script prints that has the functions."""
    return subprocess.run(
        [*shell, "-c", f'set -uf; . "$0"; {script}', TEXTS, *arguments],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": locale},
        input=text,
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"", b""),
        (b"two\nlines\tand \x7f\x00 \n", b"two lines and"),
        (b"GET http://h/p?X-Amz-Signature=f00 failed", b"GET http://h/p?(hidden) failed"),
        (b"'http://h/p?a=f00' <http://h/q?b=f00>", b"'http://h/p?(hidden)' <http://h/q?(hidden)>"),
        (b"a ?? b?", b"a ?(hidden) b?(hidden)"),
        (b"X-Amz-Signature=f00&x-goog-date=f00 end", b"(hidden)&(hidden) end"),
        (b"x-amz-request-id: 1 X-Amz-Date=f00", b"x-amz-request-id: 1 (hidden)"),
        (b"X-Amz-X-Amz-Token=f00", b"(hidden)"),
        (b"\\ * [a] $x `y` %s \xc3\xbc", b"\\ * [a] $x `y` %s \xc3\xbc"),
        (b"\xff \x81\x88 \x80", b"\xff \x81\x88 \x80"),
        (b"x" * 301, b"x" * 300),
        (b"x" * 20_000 + b"?f00", b"x" * 300),
    ],
)  # fmt: skip
def test_what_is_shown_is_short_and_holds_no_signature(
    shell: list[str], locale: str, text: bytes, shown: bytes
) -> None:
    assert said(shell, locale, "scrub", text=text) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h:8/a//b@c?d=f00", "https://h:8/a//b@c"),
        ("http://user:pass@h/a#b", "http://h/a"),
        ("http://user:p@ss@h", "http://h"),
    ],
)
def test_a_url_is_shown_without_user_and_query(
    shell: list[str], locale: str, url: str, shown: str
) -> None:
    assert said(shell, locale, 'shown_url "$1"', url) == shown.encode()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (b"", b""),
        (b'a"b\\c\\\\"', b'a\\"b\\\\c\\\\\\\\\\"'),
        (b"*?[a] \xc3\xbc \xff\\", b"*?[a] \xc3\xbc \xff\\\\"),
    ],
)
def test_a_text_is_quoted_byte_by_byte(
    shell: list[str], locale: str, text: bytes, quoted: bytes
) -> None:
    assert said(shell, locale, 'quote "$1"; printf \'%s\' "$shim_quoted"', text) == quoted


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("  HTTP/1.1 403 Forbidden", "403"),
        ("HTTP/2 503", "503"),
        ("wget: server returned error: HTTP/1.0 404 Not Found", "404"),
        ("HTTP request sent, awaiting response", ""),
        ("HTTP/1.1 none", ""),
    ],
)
def test_the_status_of_an_answer_is_found_in_a_line(
    shell: list[str], locale: str, line: str, status: str
) -> None:
    script = "shim_http=''; http_status \"$1\"; printf '%s' \"$shim_http\""
    assert said(shell, locale, script, line) == status.encode()
