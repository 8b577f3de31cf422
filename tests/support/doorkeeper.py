"""Refusing some of a pod's connections really: it is asked about each one before it is made."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from support.api_calls import Call, call_of
from support.connections import Listener
from support.in_pod import customized


@contextlib.contextmanager
def doorkeeper(door: Path, decide: Callable[[Call | None], None]) -> Iterator[None]:
    """Serve ``inside_pods/asking_to_connect.py``: decide about each connection, one at a time."""
    one_at_a_time = threading.Lock()

    def serve(asker: socket.socket) -> None:
        with asker.makefile("r") as lines, one_at_a_time:
            match = re.match(r"([A-Z]+) ([^\s?]+)", lines.readline())
            decide(call_of(match[1], match[2]) if match else None)
        asker.sendall(b".")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(door))
        listening.listen()
        with Listener(serve, listening):
            yield


def at_the_door(door: Path, port: int) -> dict[str, str]:
    """Return the variables of a pod that asks before it connects to a port."""
    return customized(CONNECTING=str(door), CONNECTING_TO=str(port))
