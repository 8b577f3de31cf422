"""One page of a listing, and how it is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from perian_shim.api.errors import MalformedResponse
from perian_shim.api.fields import Fields, malformed, optional

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a listing.

    Attributes:
        items: what is on it.
        page: its number, counted from 1, as the server says.
        total_pages: None if the server does not say.
        total_items: None if the server does not say.
        has_next: whether another page may follow. Without pagination data: whether this is full.
        unreadable: how many entries were left out because nothing could be told of them.
    """

    items: tuple[T, ...]
    page: int = 1
    total_pages: int | None = None
    total_items: int | None = None
    has_next: bool = False
    unreadable: int = 0

    @property
    def length(self) -> int:
        """How many entries it has."""
        return len(self.items) + self.unreadable

    @classmethod
    def from_json(
        cls,
        obj: object,
        key: str,
        read: Callable[[object, str], T | None],
        *,
        page: int,
        limit: int,
    ) -> "Page[T]":
        """Read a listing.

        Args:
            obj: the answer.
            key: the field that holds the items.
            read: makes an item from JSON and its place in the answer; None to leave it out.
            page: the page that was asked for.
            limit: how many items per page were asked for; 0 if the listing is whole.
        """
        fields = Fields(obj, "answer")
        if not isinstance(fields.values.get(key), list):
            # Missing is not empty: who looks for a job must not be told that there are none.
            raise malformed(fields.place(key), "a list", fields.values.get(key))
        entries = fields.items(key)
        read_entries = (read(entry, f"{key}[{index}]") for index, entry in enumerate(entries))
        items = tuple(item for item in read_entries if item is not None)
        pagination = fields.child("pagination")
        here = pagination.count("current_page") or page
        total_pages = pagination.count("total_pages")
        following = pagination.count("next_page")
        if total_pages is None and following is None:
            has_next = 0 < limit == len(entries)  # with more than that, the limit means nothing
        else:
            # Either may be a default that says nothing (1): a next page is believed from both.
            has_next = (total_pages or 0) > here or (following or 0) > here
        total_items = optional(pagination.count, "total_items")
        unreadable = len(entries) - len(items)
        return cls(items, here, total_pages, total_items, has_next, unreadable)


def page_query(page: int, limit: int) -> dict[str, int | str]:
    """Return the query parameters of a page.

    Raises:
        ValueError: one of the numbers is below 1.
    """
    for name, value in (("page", page), ("limit", limit)):
        if value < 1:
            message = f"{name}: expected a number of at least 1, got {value!r}"
            raise ValueError(message)
    return {"page": page, "limit": limit}


def every_item(what: str, ask: Callable[[int], Page[T]], max_pages: int = 1000) -> Iterator[T]:
    """Yield the items of all pages, each once, asking for one page after the other.

    Args:
        what: names the items, for the message.
        ask: gets a page by its number.
        max_pages: after how many pages to give up.

    Raises:
        MalformedResponse: the listing has no end, or shows the same again and again.
    """
    seen: set[T] = set()
    for number in range(1, max_pages + 1):
        page = ask(number)
        fresh = [item for item in dict.fromkeys(page.items) if item not in seen]
        seen.update(fresh)
        yield from fresh
        if not page.has_next or not page.length:
            return
        if not fresh:
            break
    message = f"The listing of {what} has no end, or keeps showing the same."
    raise MalformedResponse(message)


def item_named(fields: Fields, key: str, wanted: str) -> Fields | None:
    """Return the item with an id from a listing that should hold it alone; None if it is empty.

    Raises:
        MalformedResponse: it is not among the items.
    """
    entries = Page.from_json(fields.values, key, Fields, page=1, limit=0).items
    for entry in entries:
        if (optional(entry.text, "id") or "").casefold() == wanted.casefold():
            return entry
    if entries:
        message = f"The answer's {key} have other ids than the one that was asked for."
        raise MalformedResponse(message)
    return None
