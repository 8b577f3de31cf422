"""Whose a job is, read from its environment: from the job to its pod and its execution in one look.

Every job of ours says it in variables that anybody with the organization's token can read
(``perian_shim.settings``, "Markers" and "Flyte's"). Jobs of older versions say less; what follows
from the rest is derived. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from perian_shim import settings
from perian_shim.api.jobs import Job

_POD = re.compile(r"-(?P<node>[^-/]+)-(?P<attempt>[0-9]{1,9})")
"""What follows the execution in the name of a pod that runs a node of its own workflow."""


@dataclass(frozen=True)
class JobOrigin:
    """Whose a job is. What is not known is "", the attempt None.

    Attributes:
        project: Flyte project of the execution.
        domain: Flyte domain of the execution.
        execution: name of the execution; "" for a run on somebody's own machine.
        node: the node's path within the execution, e.g. ``n0``, ``n0/dn1``, ``n0[3]``.
        task: name of the task.
        version: of the task.
        attempt: Flyte's number of the attempt that submitted the job, from 0.
        owner: who answers for it.
        pod: name of the pod that submitted it. Another one of the same node may follow it.
        records: URI of the folder of launch records, which tell whether a pod follows it.
        key: the idempotency key.
        output: URI of the prefix below which the job leaves what it produces.
    """

    project: str = ""
    domain: str = ""
    execution: str = ""
    node: str = ""
    task: str = ""
    version: str = ""
    attempt: int | None = None
    owner: str = ""
    pod: str = ""
    records: str = ""
    key: str = ""
    output: str = ""

    @classmethod
    def of(cls, job: Job) -> "JobOrigin | None":
        """Return whose a job is, None if it is not one of ours.

        Args:
            job: with its environment. One whose ``env_complete`` is False, as in listings that are
                very large, has to be asked for by itself before None means anything.
        """
        if not is_ours(job):
            return None
        shown = job.env_variables
        execution = shown.get(settings.EXECUTION_ID, "")
        output = shown.get(settings.JOB_OUTPUT, "")
        pod, node, attempt = from_output(output, execution)
        return cls(
            project=shown.get(settings.EXECUTION_PROJECT, ""),
            domain=shown.get(settings.EXECUTION_DOMAIN, ""),
            execution=execution,
            node=shown.get(settings.JOB_NODE, node),
            task=shown.get(settings.TASK_NAME, ""),
            version=shown.get(settings.TASK_VERSION, ""),
            attempt=number(shown, settings.ATTEMPT_NUMBER, attempt),
            owner=shown.get(settings.JOB_OWNER, ""),
            pod=shown.get(settings.JOB_POD, pod),
            records=shown.get(settings.JOB_RECORDS, ""),
            key=shown.get(settings.JOB_KEY, ""),
            output=output,
        )


def is_ours(job: Job) -> bool:
    """Whether a job carries a key, as every job of ours does."""
    return bool(job.env_variables.get(settings.JOB_KEY))


def from_output(output: str, execution: str) -> tuple[str, str, int | None]:
    """Return pod, node and attempt as the place of a job's outputs tells them.

    That is the pod's own prefix, which ends in its name. A long name is a hash, and that of a node
    within a node is not taken apart: its parts may contain what stands between them.
    """
    for part in output.split("/") if execution else ():
        if part.startswith(f"{execution}-"):
            told = _POD.fullmatch(part.removeprefix(execution))
            return part, told["node"] if told else "", int(told["attempt"]) if told else None
    return "", "", None


def number(shown: Mapping[str, str], name: str, default: int | None) -> int | None:
    """Return a variable that is a whole number, ``default`` if it is none."""
    value = shown.get(name, "")
    return int(value) if re.fullmatch("[0-9]{1,9}", value) else default
