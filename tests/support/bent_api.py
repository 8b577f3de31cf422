"""A second door to a sandbox's API, through which a job looks other than it is.

The sandbox runs the job; what a pod is told of it is bent on the way. Nothing else changes, so
that tests with other pods can use the sandbox at the same time.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from support.flyte import Harness

from perian_shim.sandbox.server.application import Request, Response
from perian_shim.sandbox.server.http import ApiServer, Exchange, Middleware

JobView: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Bend:
    """What one answer about a job may be changed with.

    Attributes:
        view: the job as the API shows it, to be changed in place.
        looks: how often this server has shown a job, this time included.
    """

    view: JobView
    looks: int


def bent(change: Callable[[Bend], Response | None]) -> Middleware:
    """Change what ``GET /job/{id}`` shows; a response that is returned is sent in its place."""
    looks = 0

    def middleware(exchange: Exchange, proceed: Callable[[], Response]) -> Response | None:
        nonlocal looks
        response = proceed()
        if not is_look(exchange.request):
            return response
        document = json.loads(response.body)
        for view in document.get("jobs", []):
            looks += 1
            other = change(Bend(view, looks))
            if other is not None:
                return other
        return Response.of(response.status, document)

    return middleware


def showing(fields: Mapping[str, object], *, once: str = "") -> Middleware:
    """Show some fields of a job otherwise; with ``once``, when it really has that status."""

    def change(bend: Bend) -> None:
        if once in {"", bend.view["status"]}:
            bend.view.update(fields)

    return bent(change)


def is_look(request: Request) -> bool:
    """Whether a request is for one job."""
    words = request.path.strip("/").split("/")
    return request.method == "GET" and words[0] == "job" and len(words) == 2


@contextmanager
def behind(harness: Harness, middleware: Middleware, **variables: str) -> Iterator[Harness]:
    """Give a harness whose pods reach the API through a middleware.

    Args:
        harness: a harness on a started sandbox.
        middleware: stands around the API.
        **variables: more of the pods' environment.
    """
    behind_it = harness.sandbox.server
    assert behind_it is not None
    server = ApiServer(behind_it.application)
    server.middleware = middleware
    server.start()
    try:
        yield with_variables(harness, PERIAN_API_URL=server.url, **variables)
    finally:
        server.stop()


def with_variables(harness: Harness, **variables: str) -> Harness:
    """Return a harness whose pods have more environment variables."""
    environment = {**harness.cluster.environment, **variables}
    return replace(harness, cluster=replace(harness.cluster, environment=environment))
