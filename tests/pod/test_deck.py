"""When a deck is written, and what of a run it shows; the clock is in the test's hand."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from flyteidl.core.literals_pb2 import Literal, Scalar
from flyteidl.core.tasks_pb2 import TaskTemplate
from support.memory_store import MemoryStore
from support.waiting import LONG_SECONDS

from perian_shim.api.catalogue import InstanceType, Price
from perian_shim.api.jobs import Job
from perian_shim.api.redaction import Redactor
from perian_shim.errors import JobFailed, Superseded, Terminating
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.shutdown import STORE_SECONDS
from perian_shim.lifecycle.witness import Sighting
from perian_shim.pod.deck import CALM_SECONDS, CHANGED_SECONDS, LOOKUPS, PULSE_SECONDS, Deck
from perian_shim.pod.deck_facts import Cleaner, outputs_of, spans_of, view_of
from perian_shim.pod.deck_known import End, Known, Setting
from perian_shim.pod.run import deck_of
from perian_shim.pod.run_context import RunContext
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.storage import ObjectStore
from perian_shim.values.serialized import serialize
from perian_shim.work.task_run import Place

PREFIX = "s3://bucket/metadata/propeller/shop-development-fab12/n0/data/1"
ENVIRON = {
    "FLYTE_INTERNAL_EXECUTION_PROJECT": "shop",
    "FLYTE_INTERNAL_EXECUTION_DOMAIN": "development",
    "FLYTE_INTERNAL_EXECUTION_ID": "fab12",
    "FLYTE_ATTEMPT_NUMBER": "1",
}
SUBMITTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
PRICE = Price(Decimal("1.20"), "EUR", "PER_HOUR", "PER_MINUTE")
JOB = Job("job-1", "Running", SUBMITTED, price=PRICE)
SECRET = "a-long-secret-value"


def context_of(store: ObjectStore, **environ: str) -> RunContext:
    variables = {**ENVIRON, **environ}
    place = Place.of_attempt("s3://bucket/raw", PREFIX, None, None, variables)
    secrets = FlyteSecrets.of_container(variables)
    return RunContext("s3://bucket/raw", place, variables, secrets, lambda _: store)


@dataclass
class Listening(Console):
    """A console that keeps what is printed.

    Attributes:
        printed: the lines.
    """

    printed: list[str] = field(default_factory=list)

    def __call__(self, line: str) -> None:
        self.printed.append(line)


@dataclass
class Scene:
    """A deck whose time is in the test's hand.

    Attributes:
        store: where it is written.
        time: seconds since some moment.
        console: has what is printed.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    time: float = 1000.0
    console: Listening = field(default_factory=lambda: Listening(Redactor((SECRET,))))

    def __post_init__(self) -> None:
        context = context_of(self.store)
        assert context.place is not None
        setting = Setting(context.place, "train")
        self.deck = Deck(context, setting, self.console, now=lambda: self.time)

    def look(self, passed: float, job: Job = JOB, *lines: str) -> bool:
        """Let time pass and a job be seen; return whether that was written down."""
        self.time += passed
        before = len(self.store.written)
        self.deck.seen(Sighting(job, lines=lines))
        return len(self.store.written) > before

    @property
    def text(self) -> str:
        return self.store.objects[f"{PREFIX}/deck.html"].decode()


# --- when it is written ---


def test_it_is_written_where_flyte_looks_for_it_at_the_first_look() -> None:
    scene = Scene()
    assert scene.look(0)
    assert scene.store.written == [f"{PREFIX}/deck.html"]


def test_not_again_while_nothing_changes_but_for_a_pulse() -> None:
    scene = Scene()
    scene.look(0)
    assert not scene.look(PULSE_SECONDS - 1)
    assert scene.look(1)


def test_a_change_of_the_status_is_written_soon() -> None:
    scene = Scene()
    scene.look(0, replace(JOB, status="Queued"))
    assert not scene.look(CHANGED_SECONDS - 0.1)
    assert scene.look(0.1)


def test_new_lines_are_written_now_and_then() -> None:
    scene = Scene()
    scene.look(0, JOB, "one")
    assert not scene.look(CALM_SECONDS - 1, JOB, "one", "two")
    assert scene.look(1, JOB, "one", "two", "three")
    assert "three" in scene.text


