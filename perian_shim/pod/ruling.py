"""What the platform's rules make of one task: refused, constrained, or left as it is.

Rules are for what is submitted. A pod that rejoins a job asks nobody here, and a job carries the
rules that it was submitted under (``lifecycle.rules``). So the rules are applied when a request is
made, and what cannot be read of them is told then.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Generic, TypeVar

from perian_shim import settings
from perian_shim.api.catalogue import InstanceType
from perian_shim.api.costs import money
from perian_shim.api.job_request import CreateJobRequest, Requirements, plain_number
from perian_shim.api.jobs import Job
from perian_shim.config import DEFAULT_SECRET_GROUP
from perian_shim.errors import AgainstPolicy, ConfigError
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.rules import not_among
from perian_shim.lifecycle.terms import Work
from perian_shim.pod.catalogue import Catalogue
from perian_shim.pod.policy import PlatformPolicy, wrong
from perian_shim.spec import JobSpec
from perian_shim.storage.base import split_uri
from perian_shim.work.request import requirements_of
from perian_shim.work.task_run import TaskRun

if TYPE_CHECKING:
    from perian_shim.lifecycle.turns import TicketTurns

T = TypeVar("T")

HOUR_SECONDS = 3600

SMALLEST_PRICE = Decimal("0.000001")


@dataclass(frozen=True)
class Wish:
    """What a task asks for.

    Attributes:
        requirements: what the machine must have.
        instance_type_id: the one machine type that is asked for, if one is.
        own_timeout: the task's timeout in seconds, None if it has none.
        timeout: the limit that its job is to have, None for none.
    """

    requirements: Requirements
    instance_type_id: str | None = None
    own_timeout: int | None = None
    timeout: int | None = None


def refuse(policy: PlatformPolicy, wish: Wish) -> None:
    """Expect a task whose own words break no rule.

    Raises:
        AgainstPolicy: they do; each rule is named, and what was asked.
    """
    asked = wish.requirements
    texts = (
        ("provider", asked.provider, "providers", policy.providers),
        ("country_code", asked.country_code, "countries", policy.countries),
    )
    broken = [
        f"the task asks for {name}={value!r}, and {rule} allows {', '.join(allowed)}"
        for name, value, rule, allowed in texts
        if not_among(name, value, rule, allowed)
    ]
    broken += [*broken_by_time(policy, wish), *broken_by_price(policy, wish)]
    if broken:
        raise against(broken)


def broken_by_time(policy: PlatformPolicy, wish: Wish) -> list[str]:
    """Return which rules a task's timeout breaks."""
    own, most = wish.own_timeout, policy.max_timeout_seconds
    if own is not None and most is not None and own > most:
        return [f"the task asks for timeout={own} s, and max_timeout_seconds allows {most} s"]
    return []


def broken_by_price(policy: PlatformPolicy, wish: Wish) -> list[str]:
    """Return which rules the price that a task accepts breaks."""
    hour, run, currency = policy.max_price_per_hour, policy.max_price_per_run, policy.currency
    asked, timeout = wish.requirements.max_price_per_hour, wish.timeout
    broken = []
    price = None if asked is None else Decimal(str(asked))
    if price is not None and hour is not None and price > hour:
        broken.append(
            f"the task asks for max_price_per_hour={plain_number(price)}, and max_price_per_hour"
            f" allows {plain_number(hour)} {currency}"
        )
    if run is not None and timeout is None:
        broken.append(
            f"the task has no timeout, and max_price_per_run allows {plain_number(run)} {currency}"
            " for a run, which nothing bounds then"
        )
    elif run is not None and timeout is not None and price is not None:
        worst = price * timeout / HOUR_SECONDS
        if worst > run:
            broken.append(
                f"the task accepts {plain_number(price)} per hour for a timeout of {timeout} s,"
                f" {money(worst, currency)} at worst, and max_price_per_run allows"
                f" {plain_number(run)} {currency}"
            )
    return broken


def constrained(policy: PlatformPolicy, wish: Wish) -> Requirements:
    """Return what a machine must have where the task leaves it open and the rules do not."""
    asked = wish.requirements
    prices = [] if policy.max_price_per_hour is None else [policy.max_price_per_hour]
    if policy.max_price_per_run is not None and wish.timeout is not None:
        of_hour = policy.max_price_per_run * HOUR_SECONDS / wish.timeout
        rounded = of_hour.quantize(SMALLEST_PRICE, ROUND_FLOOR)
        prices.append(max(rounded, SMALLEST_PRICE))
    return replace(
        asked,
        max_price_per_hour=asked.max_price_per_hour or min(prices, default=None),
        provider=asked.provider or only(policy.providers),
        country_code=asked.country_code or only(policy.countries),
    )


