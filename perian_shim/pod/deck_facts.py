"""What a deck shows of a run: from the records to a ``DeckView``, without anything confidential.

Each text is redacted, cleaned of what steers a terminal, and redacted again: what colours stood
within is whole only then. Of outputs there are names, types and places, no values.
"""

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal

from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.literals_pb2 import Literal

from perian_shim import settings
from perian_shim.api.catalogue import Price
from perian_shim.api.costs import cost_of, currency_of, money, price_for
from perian_shim.api.errors import PerianError
from perian_shim.api.phases import Phase
from perian_shim.api.redaction import Redactor
from perian_shim.deck.beside import joined
from perian_shim.deck.markup import plain
from perian_shim.deck.page import render
from perian_shim.deck.timeline import duration
from perian_shim.deck.view import DeckView, Failure, OutputLine, Span, State
from perian_shim.errors import TaskError, Terminating
from perian_shim.pod.deck_known import End, Known, Setting
from perian_shim.values.types import describe_type
from perian_shim.work.outputs import Outputs
from perian_shim.work.task_run import Place

LARGEST_LITERAL = 64 * 1024
"""In bytes: a larger output is a value, which has no place of its own."""

WINDOW = 64 * 1024
"""How many characters of a text are looked at; what is shown of it is far less."""

MARGIN = 32 * 1024
"""How near its end a secret may have been cut in two, in characters."""

Facts = tuple[tuple[str, str], ...]


def page(setting: Setting, known: Known, end: End, redact: Redactor, decks: bytes | None) -> bytes:
    """Return the page.

    Args:
        setting: what does not change of the run.
        known: what is known of its job.
        end: what it came to, if it has ended.
        redact: takes confidential values out of text.
        decks: the page of decks that the function has made, if there is one.
    """
    view = view_of(setting, known, end, Cleaner(redact))
    return render(view).encode() if decks is None else joined(view, decks)


def view_of(setting: Setting, known: Known, end: End, clean: "Cleaner") -> DeckView:
    """Return what is shown."""
    place = setting.place
    job = known.job
    return DeckView(
        task=clean(setting.task),
        state=state_of(known, end),
        job_id=job.id if job else "",
        status=clean(job.status) if job else "",
        spans=spans_of(known),
        machine=clean.facts(machine_of(known)),
        money=clean.facts(money_of(known)),
        run=clean.facts(run_of(known, place.attempt)),
        flyte=clean.facts(flyte_of(place)),
        console=clean(console_of(place)),
        log=tuple(clean(line) for line in known.lines),
        outputs=outputs_of(end.outputs, setting.declared, clean),
        failure=failure_of(end.error, clean),
        seen=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC",
    )


@dataclass(frozen=True)
class Cleaner:
    """Takes out of texts what must not be shown.

    Attributes:
        redact: takes confidential values out of text.
    """

    redact: Redactor

    def __call__(self, text: str) -> str:
        """Return a text as it may be shown; of a very long one the beginning."""
        clean = self.redact(plain(self.redact(text[:WINDOW])))
        return clean if len(text) <= WINDOW else clean[:-MARGIN]

    def facts(self, facts: Mapping[str, str | None]) -> Facts:
        """Return facts as they may be shown, without those that are not known."""
        return tuple((label, self(text)) for label, text in facts.items() if text)


def state_of(known: Known, end: End) -> State:
    """Return how the run stands."""
    if end.error is not None:
        return State.ABORTED if isinstance(end.error, Terminating) else State.FAILED
    if end.outputs is not None:
        return State.SUCCEEDED
    phase = known.job.phase if known.job else Phase.QUEUED
    if phase.terminal:
        return State.ENDING
    return State.RUNNING if phase is Phase.RUNNING else State.WAITING


def spans_of(known: Known) -> tuple[Span, ...]:
    """Return the parts of the job's life so far.

    The platform's own stamps count where there are two of them; else what pods have seen.
    """
    job = known.job
    if job is None:
        return ()
    queued, starting, running = known.queued, known.initializing, known.running
    if job.created_at and job.started_at:
        waited = between(job.created_at, job.started_at)
        starting = min(starting, waited)
        queued = waited - starting
    if job.started_at and job.done_at and job.phase.terminal:
        running = between(job.started_at, job.done_at)
    spans = [Span("queued", queued)]
    if starting or job.phase is Phase.STARTING:
        spans.append(Span("initializing", starting))
    if running or job.phase is Phase.RUNNING:
        spans.append(Span("running", running))
    return tuple(spans)


def between(first: datetime, second: datetime) -> float:
    """Return the seconds from one of the platform's stamps to another, at least 0."""
    return max((second - first).total_seconds(), 0.0)


