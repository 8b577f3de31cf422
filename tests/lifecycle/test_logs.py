import re
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from perian_shim.api.excerpt import Excerpt
from perian_shim.lifecycle.logs import LONGEST_LINE, MARKER, LogTail, last_state

lines = st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=8))


@given(lines=lines, cuts=st.lists(st.integers(0, 200)))
def test_a_growing_log_is_returned_once(lines: list[str], cuts: list[int]) -> None:
    text = "".join(line + "\n" for line in lines)
    tail = LogTail()
    seen = [line for cut in sorted(cuts) for line in tail.feed(text[:cut])]
    seen += tail.feed(text) + tail.flush()
    assert seen == lines


@given(lines=lines, cuts=st.lists(st.integers(0, 200)))
def test_stale_and_repeated_answers_bring_nothing(lines: list[str], cuts: list[int]) -> None:
    text = "".join(line + "\n" for line in lines)
    tail = LogTail()
    seen = tail.feed(text)
    for cut in cuts:
        seen += tail.feed(text[:cut])
        seen += tail.feed(None)
    assert seen + tail.flush() == lines


def test_an_unfinished_line_is_held_back_until_the_end() -> None:
    tail = LogTail()
    assert tail.feed("one\ntw") == ["one"]
    assert tail.feed("one\ntwo") == []
    assert tail.flush() == ["two"]


def test_a_window_that_moved_goes_on_where_the_last_lines_are_found() -> None:
    tail = LogTail()
    tail.feed("".join(f"line {n}\n" for n in range(2000)))
    window = "".join(f"line {n}\n" for n in range(1000, 2003))
    assert tail.feed(window) == ["line 2000", "line 2001", "line 2002"]


def test_a_gap_is_marked_once() -> None:
    tail = LogTail()
    tail.feed("a\nb\n")
    assert tail.feed("x\ny\nz\n") == [MARKER, "x", "y", "z"]
    assert tail.feed("x\ny\nz\nzz\n") == ["zz"]


def test_the_last_lines_are_kept_for_messages() -> None:
    tail = LogTail()
    tail.feed("".join(f"{n}\n" for n in range(100)))
    assert list(tail.last) == [str(n) for n in range(80, 100)]


# --- any way of reading a log --------------------------------------------------------------------

texts = st.lists(
    st.one_of(
        st.text(st.sampled_from("ab\r"), max_size=6),
        st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=6),
        st.text(st.characters(exclude_characters="\n"), max_size=6),  # lone surrogates too
    ),
    max_size=30,
).map("\n".join)


def as_printed(text: str) -> list[str]:
    """What the whole log is when it is printed once."""
    *finished, rest = text.split("\n")
    return [*map(last_state, finished), *([last_state(rest)] if rest else [])]


@dataclass(frozen=True)
class Read:
    """One look at the log: how far it had grown, from where the answer showed it, how much of it.

    ``hand_over`` lets another process go on after it.
    """

    grown: float
    window: int | None
    shown: float
    missing: bool
    hand_over: bool


reads = st.lists(
    st.builds(
        Read,
        grown=st.floats(0, 1),
        window=st.none() | st.integers(1, 300),
        shown=st.sampled_from([1.0, 1.0, 1.0, 0.5, 0.0]),
        missing=st.sampled_from([False, False, False, True]),
        hand_over=st.booleans(),
    ),
    max_size=12,
)


def printed(text: str, looks: list[Read], *, windows: bool) -> list[str]:
    """Print a growing log the way it is read; the last answer shows all that is to be seen."""
    tail = LogTail()
    seen: list[str] = []
    size = 0
    for look in looks:
        size = max(size, round(look.grown * len(text)))
        # What was cut off before anything was printed, nobody can know of.
        start = max(0, size - look.window) if windows and look.window and seen else 0
        answer = None if look.missing else text[start:size]
        if answer is not None:
            answer = answer[: round(look.shown * len(answer))]
        seen += tail.feed(answer)
        if look.hand_over:
            tail = LogTail(tail.position())
    window = looks[-1].window if windows and looks and seen else None
    return seen + tail.feed(text[max(0, len(text) - window) if window else 0 :]) + tail.flush()


@settings(max_examples=examples(100))
@given(text=texts, looks=reads)
def test_however_it_is_read_a_log_is_printed_once(text: str, looks: list[Read]) -> None:
    assert printed(text, looks, windows=False) == as_printed(text)


@settings(max_examples=examples(100))
@given(count=st.integers(0, 200), looks=reads)
def test_with_windows_lines_are_printed_once_or_it_is_said_that_some_are_missing(
    count: int, looks: list[Read]
) -> None:
    text = "".join(f"line {n}\n" for n in range(count))
    seen = printed(text, looks, windows=True)
    assert seen == as_printed(text) or MARKER in seen


@given(steps=st.lists(st.integers(0, 200), max_size=12))
def test_windows_that_overlap_enough_need_no_marker(steps: list[int]) -> None:
    lines = [f"line number {n} of a long log" for n in range(sum(steps))]
    tail = LogTail()
    seen: list[str] = []
    end = 0
    for step in steps:  # 200 lines are more than what is kept of the log to find the place by
        end += step
        seen += tail.feed("".join(f"{line}\n" for line in lines[max(0, end - 400) : end]))
    assert seen + tail.flush() == lines


