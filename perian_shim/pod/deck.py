"""The *Perian* tab of a run in Flyte's console: when it is written, and where.

It is loaded only for a task that asks for a deck. Flyte looks for ``deck.html`` below the attempt's
output prefix, also while the attempt runs. What is shown, and how, is decided in ``deck_facts`` and
``perian_shim.deck``, which are loaded when something is to be written. A deck that cannot be
written is a line in the log, never an error.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.errors import PerianError
from perian_shim.errors import Superseded, Terminating
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.lifecycle.shutdown import beside
from perian_shim.lifecycle.witness import Discreet, Sighting
from perian_shim.pod.deck_known import End, Known, Setting
from perian_shim.pod.run_context import RunContext
from perian_shim.storage import join_uri
from perian_shim.work.function_job import DECK_NAME, MAX_DOCUMENT_BYTES, FunctionJob
from perian_shim.work.outputs import Outputs

CHANGED_SECONDS = 2.0
"""How long after one writing a change of the job's status may be written."""

CALM_SECONDS = 30.0
"""The same for new lines of its log, and after a writing that has failed."""

PULSE_SECONDS = 300.0
"""How often is written how long the job has taken, if nothing else has changed."""

LAST_SECONDS = 20.0
"""How long an outage of the store is ridden out for the deck of a run that has ended."""

LOOKUPS = 3
"""How often a machine is looked up in the catalogue."""

CONTENT_TYPE = "text/html"


@dataclass
class Deck:
    """The deck of one attempt; a witness of its job.

    Attributes:
        context: where the run happens; it has a place in Flyte.
        setting: what does not change of the run.
        console: prints lines, and knows what must not be shown.
        now: the time, in seconds since some moment.
        machine_of: looks an instance type up in the catalogue.
        own: returns where the function's own decks are, None if it cannot have any.
        known: what is known of the job.
    """

    context: RunContext
    setting: Setting
    console: Console
    now: Callable[[], float] = time.monotonic
    machine_of: Callable[[str], InstanceType | None] = lambda _: None
    own: Callable[[], str | None] = lambda: None
    known: Known = field(default_factory=Known)
    _written: tuple[object, object] = field(default=(None, None), init=False, repr=False)
    _tried: float = field(default=float("-inf"), init=False)
    _failed: bool = field(default=False, init=False)
    _said: bool = field(default=False, init=False)

    def follow(self, attempt: Attempt[Outputs]) -> None:
        """Be the witness of an attempt's job."""
        self.now = attempt.jobs.retrier.clock.monotonic
        self.machine_of = attempt.jobs.machine
        work = attempt.work
        if isinstance(work, FunctionJob):
            self.own = lambda: work.deck_uri(attempt.records.record.output)
        attempt.witness = Discreet(self, attempt.warn)

    def seen(self, sighting: Sighting) -> None:
        """Take note of a look, and write it down if it is time."""
        self.known.note(sighting, self.now())
        mark = self.mark()
        if self.is_due(mark):
            self._tried = self.now()
            self.put(lambda: self.write(End(), RetryPolicy(outage=0.0)))
            self._written = mark

    def mark(self) -> tuple[object, object]:
        """Return what is different when something has changed: of the job, and of its log."""
        job = self.known.job
        # The lines themselves may be long, and are not kept for this.
        return (job and (job.id, job.status), hash(self.known.lines))

    def is_due(self, mark: tuple[object, object]) -> bool:
        """Whether to write."""
        passed = self.now() - self._tried
        if mark[0] != self._written[0] and not self._failed:
            return passed >= CHANGED_SECONDS
        if mark != self._written or self._failed:
            return passed >= CALM_SECONDS
        return passed >= PULSE_SECONDS

    def end(self, outputs: Outputs | None, error: PerianError | None) -> None:
        """Write what the run came to; never fails."""
        if isinstance(error, Superseded):
            return  # a later pod has the work, and may have this place as well
        end = End(outputs, error)
        if isinstance(error, Terminating):
            policy = RetryPolicy(outage=0.0)
            beside(lambda: self.put(lambda: self.write(end, policy)))
        else:
            self.put(lambda: self.write(end, RetryPolicy.hurried(LAST_SECONDS)))

    def put(self, write: Callable[[], None]) -> None:
        """Write; say the first time that it fails."""
        try:
            write()
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is paid for
            self._failed = True
            if not self._said:
                self._said = True
                reason = error.message if isinstance(error, PerianError) else type(error).__name__
                self.console.ours(f"the deck could not be written: {reason}")
        else:
            self._failed = False

    def write(self, end: End, policy: RetryPolicy) -> None:
        """Make the page and put it where Flyte looks for it."""
        from perian_shim.pod.deck_facts import page  # noqa: PLC0415 - only now is it needed

        self.look_up()
        ended = end.outputs is not None or end.error is not None
        decks = self.own_decks(policy) if ended else None
        content = page(self.setting, self.known, end, self.console.redact, decks)
        prefix = self.context.output_prefix
        assert prefix is not None
        store = PatientStore(self.context.open_store(prefix), Retrier(policy))
        store.write(join_uri(prefix, DECK_NAME), content, CONTENT_TYPE)

    def own_decks(self, policy: RetryPolicy) -> bytes | None:
        """Return the page of decks that the function has made, None if there is none."""
        uri = self.own()
        if uri is None:
            return None
        store = PatientStore(self.context.open_store(uri), Retrier(policy))
        return store.read(uri, MAX_DOCUMENT_BYTES)

    def look_up(self) -> None:
        """Learn what the job runs on."""
        known = self.known
        wanted = known.job.instance_type_id if known.job else None
        if wanted and known.machine is None and known.lookups < LOOKUPS:
            known.lookups += 1
            known.machine = self.machine_of(wanted)
