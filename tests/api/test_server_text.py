"""Pieces of server text in error messages: safe, short, readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api.redaction import Redactor
from perian_shim.api.server_text import (
    MAX_FOREIGN_TEXT,
    MAX_TEXT,
    detail_text,
    foreign_text,
    server_words,
    tidy,
)

TOKEN = "tok/EN+1=&<>\"'é"
REDACT = Redactor((TOKEN,))


@given(st.integers(0, MAX_TEXT))
def test_a_cut_leaves_no_piece_of_a_secret(padding: int) -> None:
    secret = "S3CRET" * 20
    document = {"detail": "x" * padding + secret + "y" * MAX_TEXT}
    _, words = server_words(document, Redactor((secret,)))
    assert "S3CRET" not in words


@given(st.text())
def test_tidy_text_is_one_short_line_without_control_characters(text: str) -> None:
    line = tidy(text, 50)
    assert len(line) <= 50
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in line)


def test_an_html_page_shrinks_to_its_visible_head() -> None:
    page = (
        b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>b{}</style>"
        b"<script>evil()</script></head><body><h1>Bad&nbsp;Gateway</h1>" + b"<p>x</p>" * 1000
    )
    text = foreign_text(page, REDACT)
    assert text.startswith("502 Bad Gateway Bad Gateway x x")
    assert len(text) <= MAX_FOREIGN_TEXT
    assert "evil" not in text


def test_validation_errors_show_place_and_cause_but_not_the_input() -> None:
    detail = [
        {
            "loc": ["body", "timeout_seconds"],
            "msg": "Input should be an integer",
            "input": "SECRET",
        },
        {"loc": ["body", "docker", 0], "type": "missing"},
        {"msg": "odd"},
    ]
    assert detail_text(detail) == (
        "body.timeout_seconds: Input should be an integer; body.docker.0: missing; odd"
    )


@pytest.mark.parametrize(
    ("document", "detail", "words"),
    [
        ({"message": "Failed", "detail": "No credit"}, "No credit", "Failed: No credit"),
        ({"message": "Failed", "detail": ""}, "Failed", "Failed"),
        ({"detail": "Only this"}, "Only this", "Only this"),
        ({"message": "Same", "detail": "Same again"}, "Same again", "Same again"),
        ({"detail": {"why": 1}}, '{"why": 1}', '{"why": 1}'),
        ({"error": "odd"}, '{"error": "odd"}', '{"error": "odd"}'),
    ],
)
def test_message_and_detail_are_both_told(
    document: dict[str, object], detail: str, words: str
) -> None:
    assert server_words(document, REDACT) == (detail, words)


def test_the_words_of_a_server_are_bounded() -> None:
    _, words = server_words({"message": "m" * 5000, "detail": "d" * 5000}, REDACT)
    assert len(words) <= MAX_TEXT + 2
