"""What a job's machine is and what it costs, said when the job starts and when it has ended.

Nothing depends on it. The catalogue is asked once, beside the run and for a moment only; what it
does not tell is not said. What a job cost follows from the platform's own stamps (``api.costs``).
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from perian_shim.api.catalogue import InstanceType, Price
from perian_shim.api.errors import PerianError
from perian_shim.api.jobs import Job
from perian_shim.api.server_text import tidy
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.rental import Rental, expect_machine, judged_by_catalogue
from perian_shim.lifecycle.retrying import Retrier

LONGEST_NUMBER = 12
"""Digits of a number that is shown as it is."""


@dataclass
class Bill:
    """The machines of a run's jobs, and what the job came to that was followed last.

    Attributes:
        rental: what was asked for.
        jobs: the API.
        hurried: the same with calls that do not take long.
        warn: prints a line of ours.
        beside: does something that must not hold up for long what follows.
        asked: ids of the jobs whose machine was looked up.
        terms: on what each job runs and for how much, by the job's id; as far as that is known.
        prices: what its machine costs, by the job's id.
        sentence: what the job that has ended ran on and cost, "" if none ran or it is not known.
    """

    rental: Rental
    jobs: Jobs
    hurried: Jobs
    warn: Callable[[str], None]
    beside: Callable[[Callable[[], object]], None]
    asked: set[str] = field(default_factory=set, init=False)
    terms: dict[str, str] = field(default_factory=dict, init=False)
    prices: dict[str, Price] = field(default_factory=dict, init=False)
    sentence: str = field(default="", init=False)

    def open(self, job: Job) -> None:
        """Hold the machine of a job against what was asked for, and say which one it is.

        Raises:
            WrongMachine: it is another one.
        """
        judged = judged_by_catalogue(self.rental, job)
        machine = self.look_up(job, self.jobs.machine if judged else None)
        if job.id in self.terms:  # before it is judged: an error names it as well
            self.warn(f"job {job.id} runs {self.terms[job.id]}")
        expect_machine(self.rental, job, lambda _: machine)

    def look_up(
        self, job: Job, machine_of: Callable[[str], InstanceType | None] | None = None
    ) -> InstanceType | None:
        """Return a job's machine, and note what it is and costs; None if it is not known.

        A job that has asked for no machine by its id may not name the one that it got.

        Args:
            job: the job.
            machine_of: looks it up; None: only for its description, and so in a moment or not.
        """
        if job.price is not None:
            self.prices[job.id] = job.price
        if job.id in self.asked:
            return None
        self.asked.add(job.id)
        wanted = job.instance_type_id
        machine = (machine_of or self.glimpse)(wanted) if wanted else None
        if machine is not None:
            self.terms[job.id] = f"on {described(machine, job.price or machine.price)}"
        elif rate := hourly(job.price):
            self.terms[job.id] = f"at {rate}"
        return machine

    def glimpse(self, instance_type_id: str) -> InstanceType | None:
        """Return a machine if the catalogue tells it within a moment."""
        found: list[InstanceType | None] = []
        self.beside(lambda: found.append(self.ask(instance_type_id)))
        return found[0] if found else None

    def ask(self, instance_type_id: str) -> InstanceType | None:
        """Return a machine, asked for once; None if the catalogue does not tell it.

        It has a connection of its own: it may still hang when a signal comes, and another thread
        may ask.
        """
        jobs = Jobs(self.hurried.connect, Retrier(RetryPolicy()))
        with contextlib.suppress(PerianError), contextlib.closing(jobs):
            return jobs.machine(instance_type_id)
        return None

    def close(self, job: Job) -> None:
        """Say what a job ran on and cost that has ended, if it ran and that is known."""
        said = job.id in self.asked
        if job.phase.terminal and job.started_at is not None and not said:
            self.look_up(job)  # nobody has seen it run
        ran = self.note(job)
        if ran:
            self.warn(f"job {job.id} {self.text(job.id, *ran, named=not said)}")

    def note(self, job: Job | None) -> tuple[str, str] | None:
        """Note what a job that has ended came to; return its time and cost if they are known."""
        if job is None:  # nobody has seen it
            return None
        self.sentence = ""
        if not job.phase.terminal or job.started_at is None:
            return None
        from perian_shim.api.costs import cost_of  # noqa: PLC0415 - not while the pod waits

        with contextlib.suppress(ArithmeticError):  # a price that nobody can mean
            cost = cost_of(replace(job, price=job.price or self.prices.get(job.id)))
            if cost is not None:
                told = duration(cost.seconds), f"{cost}"
                self.sentence = f"The job {self.text(job.id, *told)}."
                return told
        return None

    def text(self, job_id: str, time: str, cost: str, *, named: bool = True) -> str:
        """Return what a job ran for and cost, and on what if that is to be named and known."""
        terms = self.terms.get(job_id, "") if named else ""
        comma = "," if terms.startswith("on ") else ""
        return f"{f'ran for {time} {terms}'.strip()}{comma} and cost {cost}"

    def added_to(self, message: str) -> str:
        """Return an error's message with what the job that has ended ran on and cost."""
        if not self.sentence:
            return message
        end = "" if message.endswith((".", "!", "?", "\n")) else "."
        return f"{message}{end} {self.sentence}"


def described(machine: InstanceType, price: Price | None) -> str:
    """Return a machine as people are told of it, on one line: what it is, where, and its price."""
    count, cores = machine.accelerators, machine.cores
    parts = [
        f"{cores} {'core' if cores == 1 else 'cores'}" if cores else "",
        f"{plain(machine.ram_gb)} GB" if machine.ram_gb else "",
        f"{count} x {machine.accelerator_type or 'accelerator'}" if count else "",
    ]
    what = ", ".join(filter(None, parts))
    where = ", ".join(filter(None, (machine.provider, machine.country_code)))
    text = machine.name or machine.id
    text += f" ({what})" if what else ""
    text += f" at {where}" if where else ""
    rate = hourly(price)
    return tidy(f"{text}, for {rate}" if rate else text)


def hourly(price: Price | None) -> str:
    """Return a price by the hour, e.g. ``1.25 EUR per hour``; "" if it is not known."""
    hour = price.per_hour if price else None
    if hour is None:
        return ""
    currency = (price.currency if price else None) or "undefined"
    named = "" if currency.casefold() == "undefined" else f" {currency}"
    return tidy(f"{plain(hour)}{named} per hour")


def plain(number: Decimal) -> str:
    """Return a number without needless zeros, and never a very long one."""
    return f"{number.normalize():f}" if abs(number.adjusted()) < LONGEST_NUMBER else f"{number:.3g}"


def duration(seconds: Decimal) -> str:
    """Return a duration in whole seconds, e.g. ``2 h 12 min 3 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"
