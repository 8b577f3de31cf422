"""Methods that are called as they are, or awaited: ``job.abort()`` and ``await job.abort.aio()``.

What is decorated is written once, and waits. ``.aio`` runs it in a thread, so that an event loop,
a notebook's too, goes on meanwhile. A generator's twin is an asynchronous iterator; whoever leaves
it early closes the generator, at the next value at the latest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_END = object()


class Call(Generic[P, T]):
    """A bound function that can be awaited as well.

    Args:
        function: what is called.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it, and wait for what it returns."""
        return self._function(*args, **kwargs)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in a thread."""
        return await asyncio.to_thread(self._function, *args, **kwargs)


class Stream(Generic[P, T]):
    """A bound generator function that can be iterated over asynchronously as well.

    Args:
        function: what is called.
    """

    def __init__(self, function: Callable[P, Iterator[T]]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        """Return the iterator."""
        return self._function(*args, **kwargs)

    async def aio(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        """Iterate, with each step in a thread."""
        values = self._function(*args, **kwargs)
        try:
            while True:
                value: Any = await asyncio.to_thread(partial(next, values, _END))
                if value is _END:
                    return
                yield value
        finally:
            close = getattr(values, "close", None)
            if close is not None:
                await asyncio.shield(asyncio.to_thread(_closed, close))


def _closed(close: Callable[[], None]) -> None:
    try:
        close()
    except ValueError:  # a step that was cancelled still runs in its thread: it ends unread
        return


class method(Generic[P, T]):  # noqa: N801 - used as a decorator
    """Makes a method that has a twin."""

    def __init__(self, function: Callable[Concatenate[Any, P], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> Call[P, T]:
        return Call(partial(self._function, instance) if instance is not None else self._function)


class class_method(Generic[P, T]):  # noqa: N801 - used as a decorator
    """Makes a class method that has a twin."""

    def __init__(self, function: Callable[Concatenate[Any, P], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> Call[P, T]:
        return Call(partial(self._function, owner))


class stream(Generic[P, T]):  # noqa: N801 - used as a decorator
    """Makes a generator method that has a twin."""

    def __init__(self, function: Callable[Concatenate[Any, P], Iterator[T]]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> Stream[P, T]:
        return Stream(partial(self._function, instance if instance is not None else owner))


class class_stream(Generic[P, T]):  # noqa: N801 - used as a decorator
    """Makes a generator class method that has a twin."""

    def __init__(self, function: Callable[Concatenate[Any, P], Iterator[T]]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> Stream[P, T]:
        return Stream(partial(self._function, owner))
