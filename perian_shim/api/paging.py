"""Listings in pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from perian_shim.api.fields import Fields, malformed

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
    """

    items: tuple[T, ...]
    page: int = 1
    total_pages: int | None = None
    total_items: int | None = None
    has_next: bool = False

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
            has_next = 0 < limit <= len(entries)
        else:
            # Either may be a default that says nothing (1): a next page is believed from both.
            has_next = (total_pages or 0) > here or (following or 0) > here
        return cls(items, here, total_pages, pagination.count("total_items"), has_next)
