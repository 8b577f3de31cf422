"""The *Perian* tab of a run in Flyte's console: when it is written, and where.

It is loaded only for a task that asks for a deck. Flyte looks for it below the attempt's output
prefix (``deck.html``, in Flyte 2 ``report.html``), also while the attempt runs. What is shown, and
how, is decided in ``deck_facts`` and ``perian_shim.deck``, which are loaded when something is to be
written. A deck that cannot be written is a line in the log, never an error. It is written on a
thread of its own: a store that hangs may hold a request for minutes, and the job is paid for
meanwhile.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from perian_shim.api.catalogue import InstanceType
from perian_shim.api.errors import PerianError
from perian_shim.errors import Superseded, Terminating
from perian_shim.lifecycle.attempt import Attempt
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.lifecycle.shutdown import STORE_SECONDS
from perian_shim.lifecycle.witness import Discreet, Sighting
from perian_shim.pod.deck_known import End, Known, Setting
from perian_shim.pod.run_context import RunContext
from perian_shim.storage import join_uri
from perian_shim.work.function_job import MAX_DOCUMENT_BYTES, FunctionJob
from perian_shim.work.outputs import Outputs

CHANGED_SECONDS = 2.0
"""How long after one writing a change of the job's status may be written."""

CALM_SECONDS = 30.0
"""The same for new lines of its log, and after a writing that has failed."""

PULSE_SECONDS = 300.0
"""How often is written how long the job has taken, if nothing else has changed."""

LAST_SECONDS = 20.0
"""How long the deck of a run that has ended may take, outages of the store included."""

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
    _writer: threading.Thread | None = field(default=None, init=False, repr=False)

    def follow(self, attempt: Attempt[Outputs]) -> None:
        """Be the witness of an attempt's job."""
        self.now = attempt.jobs.retrier.clock.monotonic
        self.machine_of = attempt.bill.ask
        work = attempt.work
        if isinstance(work, FunctionJob):
            self.own = lambda: work.deck_uri(attempt.records.record.output)
        attempt.witness = Discreet(self, attempt.warn)

    def seen(self, sighting: Sighting) -> None:
        """Take note of a look, and write it down if it is time."""
        self.known.note(sighting, self.now())
        mark = self.mark()
        if self.is_due(mark) and not self.is_writing:
            self._tried, self._written = self.now(), mark
            known = replace(self.known)
            self.beside(lambda: self.write(known, End(), RetryPolicy(outage=0.0)), STORE_SECONDS)

    @property
    def is_writing(self) -> bool:
        """Whether a writing has not come to its end."""
        return self._writer is not None and self._writer.is_alive()

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
        end, before = End(outputs, error), self._writer
        hurried = isinstance(error, Terminating)
        policy = RetryPolicy(outage=0.0) if hurried else RetryPolicy.hurried(LAST_SECONDS)
        seconds = STORE_SECONDS if hurried else LAST_SECONDS

        def write() -> None:
            if before is not None:  # what is written last is to stay
                before.join(seconds / 2)
            self.write(self.known, end, policy)

        if not self.beside(write, seconds):
            self.say(f"it took longer than {seconds:g} s")

    def beside(self, write: Callable[[], None], seconds: float) -> bool:
        """Write on a thread of its own, and go on if it takes too long.

        Args:
            write: what is done there; a failure is said the first time.
            seconds: how long to wait for it.

        Returns:
            Whether it has come to its end.
        """
        self._writer = writer = threading.Thread(target=self.put, args=(write,), daemon=True)
        writer.start()
        writer.join(seconds)
        return not writer.is_alive()

    def put(self, write: Callable[[], None]) -> None:
        """Write; say the first time that it fails."""
        try:
            write()
        except Exception as error:  # noqa: BLE001 - whatever it is, the job is paid for
            self._failed = True
            self.say(error.message if isinstance(error, PerianError) else type(error).__name__)
        else:
            self._failed = False

    def say(self, reason: str) -> None:
        """Say the first time that a deck could not be written."""
        if not self._said:
            self._said = True
            self.console.ours(f"the deck could not be written: {reason}")

    def write(self, known: Known, end: End, policy: RetryPolicy) -> None:
        """Make the page and put it where Flyte looks for it."""
        from perian_shim.pod.deck_facts import page  # noqa: PLC0415 - only now is it needed

        known.machine = self.machine(known)
        ended = end.outputs is not None or end.error is not None
        decks = self.own_decks(policy) if ended else None
        content = page(self.setting, known, end, self.console.redact, decks)
        prefix = self.context.output_prefix
        assert prefix is not None
        store = PatientStore(self.context.open_store(prefix), Retrier(policy))
        name = self.setting.place.backend.deck_name
        store.write(join_uri(prefix, name), content, CONTENT_TYPE)

    def own_decks(self, policy: RetryPolicy) -> bytes | None:
        """Return the page of decks that the function has made, None if there is none."""
        uri = self.own()
        if uri is None:
            return None
        store = PatientStore(self.context.open_store(uri), Retrier(policy))
        return store.read(uri, MAX_DOCUMENT_BYTES)

    def machine(self, known: Known) -> InstanceType | None:
        """Return what the job runs on, looked up if it is not known yet; None if it is not told."""
        wanted = known.job.instance_type_id if known.job else None
        if known.machine is not None or not wanted or known.lookups >= LOOKUPS:
            return known.machine
        found = self.machine_of(wanted)
        now = self.known
        if now.job is not None and now.job.instance_type_id == wanted:  # it may be another by now
            now.lookups, now.machine = now.lookups + 1, found
        return found
