"""What there is to rent, asked before a job is submitted. What cannot be told stops nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ApiError
from perian_shim.api.job_request import Requirements
from perian_shim.lifecycle.retrying import Retrier

T = TypeVar("T")

ASK_SECONDS = 20.0
"""How long an outage of the catalogue is ridden out."""

PAGES = 10
"""How many pages of it are read at most."""

PER_PAGE = 100


@dataclass(frozen=True)
class Catalogue:
    """Perian's instance types.

    Attributes:
        connect: makes a client.
        retrier: makes calls again.
    """

    connect: Callable[[], PerianClient]
    retrier: Retrier

    def machines(self, requirements: Requirements) -> list[InstanceType] | None:
        """Return the machines that meet the requirements and can be had.

        Returns:
            None if that cannot be told: the catalogue does not answer, or has too many.
        """
        found: list[InstanceType] = []
        try:
            with self.connect() as client:
                for number in range(1, PAGES + 1):

                    def ask(number: int = number) -> tuple[list[InstanceType], bool]:
                        page = client.list_instance_types(requirements, number, PER_PAGE)
                        return list(page.items), page.has_next

                    items, more = self._ask(ask)
                    found += [machine for machine in items if machine.available is not False]
                    if not more:
                        return found
        except ApiError:
            pass
        return None

    def machine(self, instance_type_id: str) -> InstanceType | None:
        """Return a machine, None if that cannot be told."""
        try:
            with self.connect() as client:
                return self._ask(lambda: client.get_instance_type(instance_type_id))
        except ApiError:
            return None

    def _ask(self, act: Callable[[], T]) -> T:
        with self.retrier.bounded(ASK_SECONDS):
            return self.retrier.call(
                act, lambda error: isinstance(error, ApiError) and error.retryable
            )
