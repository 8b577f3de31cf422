"""Perian's API as it may be: a front to a sandbox's jobs that misbehaves, or one that only does.

``FaultyApi(sandbox, ListingLag(30), Spell(UNAUTHORIZED, seconds=70), speed=30)`` shows and takes
the jobs of a sandbox, with misbehaviours in between: ``support.api_faults`` and
``support.listings`` have them. Several fronts to one sandbox can misbehave in different ways at
once. ``FaultyServer(reply(503), close())`` has nothing behind it and answers as told, see
``support.answers``. All faults are real: sockets are reset, answers break off, ports refuse.
"""

import math
import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from support.answers import in_turn
from support.api_calls import Call, requested
from support.api_faults import Fault, Script
from support.doorkeeper import at_the_door, doorkeeper
from support.front import Behaviour, Front, Received
from support.in_pod import paced
from support.listings import Entry, Listing, in_its_time

from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.records import Json
from perian_shim.sandbox.server.application import (
    NO_JOB,
    Application,
    Refusal,
    Request,
    Response,
    paging,
    path_id,
)
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.sandbox.server.views import job_view, page_of, success


class FaultyServer(Front):
    """An API with no jobs: answers with one behaviour after the other, the last one for ever."""

    def __init__(self, *answers: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(behind=in_turn(*answers), tls=tls)

    def __enter__(self) -> "FaultyServer":  # noqa: PYI034 - Self needs Python 3.11
        super().__enter__()
        return self


class FaultyApi(Front):
    """A front to a sandbox's jobs.

    Args:
        sandbox: started.
        *behaviours: what it does otherwise than the sandbox; those that are a ``Listing`` change
            the list of jobs.
        queued_seconds: how long jobs submitted here stay Queued, in real seconds.
        speed: how many of its seconds a real second has. In them are what misbehaviours say of
            time, the times of jobs that it shows, and the clock of pods that use ``environment``.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        *behaviours: Behaviour,
        queued_seconds: float = 0.0,
        speed: float = 1.0,
    ) -> None:
        assert sandbox.server is not None
        behind = sandbox.server.application
        assert isinstance(behind, Application)
        self.application = Jobs(behind, self, queued_seconds)
        super().__init__(
            *behaviours, behind=lambda at: self.application(at.request.parsed), speed=speed
        )
        self.refusals = [
            each for each in behaviours if isinstance(each, Script) and each.fault is Fault.REFUSED
        ]

    def __enter__(self) -> "FaultyApi":  # noqa: PYI034 - Self needs Python 3.11
        super().__enter__()
        if self.refusals:
            folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="connecting-"))
            self.door = Path(folder) / "socket"
            self.stack.enter_context(doorkeeper(self.door, self.before_connecting))
        return self

    @property
    def seen(self) -> list[Call]:
        """The calls that have arrived."""
        return [call for request in self.requests if (call := requested(request)) is not None]

    @property
    def environment(self) -> Mapping[str, str]:
        """What a pod needs to come here, and to live as fast as this front does."""
        variables = {"PERIAN_API_URL": self.url}
        if self.refusals:
            variables.update(at_the_door(self.door, self.port))
        if self.speed != 1:
            variables.update(paced(self.speed, self.opened_at))
        return variables

    def before_connecting(self, call: Call | None) -> None:
        """Refuse or accept the connection that is about to be made."""
        self.listen(not any(each.strikes(call, connecting=True) for each in self.refusals))

    def age_of(self, job_id: str) -> float:
        """Return the age of a job, infinite if there is none."""
        job = self.application.store.get(job_id)
        return math.inf if job is None else self.age(job.record.created_at)

    def respond(self, request: Received, connection: socket.socket) -> Response | None:
        """Answer; where connections may be refused, each call has one of its own."""
        response = super().respond(request, connection)
        if response is None or not self.refusals:
            return response
        return replace(response, headers={**response.headers, "Connection": "close"})


class Jobs(Application):
    """A sandbox's jobs as a front lists and shows them."""

    def __init__(self, behind: Application, front: Front, queued_seconds: float) -> None:
        policy = replace(behind.policy, queued_seconds=queued_seconds)
        super().__init__(behind.store, policy, behind.credentials)
        self.front = front

    def list_jobs(self, request: Request) -> Json:
        """``GET /job``: as listings among the behaviours have it."""
        number, limit = paging(request)
        with self.store.lock:
            entries: list[Entry] = list(self.store.load())
        for behaviour in reversed(self.front.behaviours):
            if isinstance(behaviour, Listing):
                entries = behaviour.listed(entries, self.front)
        page = entries[(number - 1) * limit : number * limit]
        jobs: list[Json] = [
            entry if isinstance(entry, dict) else self.view(self.store.snapshot(entry))
            for entry in page
        ]
        pagination = page_of(number, limit, len(entries))
        return success(limit=limit, no=len(jobs), jobs=jobs, pagination=pagination)

    def get_job(self, text: str) -> Json:
        """``GET /job/{job_id}``."""
        snapshot = self.store.get(path_id(text, "job_id"))
        if snapshot is None:
            raise Refusal(NO_JOB)
        return success(limit=1, no=1, jobs=[self.view(snapshot)], pagination=page_of(1, 1, 1))

    def view(self, snapshot: JobSnapshot) -> Json:
        """Return a job as it is shown."""
        view = job_view(snapshot)
        return view if self.front.speed == 1 else in_its_time(view, self.front)
