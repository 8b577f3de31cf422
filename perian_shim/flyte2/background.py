"""What runs beside whoever waits for it, and holds up no program's end."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_background(body: Callable[[], T]) -> "Future[T]":
    """Run something on a thread of its own, which nobody has to wait for when a run is ended."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            result = body()
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name="perian-run", daemon=True).start()
    return done
