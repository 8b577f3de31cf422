"""From a ``DeckView`` to HTML: a page of its own, or a tab among others. Pure.

Whatever a view holds, the result is well-formed, has no script, asks nobody for anything and is
bounded in size: each text is cut before it is escaped.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from perian_shim.deck.markup import ELLIPSIS, ends_shown, escaped, shown
from perian_shim.deck.style import style
from perian_shim.deck.timeline import timeline
from perian_shim.deck.view import DeckView, Failure, OutputLine

MAX_BYTES = 1_000_000
"""Of a page."""

SMALL_BYTES = 64_000
"""Of a tab beside decks that are larger than a page may be."""

_ADDRESS = re.compile(r"https?://[A-Za-z0-9\[][^\s\"'<>\\]{0,1000}")


@dataclass(frozen=True)
class Caps:
    """How much is shown.

    Attributes:
        lines: of the log.
        line: characters of one of these.
        rows: outputs.
        facts: of a card.
        word: characters of a name, a type, a fact.
        uri: characters of a URI.
        message: characters of an error.
    """

    lines: int
    line: int
    rows: int
    facts: int
    word: int
    uri: int
    message: int


LARGE = Caps(lines=20, line=2000, rows=40, facts=12, word=300, uri=1000, message=10_000)
SMALL = Caps(lines=8, line=200, rows=6, facts=6, word=60, uri=200, message=1000)


def render(view: DeckView) -> str:
    """Return a page, at most ``MAX_BYTES`` long as UTF-8."""
    title = f"{shown(view.task, LARGE.word)}: {view.state.value} (Perian)"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>body{{margin:0}}{style(dark=True)}</style></head>\n"
        f"<body>{section(view, LARGE, 'main')}</body></html>\n"
    )


def tab(view: DeckView, *, small: bool = False) -> str:
    """Return what stands in a tab of another page, its style sheet with it.

    Args:
        view: what is shown.
        small: whether it must not be longer than ``SMALL_BYTES``, else than ``MAX_BYTES``.
    """
    return f"<style>{style(dark=False)}</style>{section(view, SMALL if small else LARGE, 'div')}"


def section(view: DeckView, caps: Caps, element: str) -> str:
    """Return everything that is shown, as one element."""
    parts = [
        header(view, caps),
        timeline(view),
        failure_part(view.failure, caps) if view.failure else "",
        '<div class="cards">',
        card("Machine", view.machine, caps),
        card("Price and cost", view.money, caps),
        card("Run", view.run, caps),
        card("In Flyte", view.flyte, caps, link(view.console)),
        "</div>",
        "" if view.outputs is None else outputs_part(view.outputs, caps),
        log_part(view.log, caps),
        f"<footer><p>As of {shown(view.seen, caps.word)}, by perian-shim.</p></footer>",
    ]
    return f'<{element} class="perian-deck" lang="en">{"".join(parts)}</{element}>'


def header(view: DeckView, caps: Caps) -> str:
    """Return the heading, with the state beside it and the job below."""
    state = view.state
    badge = f'<span class="badge {state.name.lower()}">{state.value}</span>'
    if view.job_id:
        status = f", {shown(view.status, caps.word)}" if view.status else ""
        job = f"Perian job <code>{shown(view.job_id, caps.word)}</code>{status}"
    else:
        job = "No job has been submitted."
    name = shown(view.task, caps.word)
    return f'<header><h1>{name}</h1>{badge}</header><p class="soft">{job}</p>'


def failure_part(failure: Failure, caps: Caps) -> str:
    """Return why the run failed and what to do."""
    code = shown(failure.code, caps.word)
    message = ends_shown(failure.message, caps.message)
    what = f"<p><b>What to do:</b> {shown(failure.remedy, caps.line)}</p>" if failure.remedy else ""
    heading = f"<h2>Why it failed: {code}</h2>"
    return f'<section class="failure">{heading}<pre>{message}</pre>{what}</section>'


def card(title: str, facts: Iterable[tuple[str, str]], caps: Caps, more: str = "") -> str:
    """Return facts with their heading; nothing if there are none."""
    told = [(label, text) for label, text in facts if text][: caps.facts]
    if not told and not more:
        return ""
    rows = "".join(
        f"<dt>{shown(label, caps.word)}</dt><dd>{shown(text, caps.word)}</dd>"
        for label, text in told
    )
    listed = f"<dl>{rows}</dl>" if rows else ""
    return f'<section class="card"><h2>{title}</h2>{listed}{more}</section>'


def link(address: str) -> str:
    """Return a link; nothing for what is no address of a page."""
    if not _ADDRESS.fullmatch(address):
        return ""
    return (
        f'<p><a href="{escaped(address)}" target="_blank" rel="noopener noreferrer">'
        "Open the execution in Flyte's console</a></p>"
    )


def outputs_part(outputs: tuple[OutputLine, ...], caps: Caps) -> str:
    """Return the table of outputs."""
    if not outputs:
        return '<section><h2>Outputs</h2><p class="soft">The task has no outputs.</p></section>'
    rows = "".join(
        f"<tr><td><code>{shown(each.name, caps.word)}</code></td>"
        f"<td>{shown(each.kind, caps.word)}</td>"
        f"<td><code>{shown(each.uri, caps.uri)}</code></td></tr>"
        for each in outputs[: caps.rows]
    )
    more = len(outputs) - caps.rows
    rest = f'<p class="soft">{ELLIPSIS} and {more} more.</p>' if more > 0 else ""
    head = '<tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Place</th></tr>'
    return (
        f'<section><h2>Outputs</h2><div class="wide"><table><thead>{head}</thead>'
        f"<tbody>{rows}</tbody></table></div>{rest}</section>"
    )


def log_part(lines: tuple[str, ...], caps: Caps) -> str:
    """Return the last lines of the log."""
    if not lines:
        return ""
    text = "\n".join(shown(line, caps.line) for line in lines[-caps.lines :])
    heading = "<h2>Last log lines</h2>"
    # A first newline within <pre> would be left out by the browser.
    return (
        f'<section>{heading}<pre tabindex="0" aria-label="Last log lines">\n{text}</pre></section>'
    )
