"""What was rented, held against what was asked for: pure.

Perian chooses the machine. If it is another one than the task allows, every minute costs money that
nobody agreed to, or data is where it must not be. Only what the API says of a job is compared; what
it does not say is not guessed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.job_request import Requirements
from perian_shim.api.jobs import Job
from perian_shim.errors import WrongMachine
from perian_shim.settings import JOB_RULES, POLICY

if TYPE_CHECKING:
    from perian_shim.lifecycle.rules import Rules


@dataclass(frozen=True)
class Rental:
    """What was asked for.

    Attributes:
        requirements: what the machine must have.
        instance_type_id: the one machine type that was asked for, if one was.
    """

    requirements: Requirements = field(default_factory=Requirements)
    instance_type_id: str | None = None

    @property
    def needs_catalogue(self) -> bool:
        """Whether it asks for something that only the catalogue knows of a machine."""
        asked = self.requirements
        needs = (asked.country_code, asked.provider, asked.accelerators, asked.accelerator_type)
        return any(needs)


def differences(rental: Rental, job: Job, machine: InstanceType | None) -> list[str]:
    """Return in what the rented machine breaks the request, one sentence part for each.

    Args:
        rental: what was asked for.
        job: the job as the API shows it.
        machine: the machine that the job names, None if that is not known.
    """
    asked = rental.requirements
    found = []
    price = job.price.per_hour if job.price else None
    limit = asked.max_price_per_hour
    if limit is not None and price is not None and price > limit:
        currency = f" {job.price.currency}" if job.price and job.price.currency else ""
        found.append(
            f"it costs {price.normalize():f}{currency} per hour, at most {limit} was asked"
        )
    wanted = rental.instance_type_id
    if wanted is not None and job.instance_type_id not in {None, wanted}:
        found.append(f"its instance type is {job.instance_type_id}, {wanted} was asked")
    if machine is None:
        return found
    texts = (
        ("country", asked.country_code, machine.country_code),
        ("provider", asked.provider, machine.provider),
    )
    found += [
        f"its {name} is {rented}, {wanted} was asked"
        for name, wanted, rented in texts
        if wanted and rented and wanted.casefold() != rented.casefold()
    ]
    if asked.accelerators is not None and machine.accelerators < asked.accelerators:
        found.append(f"it has {machine.accelerators} accelerators, {asked.accelerators} were asked")
    kind, rented = asked.accelerator_type, machine.accelerator_type
    if kind and rented and not same_model(kind, rented):
        found.append(f"its accelerators are {rented}, {kind} was asked")
    return found


def expect_machine(
    rental: Rental, job: Job, machine_of: Callable[[str], InstanceType | None]
) -> None:
    """Expect the machine that was asked for.

    Args:
        rental: what was asked for.
        job: has a machine.
        machine_of: looks an instance type up in the catalogue.

    Raises:
        WrongMachine: it is another one.
    """
    machine, rules = None, rules_of(job)
    if job.instance_type_id and judged_by_catalogue(rental, job):
        machine = machine_of(job.instance_type_id)
    found = differences(rental, job, machine)
    if found:
        message = f"Job {job.id} got another machine than the task asks for: {', '.join(found)}."
        raise WrongMachine(message, job_id=job.id)
    found = rules.broken_by(job.price, machine, job.instance_type_id) if rules else []
    if found:
        message = f"Job {job.id} got a machine that {POLICY} does not allow: {', '.join(found)}."
        raise WrongMachine(message, job_id=job.id)


def judged_by_catalogue(rental: Rental, job: Job) -> bool:
    """Whether only the catalogue can tell if a job's machine is one that it may have."""
    rules = rules_of(job)
    return rental.needs_catalogue or (rules is not None and rules.about_machines)


def rules_of(job: Job) -> "Rules | None":
    """Return the platform's rules that a job was submitted under, None if there were none."""
    if JOB_RULES not in job.env_variables:
        return None
    from perian_shim.lifecycle.rules import Rules  # noqa: PLC0415 - only where there are rules

    return Rules.of_job(job.env_variables)


def same_model(asked: str, rented: str) -> bool:
    """Whether two names of accelerators may mean the same: "A100" and "NVIDIA_A100_80" do.

    Makers, memory sizes and spellings differ; what is compared is the model's number.
    """
    models = [word for word in words(asked).split() if re.search(r"\d", word)]
    return not models or any(re.search(rf"{word}(?!\d)", words(rented)) for word in models)


def words(name: str) -> str:
    """Return a name's letters and digits in lower case, with blanks for all else."""
    return re.sub(r"[^a-z0-9]+", " ", name.casefold())
