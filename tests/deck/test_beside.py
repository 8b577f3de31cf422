"""Our tab beside those of flytekit's page: nothing of them is lost, whatever they hold."""

import re
from pathlib import Path

import flytekit
import pytest
from support.own_decks import decks

from perian_shim.deck.beside import joined
from perian_shim.deck.page import MAX_BYTES, SMALL_BYTES
from perian_shim.deck.view import DeckView, State

VIEW = DeckView(task="train", state=State.SUCCEEDED, log=("x" * 10_000,) * 20)


def tabs(page: bytes) -> list[str]:
    return re.findall(r'<li onclick="handleLinkClick\(this\)">([^<]*)</li>', page.decode())


def without_ours(page: bytes) -> bytes:
    """Take our tab out again."""
    page = page.replace(b'<li onclick="handleLinkClick(this)">Perian</li>', b"", 1)
    return re.sub(rb'<div><style>.*?</style><div class="perian-deck".*?</footer></div></div>', b"",
                  page, count=1, flags=re.DOTALL)  # fmt: skip


@pytest.mark.parametrize(
    "contents",
    [(), ("<p>one</p>",), ("<p>one</p>", "<table></table>"), ("</div></div></ul>", "<ul>")],
    ids=["none", "one", "several", "unbalanced"],
)
def test_it_is_the_first_of_as_many_and_one_more(contents: tuple[str, ...]) -> None:
    own = decks(*contents)
    page = joined(VIEW, own)
    assert tabs(page) == ["Perian", *tabs(own)]
    assert without_ours(page) == own


def test_large_decks_are_kept_and_ours_is_small() -> None:
    own = decks("x" * (2 * MAX_BYTES))
    page = joined(VIEW, own)
    assert without_ours(page) == own
    assert len(page) - len(own) < SMALL_BYTES + 100


def test_with_small_decks_a_page_is_not_too_long() -> None:
    own = decks("x" * (MAX_BYTES - 100_000))
    assert len(joined(VIEW, own)) <= MAX_BYTES


@pytest.mark.parametrize(
    "own", [b"<p>mine</p>", b"\xff\xfe<ul>", b"", b'<ul id="flyte-frame-tabs">']
)
def test_a_page_of_another_layout_is_shown_in_a_frame(own: bytes) -> None:
    page = joined(VIEW, own).decode()
    frame = page[page.index("<iframe") : page.index("</iframe>")]
    assert 'sandbox="allow-scripts"' in frame
    assert "perian-deck" in page
    assert "<" not in frame[frame.index("srcdoc=") :].rstrip(">")


def test_a_large_page_of_another_layout_is_kept() -> None:
    page = joined(VIEW, b"y" * (2 * MAX_BYTES)).decode()
    assert page.count("y") >= 2 * MAX_BYTES


def test_flytekits_page_is_the_one_that_is_known() -> None:
    template = Path(flytekit.__file__).parent / "deck/html/template.html"
    assert template.read_text().count('<ul id="flyte-frame-tabs">') == 1
    assert template.read_text().count('<div id="flyte-frame-container">') == 1
