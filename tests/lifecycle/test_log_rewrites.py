"""A log whose end each answer may show otherwise: half characters, rewritten lines, long bars."""

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.profiles import examples

from perian_shim.api.excerpt import Excerpt
from perian_shim.api.jobs import MB, ONE_JOB, Job
from perian_shim.api.trimming import Trimmer
from perian_shim.lifecycle.logs import MARKER, REWRITTEN, LogTail, last_state

pytestmark = pytest.mark.thorough


def as_printed(text: str) -> list[str]:
    """What the whole log is when it is printed once."""
    *finished, rest = text.split("\n")
    return [*map(last_state, finished), *([last_state(rest)] if rest else [])]


def followed(*answers: str | None) -> list[str]:
    tail = LogTail()
    return [line for answer in answers for line in tail.feed(answer)] + tail.flush()


def test_a_character_that_comes_in_two_parts_does_not_repeat_the_log() -> None:
    tail = LogTail()
    assert tail.feed("one\ntwo\nbar \ufffd") == ["one", "two"]
    assert tail.feed("one\ntwo\nbar █ end") == []
    assert tail.feed("one\ntwo\nbar █ end\n") == ["bar █ end"]
    assert tail.flush() == []


def by_maximal_parts(content: bytes) -> str:
    """As Python decodes: half a character is one U+FFFD."""
    return content.decode("utf-8", "replace")


def by_bytes(content: bytes) -> str:
    """As Go decodes: every byte that is no character by itself is one."""
    return content.decode("utf-8", "surrogateescape").translate(
        dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")
    )


def by_utf16(content: bytes) -> str:
    """As Java and JavaScript cut: a character may be halved between its surrogates."""
    return content.decode("utf-16-le", "surrogatepass")


pieces = st.sampled_from(["█", "🙂", "é", "\n", "\r", "\r\n", "a", "\x1b[31m", "\x00", "\ufffd"])
outputs = st.lists(pieces, max_size=40).map("".join)
cuts = st.lists(st.integers(0, 160) | st.none(), max_size=12)


