"""Our tab beside the decks that a function has made: flytekit's page, with one tab more.

flytekit writes a list of tabs and as many ``<div>`` in the same order, and a script that shows the
first. Ours is put in front of both: there the page is certainly flytekit's own. Behind them stands
HTML of the user's, which may close what it has not opened. The layout is the same from flytekit
1.14 to 1.16; a page that has another one is shown whole, in a frame of ours.
"""

from perian_shim.deck.markup import escaped
from perian_shim.deck.page import MAX_BYTES, render, tab
from perian_shim.deck.view import DeckView

TABS = b'<ul id="flyte-frame-tabs">'
CONTAINER = b'<div id="flyte-frame-container">'

OURS = b'<li onclick="handleLinkClick(this)">Perian</li>'

HEAD_BYTES = 64 * 1024
"""Within so many bytes flytekit's list of tabs begins."""


def joined(view: DeckView, decks: bytes) -> bytes:
    """Return a page with our tab and a function's own decks, of which nothing is left out.

    Args:
        view: what our tab shows.
        decks: the page that flytekit has written in the job.
    """
    tabs = decks.find(TABS, 0, HEAD_BYTES)
    container = decks.find(CONTAINER, tabs + len(TABS)) if tabs >= 0 else -1
    if container < 0:
        return framed(view, decks)
    ours = tab(view).encode()
    if len(decks) + len(OURS) + len(ours) + len(b"<div></div>") > MAX_BYTES:
        ours = tab(view, small=True).encode()
    tabs_end, container_end = tabs + len(TABS), container + len(CONTAINER)
    whole = memoryview(decks)
    return b"".join(
        (
            *(whole[:tabs_end], OURS, whole[tabs_end:container_end]),
            *(b"<div>", ours, b"</div>", whole[container_end:]),
        )
    )


def framed(view: DeckView, decks: bytes) -> bytes:
    """Return our page with another one in a frame below, which can reach nothing of ours."""
    inner = escaped(decks.decode("utf-8", "replace"))
    frame = (
        '<iframe title="The function\'s own decks" sandbox="allow-scripts"'
        f' style="border:0;width:100%;height:100vh" srcdoc="{inner}"></iframe>'
    )
    page = render(view)
    if len(page.encode()) + len(frame.encode()) > MAX_BYTES:
        page = f'<!doctype html>\n<html lang="en"><body>{tab(view, small=True)}</body></html>\n'
    end = page.rindex("</body>")
    return f"{page[:end]}{frame}{page[end:]}".encode()