def machine_of(known: Known) -> dict[str, str | None]:
    """Return what the job runs on, as far as it is known."""
    job, machine = known.job, known.machine
    facts = {"Instance type": job.instance_type_id if job else None}
    if machine is not None:
        place = [machine.country_code, machine.region and f"({machine.region})"]
        kind, count = machine.accelerator_type, machine.accelerators
        facts = {
            "Type": machine.name or machine.id,
            "Provider": machine.provider,
            "Country": " ".join(part for part in place if part),
            "Accelerators": f"{count} \N{MULTIPLICATION SIGN} {kind or '?'}" if count else None,
            "CPU cores": None if machine.cores is None else str(machine.cores),
            "Memory": None if machine.ram_gb is None else f"{machine.ram_gb.normalize():f} GB",
        }
    return {**facts, "Image": job.image if job else None}


def money_of(known: Known) -> dict[str, str | None]:
    """Return price and cost."""
    job, machine = known.job, known.machine
    price = (job.price if job else None) or (machine.price if machine else None)
    if job is None or price is None:
        return {}
    return {**price_facts(price), **cost_facts(known, price)}


def price_facts(price: Price) -> dict[str, str | None]:
    """Return what an hour costs and how it is counted."""
    hour, step = price.per_hour, price.billed_seconds
    return {
        "Price": None if hour is None else f"{money(hour, currency_of(price))} per hour",
        "Counted": None if step is None else f"in steps of {duration(step)}",
    }


def cost_facts(known: Known, price: Price) -> dict[str, str | None]:
    """Return what the job has cost; of one that goes on by how long it was seen running."""
    job = known.job
    assert job is not None
    if job.phase.terminal:
        cost = cost_of(job)
        return {"Cost": None if cost is None else f"{cost}"}
    amount = price_for(price, Decimal(str(known.running)))
    return {"Cost so far": None if amount is None else money(amount, currency_of(price))}


def run_of(known: Known, attempt: int) -> dict[str, str | None]:
    """Return the attempts and the times."""
    job, by = known.job, known.submitted_by
    rejoined = None if by in {None, attempt} else f"yes: attempt {(by or 0) + 1} submitted the job"
    stamps = (job.created_at, job.started_at, job.done_at) if job else (None, None, None)
    submitted, started, ended = (moment(stamp) for stamp in stamps)
    return {
        "Attempt": str(attempt + 1),
        "Rejoined": rejoined,
        "Submitted": submitted,
        "Started": started,
        "Ended": ended,
        "Jobs before": ", ".join(f"{job_id} ({status})" for job_id, status in known.earlier),
    }


def moment(stamp: datetime | None) -> str | None:
    """Return one of the platform's stamps for people."""
    return None if stamp is None else f"{stamp.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def flyte_of(place: Place) -> dict[str, str | None]:
    """Return where in Flyte the run happens."""
    node = place.node
    return {
        "Project": node.project,
        "Domain": node.domain,
        "Execution": node.execution,
        "Node": node.node_prefix.partition(f"-{node.execution}/")[2].replace("/data", ""),
        "Task version": place.environ.get("FLYTE_INTERNAL_TASK_VERSION"),
    }


def console_of(place: Place) -> str:
    """Return the execution's address in Flyte's console, "" if nobody has told where that is."""
    base = settings.text(settings.FLYTE_CONSOLE, environ=place.environ).rstrip("/")
    node = place.node
    if not (base and node.project and node.domain and node.execution):
        return ""
    names = (node.project, node.domain, node.execution)
    project, domain, execution = (urllib.parse.quote(name, safe="") for name in names)
    return f"{base}/projects/{project}/domains/{domain}/executions/{execution}"


def failure_of(error: PerianError | None, clean: Cleaner) -> Failure | None:
    """Return why the run failed."""
    if error is None:
        return None
    message = error.message
    if isinstance(error, TaskError) and error.job_id and error.job_id not in message:
        message = f"{message}\nPerian job: {error.job_id}"
    return Failure(error.code, clean(message), clean(error.remedy or ""))


def outputs_of(
    outputs: Outputs | None, declared: Mapping[str, Variable], clean: Cleaner
) -> tuple[OutputLine, ...] | None:
    """Return the outputs, without their values; None as long as there are none."""
    if outputs is None:
        return None
    lines = []
    for name, content in sorted(outputs.items()):
        kind = describe_type(declared[name].type) if name in declared else ""
        uri = place_of(Literal.FromString(content)) if len(content) <= LARGEST_LITERAL else ""
        lines.append(OutputLine(clean(name), clean(kind), clean(uri)))
    return tuple(lines)


def place_of(literal: Literal) -> str:
    """Return where an output is that is an object of its own, "" for a value."""
    if literal.offloaded_metadata.uri:
        return str(literal.offloaded_metadata.uri)
    scalar = literal.scalar
    if scalar.HasField("union"):
        return place_of(scalar.union.value)
    return str(scalar.blob.uri or scalar.structured_dataset.uri or scalar.schema.uri)
