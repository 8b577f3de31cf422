"""Which jobs of the organization live: the list of jobs, read no further than it must be.

The list is newest first and holds every job there ever was. The first look goes back as far as a
job may reasonably live. Later ones go back until they have met every job that lived before.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from perian_shim.api.jobs import Job
from perian_shim.api.paging import Pager
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.tickets import ANY, Living, project_mark
from perian_shim.settings import EXECUTION_PROJECT

HORIZON = timedelta(days=7)
"""Jobs that were created so long before the newest one are not looked for."""


@dataclass
class Census:
    """The jobs that live, look by look.

    Attributes:
        jobs: the API.
        alive: the jobs that lived at the last look, by id.
        newest: when the newest job was created that has been seen.
        projects: marks of the jobs' projects, by id.
    """

    jobs: Jobs
    alive: dict[str, Job] = field(default_factory=dict, init=False)
    newest: datetime | None = field(default=None, init=False)
    projects: dict[str, str] = field(default_factory=dict, init=False)

    def look(self, *, patient: bool) -> Living:
        """Look through the list.

        Args:
            patient: whether refused credentials are waited out.

        Raises:
            ApiUnavailable: the list cannot be had.
        """
        looks = self.jobs.looks
        before, missed = self.newest, set(self.alive)
        known = before and before - timedelta(seconds=looks.margin)
        alive: dict[str, Job] = {}
        listed: set[str] = set()
        oldest: datetime | None = None
        sorted_so_far = True
        for page in self.jobs.pages(Pager(max_pages=looks.pages), patient=patient):
            for job in page:
                listed.add(job.id)
                missed.discard(job.id)
                created = job.created_at
                if created is not None:
                    sorted_so_far = sorted_so_far and (oldest is None or created <= oldest)
                    oldest = created
                    self.newest = max(self.newest or created, created)
                if not job.phase.terminal:
                    alive[job.id] = job
            if oldest is None or not sorted_so_far or self.newest is None:
                continue
            if oldest < self.newest - HORIZON or (known and oldest < known and not missed):
                break
        self.alive = alive
        self.projects = {job_id: self.project_of(job) for job_id, job in alive.items()}
        return Living(self.projects, listed)

    def project_of(self, job: Job) -> str:
        """Return the mark of the Flyte project whose job it is, ``ANY`` while it cannot be seen."""
        known = self.projects.get(job.id, ANY)
        if known != ANY:
            return known
        seen: Job | None = job
        if EXECUTION_PROJECT not in job.env_variables and not job.env_complete:
            seen = self.jobs.peek(job.id)
        if seen is None:
            return ANY
        return project_mark(seen.env_variables.get(EXECUTION_PROJECT, ""))
