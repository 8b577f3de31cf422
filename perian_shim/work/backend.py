"""What differs between the backends that start pods: data, which a door hands in."""

from dataclasses import dataclass

MEBIBYTE = 1024**2


@dataclass(frozen=True)
class Backend:
    """A backend's habits; the defaults are those of FlytePropeller, Flyte 1's.

    Attributes:
        deck_name: under which name a console looks for the decks of an attempt.
        first_attempt: the number in which the output prefix of a node's first attempt ends.
        restarts: whether a pod may be started again within an attempt. It then finds what the pod
            before it has left, and that one may still be alive on a node that is lost.
        max_output_bytes: how large ``outputs.pb`` may be, where no setting says otherwise.
    """

    deck_name: str = "deck.html"
    first_attempt: int = 0
    restarts: bool = False
    max_output_bytes: int = 2 * MEBIBYTE


FLYTE_PROPELLER = Backend()
