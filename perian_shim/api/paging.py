"""Going through a listing in pages while it changes.

Pages are numbered, so what a page shows depends on when it is asked for: whatever is submitted
meanwhile pushes all older jobs towards later pages. A ``Pager`` decides which page to ask for next;
asking, and asking again after a failure, is the caller's business:

    pager = Pager()
    while (request := pager.next_request()) is not None:
        for job in pager.take(client.list_jobs(*request)):
            ...
"""

import itertools
from collections.abc import Iterable

from perian_shim.api.jobs import Job
from perian_shim.api.pages import Page


class Pager:
    """The way through a listing of jobs: pure, without a network or a clock.

    It gives each job once, and goes on over pages that bring nothing new. New jobs at the front of
    the listing push it along: if it is sorted by age and tells its total, they are skipped, so that
    the end is reached even if more arrive than a page holds. A page that cannot be had is asked for
    in smaller ones, which grow again as soon as that works.

    Args:
        limit: jobs per page.
        max_pages: after how many pages to give up.

    Attributes:
        complete: whether the listing has been seen to its end; jobs that were there all the time
            have been given then. If there is no next request and this is False, it was given up:
            after ``max_pages``, or because the server keeps showing the same.
    """

    def __init__(self, limit: int = 100, max_pages: int = 1000) -> None:
        self.complete = False
        self._pages_left = max_pages
        self._sizes = PageSizes(limit)
        self._order = Order()
        self._seen: set[str] = set()
        self._total: int | None = None
        self._next = 0  # all jobs before this offset have been seen
        self._lead = 0  # how far beyond it to ask, for what arrives until the answer
        self._idle = 0  # how many entries in a row have brought nothing new

    def next_request(self) -> tuple[int, int] | None:
        """Return the page to ask for and its limit; None if there is nothing more to ask for."""
        if self.complete or not self._pages_left or self._repeats():
            return None
        size = self._sizes.size
        # The page that holds the offset, which need not be where it begins.
        return (self._next + self._lead) // size + 1, size

    def _repeats(self) -> bool:
        """Whether what has been seen cannot explain any more that nothing new comes."""
        return self._idle > len(self._seen) + 2 * self._sizes.largest

    def take(self, page: Page[Job]) -> list[Job]:
        """Take the page that was asked for and return the jobs on it that were not seen before."""
        request = self.next_request()
        if request is None:
            return []
        number, size = request
        self._pages_left -= 1
        if page.has_next and 0 < page.length < size:
            size = page.length  # the server has a limit of its own, and counts pages by it
        self._sizes.had(size)
        fresh = {job.id: job for job in page.items if job.id not in self._seen}
        self._seen |= fresh.keys()
        arrived = self._arrived(page)
        self._idle = 0 if fresh or arrived else self._idle + size
        self._next = max(self._next + arrived, 0)
        begin = (number - 1) * size
        end = begin + (size if page.has_next else page.length)
        adjoins = begin <= self._next
        # As many may arrive until the next page is shown; a few less, so as not to leap too far.
        self._lead = max(arrived - size // 4, 0) if adjoins else 0
        if adjoins:
            self._next = max(self._next, end)
            self.complete = not page.has_next or not page.length
        return list(fresh.values())

    def shrink(self) -> bool:
        """Ask for less, after a page that could not be had; False if it was one job already."""
        return self._sizes.shrink()

    def _arrived(self, page: Page[Job]) -> int:
        """Return how many jobs were put in front since the page before; fewer than 0: went away."""
        self._order.note(page.items)
        before, self._total = self._total, page.total_items or None
        if before is None or self._total is None or not self._order.newest_first:
            return 0
        return self._total - before


class Order:
    """Whether a listing is sorted by age, as far as it has been seen."""

    def __init__(self) -> None:
        self._falls = self._rises = False

    def note(self, jobs: Iterable[Job]) -> None:
        """Look at a page."""
        times = [job.created_at for job in jobs if job.created_at is not None]
        self._falls |= any(one > two for one, two in itertools.pairwise(times))
        self._rises |= any(one < two for one, two in itertools.pairwise(times))

    @property
    def newest_first(self) -> bool:
        """Whether it is."""
        return self._falls and not self._rises


class PageSizes:
    """How many jobs to ask for at a time: as many as can be had.

    Args:
        limit: how many at most.
    """

    def __init__(self, limit: int) -> None:
        self.largest = self.size = limit
        self._wait = 1  # how many pages must have been had before the size may grow
        self._had = 0
        self._grown = False

    def had(self, size: int) -> None:
        """Note that a page was had, and how many jobs it can have at most."""
        if size < self.size:
            self.largest = self.size = size
        self._had += 1
        self._grown = False
        if self.size < self.largest and self._had >= self._wait:
            self.size = min(self.size * 2, self.largest)
            self._had, self._grown = 0, True

    def shrink(self) -> bool:
        """Note that a page could not be had; return whether to ask for a smaller one."""
        if self.size == 1:
            return False
        # If it had just grown, it was too early: next time it takes longer.
        self._wait *= 2 if self._grown else 1
        self.size //= 2
        self._had, self._grown = 0, False
        return True
