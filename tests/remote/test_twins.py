"""Methods with a twin that can be awaited, from plain scripts and from running event loops."""

import asyncio
import threading
from collections.abc import Iterator

from perian_shim.remote import twins


class Counter:
    made = 0

    def __init__(self, start: int) -> None:
        self.start = start
        self.threads: list[int] = []
        self.closed = False

    @twins.method
    def plus(self, number: int, *, twice: bool = False) -> int:
        """Add."""
        self.threads.append(threading.get_ident())
        return self.start + number * (2 if twice else 1)

    @twins.class_method
    def new(cls, start: int) -> "Counter":  # noqa: N805 - its decorator makes it one
        return cls(start)  # type: ignore[operator,no-any-return]  # the class

    @twins.stream
    def up_to(self, end: int) -> Iterator[int]:
        try:
            yield from range(self.start, end)
        finally:
            self.closed = True


def test_a_method_is_called_as_any_other() -> None:
    assert Counter(1).plus(2, twice=True) == 5
    assert Counter.new(3).start == 3
    assert list(Counter(1).up_to(4)) == [1, 2, 3]


def test_its_twin_runs_in_a_thread_of_its_own() -> None:
    counter = Counter(1)

    async def main() -> int:
        return await counter.plus.aio(2)

    assert asyncio.run(main()) == 3
    assert counter.threads != [threading.get_ident()]


def test_the_twin_of_a_stream_is_an_asynchronous_iterator() -> None:
    counter = Counter(1)

    async def main() -> list[int]:
        return [value async for value in counter.up_to.aio(4)]

    assert asyncio.run(main()) == [1, 2, 3]
    assert counter.closed


def test_a_stream_that_is_left_early_is_closed() -> None:
    counter = Counter(1)

    async def main() -> None:
        values = counter.up_to.aio(1000)
        async for _ in values:
            break
        await values.aclose()  # type: ignore[attr-defined]  # it is a generator

    asyncio.run(main())
    assert counter.closed


def test_an_error_reaches_whoever_awaits_it() -> None:
    class Broken:
        @twins.method
        def fail(self) -> None:
            message = "no"
            raise ValueError(message)

    async def main() -> str:
        try:
            await Broken().fail.aio()
        except ValueError as error:
            return str(error)
        return ""

    assert asyncio.run(main()) == "no"
