"""The *Perian* tab of Flyte's console: from what is known of a run to HTML, by rules alone.

``DeckView`` is what is shown, ``page.render`` makes a page of it, ``beside.joined`` puts it beside
the decks that a function has made. Nothing here reads, writes, waits or knows Perian; and since a
pod loads it only when a deck is to be written, nothing here imports anything large.
"""
