"""Credential Access Boundaries, as Google evaluates them: as much of its language as is in use.

https://cloud.google.com/iam/docs/downscoping-short-lived-credentials
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GET, LIST = "storage.objects.get", "storage.objects.list"
CREATE, DELETE = "storage.objects.create", "storage.objects.delete"
UPDATE = "storage.objects.update"

ROLES = {
    "roles/storage.objectViewer": {GET, LIST},
    "roles/storage.objectCreator": {CREATE},
    "roles/storage.objectUser": {GET, LIST, CREATE, DELETE, UPDATE},
    "roles/storage.objectAdmin": {GET, LIST, CREATE, DELETE, UPDATE},
}

STRING = r"'((?:[^'\\\n]|\\.)*)'"
TERMS = {
    "name": re.compile(rf"resource\.name == {STRING}"),
    "below": re.compile(rf"resource\.name\.startsWith\({STRING}\)"),
    "listed": re.compile(
        r"api\.getAttribute\('storage\.googleapis\.com/objectListPrefix', ''\)"
        rf"\.startsWith\({STRING}\)"
    ),
}
ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}


class Malformed(Exception):
    """A boundary that Google does not take."""


@dataclass(frozen=True)
class Term:
    """One term of a condition: of what kind, and the text that it compares with."""

    kind: str
    text: str

    def holds(self, name: str, listed: str) -> bool:
        if self.kind == "name":
            return name == self.text
        return (name if self.kind == "below" else listed).startswith(self.text)


@dataclass(frozen=True)
class Rule:
    """What is allowed in a bucket where one of the terms holds; no terms: everywhere."""

    bucket: str
    permissions: frozenset[str]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Boundary:
    """What a token is good for at most."""

    rules: tuple[Rule, ...]

    def allows(self, permission: str, bucket: str, key: str | None, listed: str = "") -> bool:
        """Whether it allows an operation on an object, or listing with a prefix."""
        name = f"projects/_/buckets/{bucket}"
        name += "" if key is None else f"/objects/{key}"
        return any(
            rule.bucket == bucket
            and permission in rule.permissions
            and (not rule.terms or any(term.holds(name, listed) for term in rule.terms))
            for rule in self.rules
        )


def parsed_boundary(options: Mapping[str, Any]) -> Boundary:
    """A boundary from the options of a token exchange.

    Raises:
        Malformed: Google would not take it.
    """
    try:
        given = options["accessBoundary"]["accessBoundaryRules"]
        if set(options) != {"accessBoundary"} or not 1 <= len(given) <= 10:
            raise Malformed("a boundary has one to ten rules")
        return Boundary(tuple(parsed_rule(rule) for rule in given))
    except (KeyError, TypeError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from None


def parsed_rule(rule: Mapping[str, Any]) -> Rule:
    """One rule."""
    resource = re.fullmatch(
        r"//storage\.googleapis\.com/projects/_/buckets/([^/]+)", rule["availableResource"]
    )
    assert all(role.startswith("inRole:") for role in rule["availablePermissions"]), rule
    roles = [role.removeprefix("inRole:") for role in rule["availablePermissions"]]
    if resource is None or not set(roles) <= set(ROLES):
        raise Malformed("no such bucket or role")
    condition = rule.get("availabilityCondition")
    terms = () if condition is None else parsed_terms(condition["expression"])
    return Rule(resource[1], frozenset().union(*(ROLES[role] for role in roles)), terms)


def parsed_terms(expression: str) -> tuple[Term, ...]:
    """The terms of a condition, which ``||`` joins."""
    if len(expression) > 2048:
        raise Malformed("an expression is too long")
    found: list[Term] = []
    rest = expression
    while True:
        for kind, pattern in TERMS.items():
            if match := pattern.match(rest):
                found.append(Term(kind, unescaped(match[1])))
                rest = rest[match.end() :]
                break
        else:
            raise Malformed(f"no expression: {rest[:60]!r}")
        if not rest:
            break
        if not rest.startswith(" || "):
            raise Malformed(f"no expression: {rest[:60]!r}")
        rest = rest[4:]
    if len(found) > 13:
        raise Malformed("an expression has too many operators")
    return tuple(found)


def unescaped(text: str) -> str:
    """The text that a literal stands for."""

    def one(match: re.Match[str]) -> str:
        if match[1][0] in "uU":
            return chr(int(match[1][1:], 16))
        if match[1] not in ESCAPES:
            raise Malformed(f"no escape: {match[0]!r}")
        return ESCAPES[match[1]]

    return re.sub(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", one, text)
