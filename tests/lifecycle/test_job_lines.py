"""Whose line is it: a job cannot print one that passes for the pod's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api.server_text import inert
from perian_shim.lifecycle.job_lines import QUOTE, job_line
from perian_shim.lifecycle.logs import LogTail

OURS = "[perian-shim] job 1: Running -> Done after 2.0 s"

FORGED = {
    "as it is": OURS,
    "indented": "  \t" + OURS,
    "other case": "[Perian-Shim] x",
    "colour": f"\x1b[31m{OURS}\x1b[0m",
    "colour within": "[per\x1b[1mian-shim] x",
    "line erased": f"x\x1b[2K\x1b[G{OURS}",
    "backspaces": f"ab\b\b{OURS}",
    "title": f"\x1b]0;t\x07{OURS}",
    "no-break space": f"\u00a0{OURS}",
    "invisible": f"\u200b\ufeff\u2060{OURS}",
    "invisible within": "[perian\u200b-shim] x",
    "NUL": f"\x00{OURS}",
    "fullwidth": "".join(chr(ord(c) + 0xFEE0) for c in "[perian-shim]"),
    "other hyphen": "[perian\u2011shim] x",
    "other brackets": "⟦perian-shim⟧ x",
    "direction": f"\u202e{OURS}",
    "other line breaks": f"x\x0b{OURS}",
    "line separator": f"x\u2028{OURS}",
    "next line": f"x\x85{OURS}",
}


@pytest.mark.parametrize("how", FORGED)
def test_a_jobs_line_that_looks_like_ours_is_quoted_and_inert(how: str) -> None:
    shown = job_line(FORGED[how])
    assert shown == QUOTE + inert(FORGED[how])
    assert "\x1b" not in shown


@pytest.mark.parametrize("log", [f"x\r{OURS}\n", f"{OURS}\r\n", f"50 %\r{OURS}", f"a\n{OURS}\nb"])
def test_it_is_quoted_however_it_comes(log: str) -> None:
    tail = LogTail()
    shown = tail.feed(log) + tail.flush()
    assert QUOTE + OURS in shown
    assert QUOTE + OURS in tail.last
    assert OURS not in shown


@pytest.mark.parametrize(
    "line",
    [
        *("", "loss 0.1", "see [perian-shim] above", "perian-shim: not found", "größe ☃"),
        *("\x1b[32mok\x1b[0m", "\tx", "[perian] shim", "| [perian-shim] x"),
    ],
)
def test_other_lines_are_shown_as_they_are(line: str) -> None:
    assert job_line(line) == line


@given(text=st.text(st.characters()), front=st.text(st.sampled_from("\x1b[0;m\r\b \t\u200b\x9b")))
def test_nothing_that_a_terminal_obeys_is_left_in_inert_text(text: str, front: str) -> None:
    shown = inert(front + text)
    assert all(c.isprintable() or c in "\n\t" or ord(c) > 0x9F for c in shown)
    assert inert(shown) == shown


def test_colours_are_left_out_and_the_rest_is_shown_as_what_it_is() -> None:
    assert inert("\x1b[1;31mred\x1b[0m\x1b[2Jx\r\x07\u202e☃\n\ty") == (
        "red\\x1b[2Jx\\r\\x07\\u202e☃\n\ty"
    )