def test_a_store_that_fails_is_said_once_and_tried_again_later() -> None:
    scene = Scene()
    scene.deck.context = replace(scene.deck.context, open_store=failing)
    for _ in range(3):
        scene.look(CALM_SECONDS)
    (line,) = scene.console.printed
    assert line.startswith("[perian-shim] the deck could not be written: ")
    scene.deck.context = context_of(scene.store)
    assert not scene.look(CALM_SECONDS - 1)
    assert scene.look(1)


def failing(uri: str) -> ObjectStore:
    raise OSError(uri)


@dataclass
class Hanging(MemoryStore):
    """A store in which each writing hangs until it is let go.

    Attributes:
        let_go: set when it may go on.
        begun: how many have begun.
    """

    let_go: threading.Event = field(default_factory=threading.Event)
    begun: int = 0

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:
        self.begun += 1
        assert self.let_go.wait(LONG_SECONDS)
        super().write(uri, content, content_type)


def test_a_store_that_hangs_holds_up_the_run_for_a_moment_and_once() -> None:
    store = Hanging()
    scene = Scene(store)
    began = time.monotonic()
    for _ in range(5):
        scene.look(PULSE_SECONDS)
    assert store.begun == 1
    store.let_go.set()
    assert time.monotonic() - began < 2 * STORE_SECONDS


def test_a_catalogue_that_hangs_holds_up_the_run_for_a_moment() -> None:
    scene, let_go = Scene(), threading.Event()

    def hanging(instance_type_id: str) -> InstanceType | None:
        assert let_go.wait(LONG_SECONDS), instance_type_id
        return None

    scene.deck.machine_of = hanging
    began = time.monotonic()
    scene.look(0, replace(JOB, instance_type_id="type-1"))
    assert time.monotonic() - began < 2 * STORE_SECONDS
    let_go.set()


def test_what_a_writing_that_hung_would_have_shown_does_not_take_the_place_of_the_end() -> None:
    store = Hanging()
    scene = Scene(store)
    scene.look(0)
    threading.Timer(0.2, store.let_go.set).start()
    scene.deck.end(None, JobFailed("It failed.", job_id="job-1"))
    assert "train: failed (Perian)" in scene.text


def test_a_run_that_is_ended_waits_for_its_deck_no_longer_than_a_moment() -> None:
    store = Hanging()
    scene = Scene(store)
    began = time.monotonic()
    scene.deck.end(None, Terminating("The run was ended by SIGTERM."))
    assert time.monotonic() - began < 2 * STORE_SECONDS
    store.let_go.set()
    (line,) = scene.console.printed
    assert "it took longer than 2 s" in line


def test_a_superseded_pod_writes_nothing_of_its_end() -> None:
    scene = Scene()
    scene.deck.end(None, Superseded("A later pod has the job."))
    assert scene.store.written == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (JobFailed("It failed.", job_id="job-1"), "failed"),
        (Terminating("The run was ended by SIGTERM."), "aborted"),
    ],
)
def test_the_end_is_written_whatever_was_written_before(error: JobFailed, said: str) -> None:
    scene = Scene()
    scene.look(0)
    scene.deck.end(None, error)
    assert f"<title>train: {said} (Perian)</title>" in scene.text


def test_a_machine_is_looked_up_until_it_is_known_but_not_for_ever() -> None:
    scene, asked = Scene(), list[str]()

    def unknown(instance_type_id: str) -> InstanceType | None:
        asked.append(instance_type_id)
        return None

    scene.deck.machine_of = unknown
    for _ in range(LOOKUPS + 2):
        scene.look(PULSE_SECONDS, replace(JOB, instance_type_id="type-1"))
    assert asked == ["type-1"] * LOOKUPS


# --- what it shows ---


def seen(job: Job = JOB, **facts: object) -> Known:
    known = Known()
    known.note(Sighting(job), 0.0)
    known.__dict__.update(facts)
    return known


def facts_of(known: Known, end: End | None = None, **environ: str) -> Mapping[str, str]:
    place = context_of(MemoryStore(), **environ).place
    assert place is not None
    view = view_of(Setting(place, "train"), known, end or End(), Cleaner(Redactor((SECRET,))))
    return dict([*view.machine, *view.money, *view.run, *view.flyte, ("console", view.console)])


def test_the_platforms_own_stamps_count() -> None:
    started = SUBMITTED + timedelta(seconds=100)
    job = replace(JOB, status="Done", started_at=started, done_at=started + timedelta(seconds=7))
    spans = spans_of(seen(job, queued=1.0, initializing=30.0, running=1.0))
    assert [(span.name, span.seconds) for span in spans] == [
        ("queued", 70), ("initializing", 30), ("running", 7),
    ]  # fmt: skip


