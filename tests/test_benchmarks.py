"""The benchmark: its arithmetic, its recording fronts, a tiny run of ours and of the floor."""

import os
import platform
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import goals
from benchmarks.environments import Stamp, install_entry
from benchmarks.fronts import INTERIM, StorageFront
from benchmarks.gate import Gate
from benchmarks.pods import PodContender
from benchmarks.process import Memory, parse_total_cpu, running_cpu, total_cpu, wait_for_end
from benchmarks.records import FLOOR, OFFICIAL, OURS, OURS_FLYTEKIT, Crowd, Results, Run
from benchmarks.summary import Summary, ratio, spread
from benchmarks.world import World, running_world

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="reads Linux's /proc")

ROLLUP = """\
00400000-7ffd000 ---p 00000000 00:00 0    [rollup]
Rss:              104448 kB
Pss:               99328 kB
Private_Clean:      1024 kB
Private_Dirty:     97280 kB
Anonymous:         80896 kB
"""

RATIOS = ["ours / floor", "ours, flytekit / floor"]

MEMORY = Memory(rss=102.0, pss=97.0, private=96.0, anonymous=79.0)


def a_run(contender: str, start: float, end: float = 1.0, memory: Memory | None = MEMORY) -> Run:
    return Run(
        contender=contender,
        length=10.0,
        start_to_post=start,
        end_to_outputs=end,
        cpu_to_post=start,
        outputs_to_exit=0.2,
        api_calls={"POST /job": 1, "GET /job/{id}": 4},
        storage_calls={"GET": 2, "PUT": 1},
        cpu=1.25,
        waiting_cpu=3.6,
        memory=memory,
    )


def row(text: str, title: str) -> list[str]:
    [found] = [line for line in text.splitlines() if line.startswith(f"| {title}")]
    return [cell.strip() for cell in found.strip("|").split("|")][1:]


def test_memory_is_read_from_the_kernels_summary_in_mib() -> None:
    memory = Memory.parse(ROLLUP)
    assert memory == Memory(rss=102.0, pss=97.0, private=96.0, anonymous=79.0)


def test_memory_of_several_processes_adds_up() -> None:
    doubled = MEMORY + MEMORY
    assert doubled == Memory(rss=204.0, pss=194.0, private=192.0, anonymous=158.0)


def test_cpu_time_is_read_whatever_a_program_is_called() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a ) b) S 1 1 1 0 -1 4194304 9 9 0 0 {2 * ticks} {ticks} 0 {ticks} 20 0"
    assert parse_total_cpu(stat) == 4.0


def test_own_process_has_used_cpu_time_and_memory() -> None:
    pid = os.getpid()
    assert total_cpu(pid) > 0
    assert running_cpu(pid) > 0
    assert Memory.of(pid).pss > 1


def test_waiting_for_a_process_that_goes_on_times_out() -> None:
    with pytest.raises(TimeoutError, match=r"did not end within 0\.01 s"):
        wait_for_end(os.getpid(), 0.01)


def test_spread_is_median_and_range() -> None:
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0 to 3.0)"
    assert spread([1.0], 1) == "1.0"
    assert spread([], 1) == "-"


def test_ratio_is_of_medians() -> None:
    assert ratio([2.0, 3.0, 9.0], [2.0]) == 1.5
    assert ratio([2.0], []) is None


def test_a_share_of_the_floor_is_judged_by_the_least_and_by_the_aim() -> None:
    judge = goals.of_floor(0.50, aim=0.35)
    assert judge(0.51, []) == "≤ 0.50 of floor: no; aim 0.35: no"
    assert judge(0.50, []) == "≤ 0.50 of floor: yes; aim 0.35: no"
    assert judge(0.35, []) == "≤ 0.50 of floor: yes; aim 0.35: yes"


def test_nothing_is_judged_without_the_floor() -> None:
    assert goals.of_floor(0.50)(None, [1.0]) == ""


