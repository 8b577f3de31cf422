"""The requests that misbehaviours are about: calls of Perian's API, or requests to the storage."""

import re
from enum import Enum
from typing import TypeAlias

from support.front import Received


class Call(str, Enum):
    """The calls that a run makes."""

    SUBMIT = "POST /job"
    READ = "GET /job/{id}"
    LIST = "GET /job"
    CANCEL = "PATCH cancel"


Wanted: TypeAlias = "Call | frozenset[Call] | re.Pattern[str]"
"""Requests: one kind of call, several, or those whose ``METHOD target`` matches a pattern."""

EVERY = frozenset(Call)


def call_of(method: str, path: str) -> Call | None:
    """Return which call a request is."""
    if path == "/job":
        return {"POST": Call.SUBMIT, "GET": Call.LIST}.get(method)
    if method == "PATCH" and path.endswith("/cancel"):
        return Call.CANCEL
    return Call.READ if method == "GET" and path.startswith("/job/") else None


def requested(request: Received) -> Call | None:
    """Return which call a received request is."""
    return call_of(request.method, request.path)


def fits(wanted: Wanted, request: Received) -> bool:
    """Whether a request is one of those."""
    if isinstance(wanted, re.Pattern):
        return wanted.search(request.line) is not None
    call = requested(request)
    return call is wanted or (isinstance(wanted, frozenset) and call in wanted)


def job_of(request: Received) -> str | None:
    """Return the id of the job that a request is about."""
    words = request.path.strip("/").split("/")
    return words[1] if words[0] == "job" and len(words) > 1 else None
