"""What flytekit makes of a function's decks."""

from flytekit.core.context_manager import FlyteContextManager
from flytekit.deck import Deck
from flytekit.deck.deck import _get_deck


def decks(*contents: str) -> bytes:
    """Return what the flytekit that is installed makes of decks."""
    parameters = FlyteContextManager.current_context().user_space_params
    assert parameters is not None
    made = [Deck(f"d{n}", html, auto_add_to_deck=False) for n, html in enumerate(contents)]
    builder = parameters.new_builder()
    builder.decks = made
    return str(_get_deck(builder.build(), ignore_jupyter=True)).encode()
