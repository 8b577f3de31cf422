"""What a page shows, and that nothing of what it is given can be more than text."""

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.deck.markup import escaped, plain
from perian_shim.deck.page import MAX_BYTES, SMALL_BYTES, render, tab
from perian_shim.deck.timeline import duration
from perian_shim.deck.view import DeckView, Failure, OutputLine, Span, State

VOID = {"meta", "link", "br", "hr", "img", "input"}

ANYTHING = st.text() | st.sampled_from(
    [
        "<script>alert(1)</script>",
        "</pre></main><ScRiPt src=//example.org/x.js>",
        '"><img src=x onerror=alert(1)>',
        "' onload='alert(1)",
        "\x1b[31mred\x1b[0m \x1b]0;title\x07",
        "\x00\x01\x7f\x9b31m\ud800\ufffe",
        "]]><!--",
        "&lt;script&gt;",
    ]
)
FACTS = st.lists(st.tuples(ANYTHING, ANYTHING), max_size=4).map(tuple)
VIEWS = st.builds(
    DeckView,
    task=ANYTHING,
    state=st.sampled_from(State),
    job_id=ANYTHING,
    status=ANYTHING,
    spans=st.lists(
        st.builds(
            Span,
            st.sampled_from(["queued", "initializing", "running"]),
            st.floats(0, 1e12, allow_nan=False),
        ),
        max_size=4,
    ).map(tuple),
    machine=FACTS,
    money=FACTS,
    run=FACTS,
    flyte=FACTS,
    console=ANYTHING | st.just("https://flyte.example.org/console"),
    log=st.lists(ANYTHING, max_size=30).map(tuple),
    outputs=st.none() | st.lists(st.builds(OutputLine, ANYTHING, ANYTHING, ANYTHING)).map(tuple),
    failure=st.none() | st.builds(Failure, ANYTHING, ANYTHING, ANYTHING),
    seen=ANYTHING,
)


class Reader(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order.

    Attributes:
        tags: all elements, with their attributes.
        text: what stands between tags, styles apart.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    @property
    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def view(**given: object) -> DeckView:
    fields: dict[str, object] = {"task": "train", "state": State.RUNNING, **given}
    return DeckView(**fields)  # type: ignore[arg-type]  # named by the tests


# --- whatever it is given ---


@given(VIEWS)
def test_it_is_well_formed_has_no_script_and_asks_nobody(given_view: DeckView) -> None:
    page = render(given_view)
    reader = Reader(page)
    assert not reader.names & {"script", "img", "link", "iframe", "object", "embed", "base", "form"}
    attributes = {name for _, attributes in reader.tags for name in attributes}
    assert not any(name.startswith("on") for name in attributes)
    assert not attributes & {"src", "srcset", "style", "action", "data"}
    addresses = [attributes["href"] for _, attributes in reader.tags if "href" in attributes]
    assert all(address and address.startswith(("http://", "https://")) for address in addresses)
    assert "<script" not in page.lower()
    assert "url(" not in page.split("</style>")[0]


@given(VIEWS)
def test_nothing_steers_a_terminal_or_breaks_an_encoding(given_view: DeckView) -> None:
    page = render(given_view)
    assert page.encode().decode() == page
    assert not set(page) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}


@pytest.mark.parametrize("character", ["x", "'", "&", "\N{PILE OF POO}", "\x00", "\ud800", "\x1b["])
def test_it_is_never_too_long(character: str) -> None:
    long = character * (10 * 1024 * 1024 // len(character))
    facts = ((long, long),) * 50
    large = view(
        task=long, job_id=long, status=long, machine=facts, money=facts, run=facts, flyte=facts,
        console="https://" + long, log=(long,) * 30, outputs=(OutputLine(long, long, long),) * 100,
        failure=Failure(long, long, long), seen=long, spans=(Span("queued", 1e9),),
    )  # fmt: skip
    assert len(render(large).encode()) <= MAX_BYTES
    assert len(tab(large).encode()) <= MAX_BYTES
    assert len(tab(large, small=True).encode()) <= SMALL_BYTES


@given(ANYTHING)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.text())
def test_escaping_is_that_of_the_standard_library(text: str) -> None:
    assert escaped(text) == html.escape(text)


# --- what it shows ---


def text_of(**given: object) -> str:
    return Reader(render(view(**given))).text


def test_markup_in_a_log_is_text() -> None:
    line = "<script>alert('x')</script> & <b>bold</b>"
    assert line in text_of(log=(line,))


def test_colours_are_left_out_and_other_control_characters_are_seen() -> None:
    assert "red\ufffdend" in text_of(log=("\x1b[1;31mred\x1b[0m\x00\x1b]0;t\x07end",))


def test_each_part_of_the_life_is_told_in_words_too() -> None:
    spans = (Span("queued", 125), Span("initializing", 31), Span("running", 7261))
    text = text_of(spans=spans)
    told = "queued for 2 min 5 s, then initializing for 31 s, then running for 2 h 1 min"
    assert told in text
    assert "running 2 h 1 min so far" in text


def test_a_part_that_took_no_time_is_still_drawn() -> None:
    page = render(view(spans=(Span("queued", 0), Span("running", 1e6))))
    widths = [float(attrs["width"] or 0) for tag, attrs in Reader(page).tags if tag == "rect"]
    assert min(widths) >= 8


def test_a_page_can_be_read_aloud() -> None:
    reader = Reader(render(view(spans=(Span("queued", 1),), log=("a line",))))
    attributes = dict(reader.tags)
    assert attributes["html"]["lang"] == "en"
    assert {"title", "main", "h1", "h2"} <= reader.names
    assert attributes["svg"]["role"] == "img"
    assert attributes["svg"]["aria-labelledby"] == "perian-life perian-life-words"


@pytest.mark.parametrize(
    ("address", "linked"),
    [
        ("https://flyte.example.org/console/x", True),
        ("http://localhost:30080/console", True),
        ("javascript:alert(1)", False),
        ('https://a.example/"onclick="alert(1)', False),
        ("ftp://flyte.example.org", False),
        ("", False),
    ],
)
def test_only_the_address_of_a_page_becomes_a_link(address: str, linked: bool) -> None:
    assert ("a" in Reader(render(view(console=address))).names) == linked


def test_of_many_outputs_the_first_are_shown_and_the_rest_counted() -> None:
    text = text_of(outputs=tuple(OutputLine(f"o{number}", "int") for number in range(60)))
    assert "o39" in text
    assert "o40" not in text
    assert "and 20 more" in text


def test_of_a_long_error_both_ends_are_shown() -> None:
    text = text_of(failure=Failure("USER:ValueError", "begin" + "x" * 10**6 + "the end", "Fix it."))
    assert "begin" in text
    assert "the end" in text
    assert "What to do: Fix it." in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"), (4.25, "4.2 s"), (59.94, "59.9 s"), (59.96, "1 min"), (61, "1 min 1 s"),
        (3600, "1 h"), (86400 + 7300, "1 d 2 h"),
    ],
)  # fmt: skip
def test_a_time_is_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_span_takes_a_time() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Span("queued", -1)
