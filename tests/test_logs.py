from hypothesis import given
from hypothesis import strategies as st

from perian_shim.logs import MARKER, LogTail

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