@settings(max_examples=examples(100))
@pytest.mark.parametrize(
    ("encode", "decode"),
    [
        (lambda text: text.encode(), by_maximal_parts),
        (lambda text: text.encode(), by_bytes),
        (lambda text: text.encode("utf-16-le"), by_utf16),
    ],
    ids=["Python", "Go", "UTF-16"],
)
@given(output=outputs, looks=cuts, hand_over=st.integers(0, 12))
@example(output="\n█\n", looks=[2, 3, 2, None], hand_over=0)
@example(output="█\n", looks=[4, 2], hand_over=0)
@example(output="█\n", looks=[0, 4, 1, 3], hand_over=2)
def test_wherever_the_bytes_are_cut_every_line_is_printed_once(
    encode: Callable[[str], bytes],
    decode: Callable[[bytes], str],
    output: str,
    looks: list[int | None],
    hand_over: int,
) -> None:
    content = encode(output)
    step = 2 if decode is by_utf16 else 1
    tail = LogTail()
    seen: list[str] = []
    for number, cut in enumerate(looks):
        if number == hand_over:
            tail = LogTail(tail.position())
        seen += tail.feed(None if cut is None else decode(content[: cut // step * step]))
    assert seen + tail.feed(decode(content)) + tail.flush() == as_printed(decode(content))


@settings(max_examples=examples(100))
@given(content=st.binary(max_size=60) | st.lists(pieces).map(lambda p: "".join(p).encode()))
def test_any_bytes_are_printed_once(content: bytes) -> None:
    answers = [by_maximal_parts(content[:end]) for end in range(len(content) + 1)]
    assert followed(*answers) == as_printed(by_maximal_parts(content))


@pytest.mark.parametrize("end", ["", "\n"])
def test_what_is_half_a_character_in_the_end_is_shown(end: str) -> None:
    assert followed("one\nbar \ufffd" + end) == ["one", "bar \ufffd"]


def test_an_api_that_rewrites_its_last_line_repeats_nothing() -> None:
    states = [f"epoch 1\n{'#' * (size % 7)} {size} %" for size in range(100)]
    assert followed(*states, "epoch 1\ndone", "epoch 1\ndone\n") == ["epoch 1", "done"]


def test_an_answer_that_goes_back_does_not_bring_back_an_older_state() -> None:
    assert followed("one\nhalf a line", "one\nhalf") == ["one", "half a line"]


def test_a_last_line_that_the_api_ends_itself_is_printed_as_it_becomes() -> None:
    assert followed("one\nha\n", "one\nhalf\n", "one\nhalf a line\ntwo\n") == [
        *("one", "ha", "half", "half a line", "two")
    ]


def test_half_a_character_in_a_line_that_the_api_ends_itself_is_waited_for() -> None:
    assert followed("one\nbar \ufffd\n", "one\nbar █\n", "one\nbar █\ntwo\n") == [
        *("one", "bar █", "two")
    ]


def test_several_rewritten_lines_are_printed_again_behind_a_marker_and_not_the_whole_log() -> None:
    before = "".join(f"line {number}\n" for number in range(2000))
    tail = LogTail()
    assert len(tail.feed(before + "a 10 %\nb 10 %\n")) == 2002
    assert tail.feed(before + "a 20 %\nb 15 %\n") == [REWRITTEN, "a 20 %", "b 15 %"]


@settings(max_examples=examples(100))
@given(
    lines=st.lists(st.text("abc", min_size=1, max_size=4), max_size=8),
    states=st.lists(st.text("xyz█", max_size=6), max_size=8),
    stale=st.lists(st.integers(0, 30), max_size=4),
)
def test_a_line_that_is_rewritten_until_it_is_finished_is_printed_once(
    lines: list[str], states: list[str], stale: list[int]
) -> None:
    before = "".join(f"{number} {line}\n" for number, line in enumerate(lines))
    answers: list[str | None] = [before + state for state in states]
    answers += [before[:cut] for cut in stale]
    assert followed(*answers, before + "last\n") == as_printed(before + "last\n")


# --- long progress bars --------------------------------------------------------------------------


def answer_of(log: str) -> str | None:
    """What the API client makes of a log, read in pieces."""
    body = json.dumps({"jobs": [{"id": "j", "status": "Running", "logs": log}]}).encode()
    trimmer = Trimmer(ONE_JOB)
    read = [trimmer.feed(body[start : start + 65536]) for start in range(0, len(body), 65536)]
    (job,) = json.loads(b"".join([*read, trimmer.close()]))["jobs"]
    return Job.from_json(job).logs


def bar(size: int) -> str:
    """A progress bar of so many characters."""
    return "".join(f"\r{number:>20} %" for number in range(size // 23))


@pytest.mark.parametrize(
    ("before", "end"), [("", "\nlast line\n"), ("", ""), ("epoch 1\n", "\r\nlast line")]
)
def test_of_a_bar_that_is_too_long_to_be_held_the_last_state_is_shown(
    before: str, end: str
) -> None:
    log = before + bar(12 * MB) + end
    shown = followed(answer_of(log))
    *first, note, state = shown[: -1 if "last" in end else None]
    assert first == before.splitlines()
    assert "left out" in note
    assert state == last_state(bar(12 * MB))
    assert [shown[-1]] == (["last line"] if "last" in end else [state])


def test_a_bar_that_is_followed_from_its_beginning_is_one_line_however_long_it_gets() -> None:
    whole = bar(24 * MB)
    tail = LogTail()
    for size in range(MB, 24 * MB, 5 * MB):
        assert tail.feed(answer_of(whole[:size])) == []
    assert tail.feed(answer_of(whole + "\ndone\n")) == [last_state(whole), "done"]


def test_a_single_line_of_100_mb_that_is_only_rewritten_is_shown_as_it_is_in_the_end() -> None:
    shown = followed(answer_of("\r" * (100 * MB - 4) + "done"))
    assert "left out" in shown[0]
    assert shown[1:] == ["done"]


def test_an_excerpts_head_does_not_show_a_state_that_is_overwritten() -> None:
    assert Excerpt.of("a\n10 %\r20 %", 100, "80 %\r90 %\nend\n") == (
        "a\n[perian-shim] 114 characters of the log are left out here\n90 %\nend\n"
    )


@pytest.mark.parametrize("log", ["", "\n", "\r", "\x00", "\x00\n", "\ud800", "\udc00\n", "\r\r\n"])
def test_odd_logs_are_printed_once(log: str) -> None:
    assert followed(log, log, log[:-1], None, log) == as_printed(log)


def test_a_window_that_moves_over_half_characters_goes_on() -> None:
    tail = LogTail()
    lines = "".join(f"line {number} █\n" for number in range(900))
    tail.feed(lines + "half \ufffd")
    assert tail.feed("\ufffd\n" + lines[4000:] + "half █\n") == ["half █"]


def test_an_other_log_is_said_to_be_one() -> None:
    assert followed("one\ntwo\n", "uno\ndos\ntres\n") == [
        *("one", "two", MARKER, "uno", "dos", "tres")
    ]
