"""Registered entities of one kind, under FlyteAdmin's rules for identifiers, digests and lists."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from flyteidl.admin import common_pb2
from flyteidl.core import identifier_pb2
from google.protobuf.message import Message
from support.admin_answers import Refused

SpecT = TypeVar("SpecT", bound=Message)
AnswerT = TypeVar("AnswerT", bound=Message)
ItemT = TypeVar("ItemT")

DOMAINS = ("development", "staging", "production")

_EQUALS = re.compile(r"eq\((\w+),(.*)\)")


class EntityId(NamedTuple):
    """The key of a registered entity."""

    project: str
    domain: str
    name: str
    version: str

    @classmethod
    def of(cls, identifier: identifier_pb2.Identifier) -> "EntityId":
        """Return an identifier's parts, without its resource type."""
        return cls(identifier.project, identifier.domain, identifier.name, identifier.version)


@dataclass(frozen=True)
class Entry(Generic[SpecT, AnswerT]):
    """One registered entity.

    Attributes:
        spec: what the client sent.
        answer: what ``Get…`` returns.
        digest: two registrations are the same if this is.
    """

    spec: SpecT
    answer: AnswerT
    digest: bytes


@dataclass
class Shelf(Generic[SpecT, AnswerT]):
    """Everything registered of one kind, in the order of registration.

    Attributes:
        kind: "task", "workflow" or "launch plan".
    """

    kind: str
    entries: dict[EntityId, Entry[SpecT, AnswerT]] = field(default_factory=dict)

    @property
    def specs(self) -> dict[EntityId, SpecT]:
        """What was registered, by id."""
        return {identifier: entry.spec for identifier, entry in self.entries.items()}

    def add(
        self,
        identifier: identifier_pb2.Identifier,
        entry: Entry[SpecT, AnswerT],
        same: Callable[[SpecT, SpecT], bool] = lambda _old, _new: False,
    ) -> None:
        """Keep an entity unless there is one of its id.

        Args:
            identifier: its id.
            entry: the entity.
            same: a second opinion on two specs whose digests differ.

        Raises:
            Refused: ALREADY_EXISTS if it is the same, else INVALID_ARGUMENT.
        """
        existing = self.entries.setdefault(EntityId.of(identifier), entry)
        if existing is entry:
            return
        if existing.digest == entry.digest or same(existing.spec, entry.spec):
            message = f"{self.kind} with identical structure already exists"
            raise Refused("ALREADY_EXISTS", message)
        message = (
            f"{identifier.name} {self.kind} with different structure already exists."
            f" (Please register a new version of the {self.kind})"
        )
        raise Refused("INVALID_ARGUMENT", message)

    def find(self, identifier: identifier_pb2.Identifier) -> AnswerT:
        """Return an entity.

        Raises:
            Refused: NOT_FOUND.
        """
        entry = self.entries.get(EntityId.of(identifier))
        if entry is None:
            key = EntityId.of(identifier)
            raise Refused("NOT_FOUND", f"missing entity of type {self.kind} with identifier {key}")
        return entry.answer

    def listed(self, request: common_pb2.ResourceListRequest) -> tuple[list[AnswerT], str]:
        """Return a page of entities, the newest first unless asked otherwise, and its token."""
        wanted = _conditions(request.filters)
        for name in ("project", "domain", "name"):
            if value := getattr(request.id, name):
                wanted[name] = value
        found = [
            entry.answer
            for identifier, entry in self.entries.items()
            if all(getattr(identifier, name) == value for name, value in wanted.items())
        ]
        if request.sort_by.direction == common_pb2.Sort.DESCENDING:
            found.reverse()
        return page(found, request.limit, request.token)

    def names(
        self, request: common_pb2.NamedEntityIdentifierListRequest
    ) -> common_pb2.NamedEntityIdentifierList:
        """Return the names of a project and domain, each once whatever its versions."""
        keys = {
            (key.project, key.domain, key.name): None
            for key in self.entries
            if (key.project, key.domain) == (request.project, request.domain)
        }
        chosen, token = page(keys, request.limit, request.token)
        return common_pb2.NamedEntityIdentifierList(
            entities=[
                common_pb2.NamedEntityIdentifier(project=project, domain=domain, name=name)
                for project, domain, name in chosen
            ],
            token=token,
        )


def page(items: Iterable[ItemT], limit: int, token: str) -> tuple[list[ItemT], str]:
    """Return the items of one page and the token of the next; the token is an offset."""
    if token and not token.isdecimal():
        raise Refused("INVALID_ARGUMENT", f"invalid pagination token {token}")
    start = int(token or 0)
    chosen = list(items)[start : start + limit]
    return chosen, str(start + limit) if len(chosen) == limit else ""


def digest(message: Message) -> bytes:
    """Return the same bytes for equal messages."""
    return message.SerializeToString(deterministic=True)


def check_place(projects: Collection[str], project: str, domain: str) -> None:
    """Refuse a project or domain that does not exist."""
    if project not in projects or domain not in DOMAINS:
        message = (
            f"failed to validate that project [{project}] and domain [{domain}] are registered"
        )
        raise Refused("INVALID_ARGUMENT", message)


def check_id(projects: Collection[str], identifier: identifier_pb2.Identifier) -> None:
    """Refuse an incomplete identifier and one of an unknown project or domain."""
    for name, value in EntityId.of(identifier)._asdict().items():
        if not value:
            raise Refused("INVALID_ARGUMENT", f"missing {name}")
    check_place(projects, identifier.project, identifier.domain)


def _conditions(filters: str) -> dict[str, str]:
    wanted = {}
    for text in filters.split("+") if filters else ():
        match = _EQUALS.fullmatch(text)
        if match is None or match[1] not in EntityId._fields:
            raise Refused("INVALID_ARGUMENT", f"the stand-in has no filter {text!r}")
        wanted[match[1]] = match[2]
    return wanted