def test_without_stamps_what_pods_have_seen_counts() -> None:
    spans = spans_of(seen(replace(JOB, created_at=None), queued=12.0, running=5.0))
    assert [(span.name, span.seconds) for span in spans] == [("queued", 12), ("running", 5)]


def test_the_time_of_getting_ready_is_what_was_seen_of_it() -> None:
    known = Known()
    for status, now in (("Initializing", 10.0), ("Initializing", 15.0), ("Running", 18.0)):
        known.note(Sighting(replace(JOB, status=status)), now)
    assert known.initializing == 8.0


def test_price_and_cost_so_far_are_those_of_begun_steps() -> None:
    facts = facts_of(seen(running=61.0))
    assert facts["Price"] == "1.20 EUR per hour"
    assert facts["Counted"] == "in steps of 1 min"
    assert facts["Cost so far"] == "0.04 EUR"


def test_a_job_of_an_attempt_before_is_told_from_ones_own() -> None:
    assert "Rejoined" not in facts_of(seen(submitted_by=1))
    assert facts_of(seen(submitted_by=0))["Rejoined"] == "yes: attempt 1 submitted the job"


def test_a_job_that_took_anothers_place_is_shown_alone_and_the_other_named() -> None:
    known = seen(submitted_by=0, initializing=5.0)
    known.note(Sighting(replace(JOB, id="job-2", status="Queued")), 9.0)
    assert (known.earlier, known.initializing) == ((("job-1", "Running"),), 0.0)
    assert facts_of(known)["Jobs before"] == "job-1 (Running)"


def test_the_machine_is_shown_as_the_catalogue_has_it() -> None:
    machine = InstanceType(
        "t1", "gpu-1", "Sample", "north", "DE", 4, Decimal("16.0"), 1, "NVIDIA_A100_80"
    )
    facts = facts_of(seen(machine=machine))
    assert facts["Country"] == "DE (north)"
    assert facts["Accelerators"] == "1 \N{MULTIPLICATION SIGN} NVIDIA_A100_80"
    assert facts["Memory"] == "16 GB"


def test_the_place_in_flyte_and_the_consoles_address_if_a_setting_names_it() -> None:
    facts = facts_of(seen(), PERIAN_FLYTE_CONSOLE_URL="https://flyte.example.org/console/")
    assert (facts["Project"], facts["Execution"], facts["Node"]) == ("shop", "fab12", "n0")
    address = "/projects/shop/domains/development/executions/fab12"
    assert facts["console"] == "https://flyte.example.org/console" + address
    assert facts_of(seen())["console"] == ""


def test_an_output_has_a_place_and_no_value() -> None:
    file, number = Literal(scalar=Scalar()), Literal(scalar=Scalar())
    file.scalar.blob.uri = "s3://bucket/file"
    number.scalar.primitive.integer = 4711
    outputs = {"n": serialize(number), "f": serialize(file)}
    lines = outputs_of(outputs, {}, Cleaner(Redactor(())))
    assert lines is not None
    assert [(line.name, line.uri) for line in lines] == [("f", "s3://bucket/file"), ("n", "")]


@pytest.mark.parametrize(
    "hide",
    [
        lambda text: f"it is {text}.",
        lambda text: f"{text[:5]}\x1b[31m{text[5:]}",
        lambda text: f"{text[:5]}\x1b[2K\x1b]0;x\x07{text[5:]}",
        lambda text: "x" * 65_530 + text,
    ],
    ids=["plain", "coloured", "steered", "cut in two"],
)
def test_nothing_confidential_is_shown(hide: Callable[[str], str]) -> None:
    shown = Cleaner(Redactor((SECRET,)))(hide(SECRET))
    assert SECRET not in shown
    assert SECRET[:5] not in shown


# --- what it costs who has none ---


def test_only_a_task_that_asks_for_it_has_a_deck() -> None:
    template = TaskTemplate()
    context = context_of(MemoryStore())
    assert deck_of(context, template, Console()) is None
    assert not template.HasField("custom")
    template.custom.fields["deck"].bool_value = True
    assert deck_of(context, template, Console()) is not None
    assert deck_of(replace(context, place=None), template, Console()) is None


LOADED = """\
import sys
import perian_shim.pod.execute
print(sorted(name for name in sys.modules if name.startswith(("perian_shim.deck",
    "perian_shim.pod.deck"))))
"""


def test_a_pod_without_a_deck_loads_nothing_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        capture_output=True, text=True, check=True, timeout=LONG_SECONDS,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
