"""placeholder until merged."""

from perian_shim.api.models import Job, Page


class Pager:
    def __init__(self, limit: int = 100, max_pages: int = 200) -> None:
        self.page, self.limit, self.max_pages, self.more, self.seen = (
            1,
            limit,
            max_pages,
            True,
            set[str](),
        )

    @property
    def finished(self) -> bool:
        return not self.more

    def next_request(self) -> tuple[int, int] | None:
        return (self.page, self.limit) if self.more and self.page <= self.max_pages else None

    def take(self, page: Page[Job]) -> list[Job]:
        fresh = [j for j in page.items if j.id not in self.seen]
        self.seen |= {j.id for j in fresh}
        self.more = page.has_next
        self.page += 1
        return fresh

    def shrink(self) -> bool:
        self.limit, self.page = self.limit // 2, 1
        return self.limit > 0
