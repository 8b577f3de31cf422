"""A job as the Perian API shows it: a frozen record of the fields that perian-shim uses.

Times are aware datetimes. Unknown fields are ignored, unknown statuses kept as they are spelled,
and what is missing reads as None. Only what tells a job from others and how it fares is read
strictly, that is id, status and environment: a wrong shape raises ``MalformedResponse`` naming the
field. The rest is None then. Secrets, registry credentials and container files, which the API
echoes in a job's ``docker_metadata``, are not kept.

``ONE_JOB`` and ``LISTED_JOBS`` say what is read of an answer at all, so that neither one job's log
nor the bulk of an organization's other jobs has to fit in memory.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from perian_shim.api.catalogue import Price
from perian_shim.api.errors import MalformedResponse
from perian_shim.api.excerpt import Excerpt
from perian_shim.api.fields import Fields, optional
from perian_shim.api.long_string import KeepText
from perian_shim.api.phases import JobStatus, Phase, phase_of
from perian_shim.api.trimming import NOTHING, Keep

KB, MB = 1 << 10, 1 << 20

SHORT = Keep(KeepText(slack=4 * KB), limit=4 * KB)
"""Names, times, numbers and small objects: what is longer is none of them."""

LONG = Keep(KeepText(head=64 * KB, tail=64 * KB, slack=MB), limit=MB)
"""What is read by people, and may be of any length."""


def answer_with(job: Mapping[str, Keep], docker: Mapping[str, Keep]) -> Keep:
    """Return what is kept of an answer that holds jobs.

    Args:
        job: members of a job that are kept beside the short ones.
        docker: what is kept of its ``docker_run_parameters`` beside the image.
    """
    times = ("created_at", "started_at", "done_at", "updated_at")
    parameters = only({"image_name": SHORT, "image_tag": SHORT, **docker})
    members = {
        **dict.fromkeys(("id", "status", *times, "price", "runtime_metadata"), SHORT),
        "docker_metadata": only({"docker_run_parameters": parameters}),
        **job,
    }
    return Keep(members={"jobs": Keep(others=only(members))})


def only(members: Mapping[str, Keep]) -> Keep:
    """Keep nothing of an object but these members."""
    return Keep(members=members, others=NOTHING)


MISSED = b'{"": null}'
"""Stands for an environment that is too large: it lacks something. Null might mean that none is."""

ONE_JOB = answer_with(
    {
        # More new text between two looks than the tail holds is lost.
        "logs": Keep(
            KeepText(MB, 6 * MB, slack=MB, after=frozenset({"id", "status"})),
            limit=0,
        ),
        "errors": LONG,
    },
    {"command": LONG, "env_variables": Keep(limit=8 * MB, gone=MISSED)},
)
"""What is kept of an answer about one job."""

LISTED_JOBS = answer_with(
    {},
    {
        # Only to see that there is one.
        "command": Keep(KeepText(head=16), limit=0),
        "env_variables": Keep(limit=64 * KB, others=Keep(KeepText(slack=8 * KB)), gone=MISSED),
    },
)
"""What is kept of a page of a listing: of a hundred jobs at most some 10 MB."""


@dataclass(frozen=True)
class Job:
    """A job as the API shows it.

    Attributes:
        id: the job's id.
        status: verbatim, e.g. ``"Running"``; see ``JobStatus`` for those known.
        created_at: when it was submitted.
        started_at: when it began to run.
        done_at: when it ended.
        updated_at: when it last changed.
        logs: everything the container printed so far, as the API returns it; an ``Excerpt`` if that
            is very long. None in listings.
        errors: the platform's explanation of a failure; one that is not text as JSON. None in
            listings.
        price: of the machine chosen.
        image: ``name`` or ``name:tag``.
        command: the command string. None in listings.
        env_variables: the container's environment; values that are not text as JSON. Not in repr.
        env_complete: whether that is the whole environment. If not, as in listings for a very large
            one or where the API leaves out the details, the job itself has to be asked for to know
            that it lacks a variable. Does not count in comparisons.
        instance_type_id: of the machine asked for.
        timeout_seconds: limit of the run, None if there is none.
        answer_bytes: how long the answer about it was; 0 in listings. Does not count in
            comparisons.
    """

    id: str
    status: str
    created_at: datetime | None = None
    started_at: datetime | None = None
    done_at: datetime | None = None
    updated_at: datetime | None = None
    logs: str | None = field(default=None, repr=False)
    errors: str | None = None
    price: Price | None = None
    image: str | None = None
    command: str | None = field(default=None, repr=False)
    env_variables: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    env_complete: bool = field(default=True, compare=False)
    instance_type_id: str | None = None
    timeout_seconds: int | None = None
    answer_bytes: int = field(default=0, compare=False)

    @classmethod
    def from_json(cls, obj: object, where: str = "job") -> "Job":
        """Read the API's ``JobView``."""
        fields = Fields(obj, where)
        docker = fields.child("docker_metadata").child("docker_run_parameters")
        return cls.of(fields, fields.text("status"), docker, Environment.of(docker))

    @classmethod
    def from_listing(cls, obj: object, where: str = "job") -> "Job | None":
        """Read an entry of a listing, which must not stand in the way of all others.

        What cannot be read of it is None, and its status Undefined. An entry with an environment
        but no id gets one that no job has: whoever recognizes it sees that a job is there, although
        nobody can ask for it.

        Returns:
            The job, or None if neither its id nor its environment can be told.
        """
        try:
            fields = Fields(obj, where)
        except MalformedResponse:
            return None
        status = optional(fields.text, "status")
        try:
            docker = fields.child("docker_metadata").child("docker_run_parameters")
            environment = Environment.of(docker)
        except MalformedResponse:
            docker, environment = Fields({}, where), Environment()
        if not optional(fields.text, "id"):
            if not environment.variables:
                return None
            fields = Fields({**fields.values, "id": f"({where}, without an id)"}, where)
        # What a listing shows of these is shortened beyond use.
        fields = Fields({**fields.values, "logs": None, "errors": None}, where)
        docker = Fields({**docker.values, "command": None}, docker.where)
        return cls.of(fields, status, docker, environment)

    @classmethod
    def of(
        cls, fields: Fields, status: str | None, docker: Fields, environment: "Environment"
    ) -> "Job":
        """Read what is optional besides what has been read."""
        runtime = fields.optional_child("runtime_metadata")
        image = (optional(docker.text, "image_name"), optional(docker.text, "image_tag"))
        return cls(
            id=fields.required_text("id"),
            status=status or JobStatus.UNDEFINED.value,
            created_at=optional(fields.moment, "created_at"),
            started_at=optional(fields.moment, "started_at"),
            done_at=optional(fields.moment, "done_at"),
            updated_at=optional(fields.moment, "updated_at"),
            logs=excerpt_of(fields, "logs", "log") or optional(fields.text, "logs"),
            errors=excerpt_of(fields, "errors", "error") or fields.words("errors"),
            price=optional(lambda _: Price.from_field(fields), "price"),
            image=":".join(part for part in image if part) or None,
            command=excerpt_of(docker, "command", "command") or optional(docker.text, "command"),
            env_variables=environment.variables,
            env_complete=environment.complete,
            instance_type_id=optional(runtime.text, "instance_type_id"),
            timeout_seconds=optional(runtime.count, "timeout_seconds"),
        )

    @property
    def phase(self) -> Phase:
        """What the status means for the run."""
        return phase_of(self.status)


@dataclass(frozen=True)
class Glance:
    """What the beginning of an answer about a job tells, as far as its log.

    Attributes:
        job: the job without its log and what stands behind it; None if its status stands there.
        answer_bytes: how long the whole answer is, None if the API does not say.
        whole: whether the answer ended before it could be left: the job lacks nothing.
    """

    job: Job | None
    answer_bytes: int | None
    whole: bool = False


@dataclass(frozen=True)
class Environment:
    """A container's environment, as far as it is shown.

    Attributes:
        variables: the values by name.
        complete: whether there are no others.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False

    @classmethod
    def of(cls, docker: Fields) -> "Environment":
        """Read it from a container's parameters.

        No environment may mean that it is not shown. Then the command, which nearly every container
        has, is not shown either.
        """
        shown = docker.child("env_variables").values
        variables = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in shown.items()
            if value is not None  # taken out because it is very long
        }
        details = bool(shown) or docker.values.get("command") is not None
        return cls(variables, details and len(variables) == len(shown))


def excerpt_of(fields: Fields, key: str, what: str) -> Excerpt | None:
    """Return a text that was shortened, None if it was not."""
    return Excerpt.from_json(fields.values.get(key), what)