def test_the_time_after_a_jobs_end_is_judged_by_the_one_of_before() -> None:
    judge = goals.end_of(10.0)
    assert judge(None, [1.0, 1.1, 9.0]) == "≤ 1.15 s: yes"
    assert judge(None, [1.1, 1.2, 1.3]) == "≤ 1.15 s: within the spread"
    assert judge(None, [1.2, 1.3]) == "≤ 1.15 s: no"


def test_the_time_after_the_end_of_a_job_of_another_length_may_grow_with_it() -> None:
    judge = goals.end_of(20.0)
    assert judge(None, [2.0]) == "≤ 2.00 s: yes"
    assert judge(None, [1.0, 2.1, 2.2]) == "≤ 2.00 s: no"


def test_an_image_is_judged_by_itself_and_against_a_naive_one() -> None:
    assert goals.image(61.0, None) == "≤ 80 MB: yes; aim 60: no"
    assert goals.image(81.0, 324.0).endswith("≤ 25% of naive (324): yes, 25%")


def test_only_the_crowd_that_the_goal_names_is_judged() -> None:
    assert goals.crowd(50, 2252.0) == "PSS ≤ 2253: yes"
    assert goals.crowd(50, 2254.0) == "PSS ≤ 2253: no"
    assert goals.crowd(10, 9000.0) == ""


def test_table_compares_both_of_ours_with_the_floor_and_judges_the_one_without_flytekit() -> None:
    light = Memory(rss=40.0, pss=39.0, private=38.0, anonymous=37.0)
    results = Results(
        [a_run(FLOOR, 1.0), a_run(OURS_FLYTEKIT, 1.1), a_run(OURS, 0.4, memory=light)]
    )
    text = Summary(results).text()
    assert row(text, " |") == ["ours", "ours, flytekit", "floor", *RATIOS, "goal"]
    judged = "≤ 0.50 of floor: yes; aim 0.35: no"
    assert row(text, "process start") == ["0.400", "1.100", "1.000", "0.40", "1.10", judged]
    assert row(text, "CPU until then")[-1] == "≤ 0.40 of floor: yes"
    assert row(text, "job end → outputs, 10 s")[-1] == "≤ 1.15 s: yes"
    assert row(text, "CPU while waiting")[-1] == "≤ 1.00 of floor: yes"
    assert row(text, "PSS while waiting")[-1] == "≤ 0.45 of floor: yes; aim 0.30: no"


def test_every_row_of_the_table_is_as_long_as_its_head() -> None:
    runs = [a_run(name, 1.0) for name in (OURS, OURS_FLYTEKIT, FLOOR, OFFICIAL)]
    lines = Summary(Results(runs, image_sizes={OURS: 60.0})).table_of_runs().splitlines()
    assert len({line.count("|") for line in lines}) == 1


def test_table_splits_calls_by_name() -> None:
    text = Summary(Results([a_run(OURS, 1.0)])).text()
    assert row(text, "API calls")[0] == "5: 4 GET /job/{id}, 1 POST /job"


def test_table_has_no_ratio_without_the_floor() -> None:
    text = Summary(Results([a_run(OURS, 1.0), a_run(OFFICIAL, 0.01)])).text()
    assert row(text, "process start") == ["1.000", "0.010", "-", ""]


def test_table_judges_the_image_against_a_naive_one() -> None:
    results = Results([a_run(OURS, 1.0)], image_sizes={OURS: 200.0, "naive": 400.0})
    assert row(Summary(results).text(), "image")[-1].endswith("≤ 25% of naive (400): no, 50%")


def test_table_judges_what_a_definition_imports_against_flytekit_alone() -> None:
    imports = {FLOOR: [0.40, 0.42], OURS_FLYTEKIT: [0.42, 0.44]}
    runs = [a_run(FLOOR, 1.0), a_run(OURS_FLYTEKIT, 1.1)]
    cells = row(Summary(Results(runs, imports=imports)).text(), "imports")
    assert cells[-2:] == ["1.05", "≤ 1.05 of floor: yes"]