def only(names: tuple[str, ...]) -> str | None:
    """Return the one name that is allowed, None if there are others or no rule."""
    return names[0] if len(names) == 1 else None


def chosen(
    policy: PlatformPolicy,
    wish: Wish,
    fitting: list[InstanceType],
    asked_for: Callable[[], list[InstanceType]],
) -> InstanceType | None:
    """Return the machine to ask for by its id; None if any that Perian may choose is allowed.

    Args:
        policy: the rules.
        wish: what the task asks for; no machine by its id.
        fitting: the machines that meet the constrained requirements and can be had.
        asked_for: returns those that meet the task's own.

    Raises:
        AgainstPolicy: there are machines that the task asks for, and none is allowed.
    """
    rules = policy.rules(wish.timeout)
    allowed = [each for each in fitting if not rules.broken_by(each.price, each, each.id)]
    if allowed and len(allowed) == len(fitting):
        return None
    if allowed:
        return min(allowed, key=cheapness)
    machines = fitting or asked_for()
    if machines:
        nearest = min(machines, key=cheapness)
        broken = rules.broken_by(nearest.price, nearest, nearest.id)
        said = f"no machine that the task asks for is allowed. {named(nearest)}"
        raise against([f"{said}: {', '.join(broken)}"])
    return None  # Perian refuses, and says why


def cheapness(machine: InstanceType) -> tuple[bool, Decimal]:
    """Sort key: the cheapest first."""
    price = machine.price.per_hour if machine.price else None
    return price is None, price or Decimal(0)


def named(machine: InstanceType) -> str:
    """Return a machine's name and place."""
    where = f"{machine.provider or '?'} in {machine.country_code or '?'}"
    return f"{machine.name or machine.id} of {where}"


def against(broken: list[str]) -> AgainstPolicy:
    """Return the error for rules that are broken."""
    return AgainstPolicy(f"The platform's rules ({settings.POLICY}): {'; '.join(broken)}.")


@dataclass
class RuledWork(Generic[T]):
    """A piece of work whose requests keep the platform's rules.

    Attributes:
        work: the work.
        ruling: the rules.
        wish: what its task asks for.
        catalogue: what there is to rent.
        say: prints a line of ours.
    """

    work: Work[T]
    ruling: "Ruling"
    wish: Wish
    catalogue: Catalogue
    say: Callable[[str], None]

    def request(self, output: str) -> CreateJobRequest:
        """Return the request for a job, as far as the rules allow it.

        Raises:
            ConfigError: the rules cannot be read.
            AgainstPolicy: the task breaks a rule.
            TaskError: it cannot be put together.
        """
        if self.ruling.fault is not None:
            raise self.ruling.fault
        policy, wish = self.ruling.policy, self.wish
        refuse(policy, wish)
        requirements = constrained(policy, wish)
        rules = policy.rules(wish.timeout)
        type_id = wish.instance_type_id
        if rules.about_machines:
            type_id = self.machine_for(requirements)
        request = self.work.request(output)
        variables = dict(request.docker.env_variables)
        if rules.about_machines or (wish.own_timeout is None and wish.timeout is not None):
            variables[settings.JOB_RULES] = rules.to_text()
        return replace(
            request,
            docker=replace(request.docker, env_variables=variables),
            requirements=requirements,
            instance_type_id=type_id,
            auto_failover_instance_type=type_id is None,
        )

    def machine_for(self, requirements: Requirements) -> str | None:
        """Return the id of the machine to ask for, None to leave it to Perian.

        Raises:
            AgainstPolicy: none that the task asks for is allowed.
        """
        policy, wish = self.ruling.policy, self.wish
        asked = wish.instance_type_id
        if asked is not None:
            machine = self.catalogue.machine(asked)
            price = machine.price if machine else None
            broken = policy.rules(wish.timeout).broken_by(price, machine, asked)
            if broken:
                raise against(
                    [f"the task asks for instance_type_id={asked!r}: {', '.join(broken)}"]
                )
            return asked
        fitting = self.catalogue.machines(requirements)
        if fitting is None:
            self.say(
                "the catalogue cannot be had: whether the machine is one that the platform's rules"
                " allow is seen when Perian has chosen it"
            )
            return None
        machine = chosen(
            policy, wish, fitting, lambda: self.catalogue.machines(wish.requirements) or []
        )
        if machine is None:
            return None
        self.say(f"by the platform's rules, the cheapest machine allowed is {named(machine)}")
        return machine.id

    def harvest(self, job: Job, output: str) -> T:
        """Return what a job has left."""
        return self.work.harvest(job, output)

    def keep(self, output: str) -> None:
        """Renew a job's access, if it is time."""
        self.work.keep(output)

    def revoke(self, output: str) -> None:
        """Take its access from a job that has ended."""
        self.work.revoke(output)


