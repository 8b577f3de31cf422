"""What a job may reach in object stores. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reach:
    """What a function task's job may reach.

    Attributes:
        objects: URIs of single objects that it may read.
        read: URIs of prefixes, each ending in ``/``, below which it may read and list.
        write: the same, below which it may also write.
    """

    objects: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for uri in (*self.read, *self.write):
            if not uri.endswith("/"):
                message = f"a prefix ends in a slash: {uri!r}"
                raise ValueError(message)