def test_table_of_crowds_is_ordered_by_size_and_shows_memory_per_executor() -> None:
    crowds = [Crowd(OURS, number, 9.0, 8.0, 7.0, MEMORY, 1.0) for number in (10, 1)]
    lines = Summary(Results(crowds=crowds)).text().splitlines()
    cells = [line.split(" | ") for line in lines if "| ours |" in line]
    assert [(line[0], line[6]) for line in cells] == [("| 1", "97.0"), ("| 10", "9.7")]


def test_table_of_crowds_judges_only_the_pods_without_flytekit() -> None:
    crowds = [Crowd(name, 50, 9.0, 8.0, 7.0, MEMORY, 1.0) for name in (OURS, OURS_FLYTEKIT)]
    lines = Summary(Results(crowds=crowds)).table_of_crowds().splitlines()
    assert [line.split(" | ")[-1] for line in lines[2:]] == ["PSS ≤ 2253: yes |", " |"]


def test_options_take_image_sizes_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "sizes.json"
    file.write_text('{"ours": 200}')
    assert command.sizes(str(file)) == command.sizes("ours=200") == {"ours": 200.0}


def test_options_refuse_an_unknown_contender(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.parser().parse_args(["--contenders", "ours,theirs"])
    assert "unknown: theirs" in capsys.readouterr().err


def test_quick_fills_in_what_was_not_given() -> None:
    options = command.parser().parse_args(["--quick", "--lengths", "2"])
    command.settle_defaults(options)
    assert (options.lengths, options.repetitions, options.crowds) == ((2.0,), 3, (3,))


def test_environment_is_made_anew_when_its_sources_change(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text("one")
    Stamp(tmp_path / "stamp", [lock]).write()
    assert Stamp(tmp_path / "stamp", [lock]).fits()
    lock.write_text("two")
    assert not Stamp(tmp_path / "stamp", [lock]).fits()


def test_gate_holds_a_job_until_it_is_opened() -> None:
    with Gate() as gate:
        job = os.posix_spawn("/bin/sh", ["sh", "-c", gate.command], os.environ)
        gate.wait_for(1, 30)
        assert os.waitpid(job, os.WNOHANG) == (0, 0)
        opened = gate.open()
        assert os.waitpid(job, 0) == (job, 0)
        assert opened <= time.time()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("benchmarks")) as running:
        yield running


def test_an_answer_right_behind_interim_ones_is_an_answer() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert INTERIM.sub(b"", interim * 2) == b""
    assert INTERIM.sub(b"", interim + b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    )


def test_storage_front_passes_on_and_notes_method_path_and_time(world: World) -> None:
    began = time.time()
    with StorageFront(world.sandbox.s3_endpoint) as front:
        url = f"{front.url}/{world.sandbox.bucket}/a%20key?x=1"
        request = urllib.request.Request(url, b"text", method="PUT")
        with pytest.raises(urllib.error.HTTPError) as refused:  # it is not signed
            urllib.request.urlopen(request)
        refused.value.close()
        [call] = front.recorder.wait_for(lambda call: call.name == "PUT", 1, 10)
    assert call.target == f"/{world.sandbox.bucket}/a key"
    assert began <= call.arrived <= call.answered <= time.time()


@pytest.mark.slow
@pytest.mark.parametrize("name", [OURS, OURS_FLYTEKIT, FLOOR])
def test_a_run_is_measured_from_start_to_end(world: World, name: str, tmp_path: Path) -> None:
    # This environment stands for the contenders': installing one of those takes a minute.
    folder = Path(sys.executable).parent
    if name == OURS:
        folder = install_entry(Path(sys.executable), tmp_path)
    run = PodContender(name, world, folder).run(0.1)
    assert run.contender == name
    assert 0 < run.start_to_post < 60
    assert 0 < run.end_to_outputs < 30
    assert 0 < run.cpu_to_post < run.cpu
    assert run.api_calls["POST /job"] == 1
    assert run.storage_calls["PUT"] >= 1