def misplaced(policy: PlatformPolicy, own: str) -> ConfigError | None:
    """Return why pods cannot wait for their turn where they are to; None if they can.

    A pod has the access to one kind of store. In another one the folder would be a bucket of the
    same name, where the pods that it has to wait for are not.

    Args:
        policy: the rules.
        own: URI of a folder of the run's own.
    """
    folder = policy.queue_folder
    if folder is None or scheme_of(folder) == scheme_of(own):
        return None
    expected = f"a folder in the kind of store that Flyte uses ({scheme_of(own)}://)"
    return wrong("queue_folder", expected, folder)


def scheme_of(uri: str) -> str:
    """Return the kind of store that a URI is in."""
    scheme = uri.partition("://")[0]
    return "gs" if scheme == "gcs" else scheme


@dataclass(frozen=True)
class Ruling:
    """The platform's rules for one run.

    Attributes:
        policy: the rules.
        fault: why they cannot be read, None if they can. A job that is there is rejoined all the
            same; nothing is submitted.
    """

    policy: PlatformPolicy
    fault: ConfigError | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Ruling":
        """Read the rules that a process is given."""
        try:
            return cls(PlatformPolicy.from_environment(environ))
        except ConfigError as fault:
            return cls(PlatformPolicy(), fault)

    def spec_of(self, spec: JobSpec) -> JobSpec:
        """Return a job's record with the secret group that its credentials are read from.

        It is no part of what the job is: its idempotency key is made of the record as it was.
        """
        group = self.policy.default_secret_group
        if group is None or spec.config.secret_group != DEFAULT_SECRET_GROUP:
            return spec
        return replace(spec, config=replace(spec.config, secret_group=group))

    def applied(self, attempt: Attempt[T], run: TaskRun, organization: str) -> Attempt[T]:
        """Return an attempt that keeps the rules.

        Args:
            attempt: the attempt as it would be without rules.
            run: what it runs.
            organization: the Perian organization.
        """
        config, own = run.spec.config, run.task.timeout_seconds
        wish = Wish(requirements_of(config), config.instance_type_id, own, run.timeout_seconds)
        catalogue = Catalogue(attempt.jobs.connect, attempt.jobs.retrier)
        fault = self.fault or misplaced(self.policy, run.place.own_folder)
        ruling = replace(self, fault=fault)
        work = RuledWork(attempt.work, ruling, wish, catalogue, attempt.warn)
        terms = attempt.terms
        if own is None and self.policy.usual_timeout is not None:
            # The job says what it was given; another job's rules may have been others.
            terms = replace(terms, limits=replace(terms.limits, running=None))
        if self.policy.limits_jobs and fault is None:
            terms = replace(terms, turns=self.turns(attempt, run, organization))
        return replace(attempt, work=work, terms=terms)

    def turns(self, attempt: Attempt[T], run: TaskRun, organization: str) -> "TicketTurns":
        """Return who may submit when."""
        from perian_shim.lifecycle.tickets import JobLimits  # noqa: PLC0415 - if there are limits
        from perian_shim.lifecycle.turns import TicketTurns  # noqa: PLC0415 - if there are limits

        policy, place = self.policy, run.place
        environ = place.environ
        scheme = place.own_folder.partition("://")[0]
        folder = f"{scheme}://{split_uri(place.own_folder)[0]}/_perian/turns/"
        url = settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ)
        mark = hashlib.sha256(f"{url.rstrip('/')}\0{organization}".encode()).hexdigest()[:16]
        records = attempt.records
        return TicketTurns(
            JobLimits(policy.max_jobs, policy.by_project),
            environ.get(settings.EXECUTION_PROJECT, ""),
            f"{policy.queue_folder or folder}{mark}",
            records.store,
            records.at_once or records.store,
            attempt.policy,
            policy.max_wait_seconds,
        )