def test_a_window_that_repeats_itself_is_marked() -> None:
    tail = LogTail()
    tail.feed("start\n" + "tick\n" * 2000)
    assert MARKER in tail.feed("tick\n" * 2100)


def test_a_shorter_window_after_a_hand_over_is_printed_as_soon_as_it_moves() -> None:
    first = LogTail()
    first.feed("".join(f"line {n}\n" for n in range(100)))
    second = LogTail(first.position())
    assert second.feed("line 100\nline 101\n") == []
    assert second.feed("line 102\nline 103\n") == [MARKER, "line 102", "line 103"]


def test_a_shorter_window_after_a_hand_over_is_printed_in_the_end() -> None:
    first = LogTail()
    first.feed("".join(f"line {n}\n" for n in range(100)))
    second = LogTail(first.position())
    assert second.feed("line 100\nline 101\n") == []
    assert second.flush() == [MARKER, "line 100", "line 101"]


def test_a_stale_answer_after_a_hand_over_brings_nothing() -> None:
    first = LogTail()
    first.feed("one\ntwo\nthree\n")
    second = LogTail(first.position())
    assert second.feed("one\n") == []
    assert second.feed("one\ntwo\nthree\nfour\n") == ["four"]
    assert second.flush() == []


# --- very long logs, of which excerpts come ------------------------------------------------------


def shortened(whole: str, head: int, tail: int) -> str:
    """What is read of a log that is too long."""
    if len(whole) <= head + tail:
        return whole
    return Excerpt.of(whole[:head], len(whole) - head - tail, whole[len(whole) - tail :])


def numbered(count: int) -> str:
    return "".join(f"line {number:05d}.\n" for number in range(count))


@settings(max_examples=examples(100))
@given(
    head=st.integers(0, 6000),
    tail=st.integers(40, 6000),
    looks=st.lists(
        st.tuples(st.integers(0, 12_000), st.booleans(), st.booleans()), min_size=1, max_size=8
    ),
)
def test_of_excerpts_no_line_is_printed_twice_and_gaps_are_marked(
    head: int, tail: int, looks: list[tuple[int, bool, bool]]
) -> None:
    whole = numbered(1000)
    follower = LogTail()
    seen: list[str] = []
    size = 0
    for place, stale, hand_over in looks:
        size = max(size, place) if not stale else size
        seen += follower.feed(shortened(whole[: place if stale else size], head, tail))
        if hand_over:
            follower = LogTail(follower.position())
    seen += follower.feed(shortened(whole, head, tail)) + follower.flush()

    expected, missing = 0, False
    for line in seen:
        number = re.fullmatch(r"line (\d{5})\.", line)
        if number is None:  # a piece of a line comes only where the rest of it is left out
            missing = True
            assert line == MARKER or "left out" in line or "line".startswith(line[:4])
            continue
        assert int(number[1]) >= expected
        assert missing or int(number[1]) == expected
        expected, missing = int(number[1]) + 1, False
    assert expected == 1000 or missing


@given(steps=st.lists(st.integers(0, 200), max_size=12), hand_over=st.booleans())
def test_nothing_is_lost_of_a_log_that_grows_by_less_than_the_excerpts_end(
    steps: list[int], *, hand_over: bool
) -> None:
    whole = numbered(sum(steps))
    tail = LogTail()
    seen: list[str] = []
    end = 0
    for step in steps:
        end += step * 12
        seen += tail.feed(shortened(whole[:end], 2400, 201 * 12 + 5))
        if hand_over:
            tail = LogTail(tail.position())
    assert seen + tail.flush() == whole.splitlines()


def test_a_very_long_log_that_is_seen_late_is_printed_with_a_line_about_what_is_left_out() -> None:
    tail = LogTail()
    assert tail.feed(shortened(numbered(100), 30, 30)) == [
        "line 00000.",
        "line 00001.",
        "[perian-shim] 1152 characters of the log are left out here",
        "line 00098.",
        "line 00099.",
    ]


def test_what_grew_beyond_the_excerpts_end_is_marked_once() -> None:
    tail = LogTail()
    assert len(tail.feed(numbered(10))) == 10
    assert tail.feed(shortened(numbered(100), 30, 30)) == [MARKER, "line 00098.", "line 00099."]
    assert tail.feed(shortened(numbered(101), 30, 30)) == ["line 00100."]


def test_another_log_in_its_place_is_printed_whole() -> None:
    tail = LogTail()
    tail.feed(shortened(numbered(500), 30, 30))
    other = numbered(600).replace("line", "LINE")
    assert tail.feed(shortened(other, 30, 30))[:2] == [MARKER, "LINE 00000."]


def test_a_line_without_an_end_is_not_kept_whole() -> None:
    tail = LogTail()
    text = "x" * LONGEST_LINE
    assert tail.feed(text) == []
    assert tail.feed(text + "yz") == [text + "yz"]
    assert tail.feed(text + "yz!\n") == ["!"]
    assert tail.position().length == len(text) + 4


def test_of_a_line_that_is_rewritten_only_the_last_state_is_kept() -> None:
    tail = LogTail()
    bar = "".join(f"\r{number} %" for number in range(LONGEST_LINE // 4))
    assert tail.feed(bar) == []
    assert len(tail._held) < 10
    assert tail.position().length == 0
    assert tail.feed(bar + "\rdone\r\n") == ["done"]
