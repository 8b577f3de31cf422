"""Whose turn it is: however the steps of pods interleave, and however late the list of jobs is,
no limit is passed, every pod gets its turn, and the older ones are not overtaken."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from perian_shim.lifecycle.tickets import (
    ANY,
    JobLimits,
    Kind,
    Living,
    Shown,
    Ticket,
    near_the_front,
    project_mark,
    standing_of,
    tickets_in,
)
from perian_shim.storage.base import ObjectInfo

A, B = project_mark("a"), project_mark("b")


@dataclass
class World:
    """A store and a Perian, without time: each step of each pod is one call of one of them.

    Attributes:
        limits: what is to be kept.
        lag: how many steps pass until the list of jobs shows one.
        objects: names of the tickets' objects.
        live: projects of the jobs that live, by their ids.
        born: the step at which each job was made.
        order: pods in the order in which they submitted.
        step: how many steps have passed.
    """

    limits: JobLimits
    lag: int
    objects: set[str] = field(default_factory=set)
    live: dict[str, str] = field(default_factory=dict)
    born: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    step: int = 0

    def tickets(self) -> list[Shown]:
        return tickets_in(ObjectInfo(f"s3://b/{name}", 1, 1.0) for name in sorted(self.objects))

    def living(self) -> Living:
        listed = {job for job, born in self.born.items() if self.step - born >= self.lag}
        return Living({j: p for j, p in self.live.items() if j in listed}, listed)

    def submit(self, ticket: Ticket) -> str:
        job = f"job{len(self.born)}"
        self.live[job] = ticket.project
        self.born[job] = self.step
        self.order.append(ticket.pod)
        assert self.limits.most is None or len(self.live) <= self.limits.most
        for mark, number in Counter(self.live.values()).items():
            most = self.limits.of(mark)
            assert most is None or number <= most
        return job


def pod(world: World, ticket: Ticket, runs: int) -> Iterator[None]:
    """One pod, as ``turns`` is: each ``yield`` lets others act."""
    while True:
        world.objects.add(ticket.name(Kind.WAITING))
        yield
        living = world.living()
        yield
        free = standing_of(ticket, world.limits, living, world.tickets(), going=False).free
        yield
        if not free:
            continue
        world.objects.add(ticket.name(Kind.GOING))
        yield
        free = standing_of(ticket, world.limits, living, world.tickets(), going=True).free
        yield
        if free:
            break
        world.objects.discard(ticket.name(Kind.GOING))
        yield
    job = world.submit(ticket)
    yield
    world.objects.add(ticket.name(Kind.JOB, job))
    yield
    world.objects.discard(ticket.name(Kind.GOING))
    yield
    world.objects.discard(ticket.name(Kind.WAITING))
    for _ in range(runs):
        yield
    del world.live[job]


LIMITS = st.builds(
    JobLimits,
    st.none() | st.integers(1, 3),
    st.dictionaries(st.sampled_from(["a", "b", "*"]), st.integers(1, 2), max_size=2),
)


@given(
    limits=LIMITS,
    lag=st.integers(0, 30),
    tickets=st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from([A, B]), st.integers(0, 20)),
        min_size=1,
        max_size=6,
    ),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=examples(200))
def test_no_interleaving_passes_a_limit_and_every_pod_gets_its_turn(limits, lag, tickets, random):  # type: ignore[no-untyped-def]  # hypothesis knows
    world = World(limits, lag)
    pods = [
        pod(world, Ticket(since, f"{number:012x}", project), runs)
        for number, (since, project, runs) in enumerate(tickets)
    ]
    for world.step in range(20_000):
        if not pods:
            break
        chosen = random.choice(pods)
        if next(chosen, "ended") == "ended":
            pods.remove(chosen)
    assert not pods, "a pod waits for ever"
    assert len(world.order) == len(tickets)


def shown(kind: Kind, since: int, project: str = A, job_id: str = "") -> Shown:
    return Shown(Ticket(since, f"{since:012x}", project), kind, 1.0, job_id)


def free(limits: JobLimits, living: Living, *others: Shown, mine: str = A) -> bool:
    ticket = Ticket(100, "f" * 12, mine)
    return standing_of(ticket, limits, living, others, going=False).free


def test_who_came_before_goes_before() -> None:
    one = JobLimits(1)
    assert free(one, Living())
    assert free(one, Living(), shown(Kind.WAITING, 101))
    assert not free(one, Living(), shown(Kind.WAITING, 99))
    assert free(JobLimits(2), Living(), shown(Kind.WAITING, 99))


def test_who_cannot_go_holds_up_nobody_else() -> None:
    limits = JobLimits(2, {"b": 1})
    busy = Living({"j": B}, {"j"})
    assert free(limits, busy, shown(Kind.WAITING, 1, B), shown(Kind.WAITING, 2, B))
    assert not free(limits, busy, shown(Kind.WAITING, 1, A))


def test_a_job_that_is_not_listed_yet_counts_until_it_is() -> None:
    one, ticket = JobLimits(1), shown(Kind.JOB, 1, job_id="j")
    assert not free(one, Living(), ticket)
    assert not free(one, Living({"j": A}, {"j"}), ticket)
    assert free(one, Living({}, {"j"}), ticket)


def test_a_pod_that_is_about_to_submit_counts() -> None:
    assert not free(JobLimits(1), Living(), shown(Kind.GOING, 999))
    assert not free(JobLimits(None, {"a": 1}), Living(), shown(Kind.GOING, 999))
    assert free(JobLimits(None, {"a": 1}), Living(), shown(Kind.GOING, 999, B))


def test_a_job_whose_project_cannot_be_seen_counts_for_each() -> None:
    assert not free(JobLimits(None, {"*": 1}), Living({"j": ANY}, {"j"}))
    assert not free(JobLimits(None, {"*": 1}), Living({"j": ANY}, {"j"}), mine=B)
    assert free(JobLimits(None, {"*": 2}), Living({"j": ANY}, {"j"}))


def test_a_run_without_a_project_has_no_projects_limit() -> None:
    none = project_mark("")
    assert free(JobLimits(None, {"*": 1}), Living({"j": none}, {"j"}), mine=none)
    assert not free(JobLimits(1, {"*": 1}), Living({"j": none}, {"j"}), mine=none)


def test_a_ticket_is_what_its_furthest_object_says() -> None:
    ticket = Ticket(1234, "ab" * 6, A)
    names = [ticket.name(Kind.WAITING), ticket.name(Kind.GOING), ticket.name(Kind.JOB, "0-1-2")]
    objects = [ObjectInfo(f"s3://b/turns/{name}", 1, float(n)) for n, name in enumerate(names)]
    (found,) = tickets_in(objects)
    assert (found.ticket, found.kind, found.job_id, found.seen) == (ticket, Kind.JOB, "0-1-2", 2.0)
    assert set(found.uris) == {each.uri for each in objects}
    assert tickets_in([ObjectInfo("s3://b/new-abc", 1, 1.0), ObjectInfo("s3://b/x", 1)]) == []


def test_names_sort_as_pods_came_and_a_listing_shows_a_ticket_that_goes_on() -> None:
    older, younger = Ticket(999, "f" * 12, A), Ticket(1000, "0" * 12, A)
    assert older.name(Kind.WAITING) < younger.name(Kind.GOING)
    # A listing goes by name: what is written before something is deleted must stand behind it.
    going, job, waiting = (older.name(kind) for kind in (Kind.GOING, Kind.JOB, Kind.WAITING))
    assert going < job < waiting


def test_only_those_near_the_front_ask_perian() -> None:
    others = [shown(Kind.WAITING, since) for since in range(6)]
    mine = Ticket(100, "f" * 12, A)
    assert near_the_front(mine, others[:3], 4)
    assert not near_the_front(mine, others, 4)
    assert near_the_front(Ticket(100, "f" * 12, B), others, 4)
