"""A user's module: a function that makes a deck and then fails."""

from flytekit import Deck, task

from perian_shim import PerianConfig


@task(task_config=PerianConfig(cores=1), container_image="python:3.12", enable_deck=True)
def shows_and_raises(cups: int) -> int:
    """Show a number, and raise."""
    Deck("cups", f"<p>{cups} cups</p>")
    if cups:
        message = "no coffee"
        raise ValueError(message)
    return cups
