"""``python -m benchmarks``: perian-shim, the floor and the official connector, side by side.

All contenders run in one go against one sandbox and one object store, their runs interleaved in a
new random order each time, because a machine is not the same for long. The table goes to standard
output, progress to standard error, raw numbers to ``--json``.
"""

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from benchmarks.connector import TICK_SECONDS, running_connector
from benchmarks.definition import import_seconds
from benchmarks.environments import DEFAULT_CACHE, official_environment, pod_folders
from benchmarks.pods import PodContender
from benchmarks.records import CONTENDERS, OFFICIAL, OURS_FLYTEKIT, Crowd, Results, Run
from benchmarks.summary import Summary
from benchmarks.world import running_world

STAGGER_SECONDS = 6.0
"""Jobs that last much longer than this overlap; their starts and ends are kept so far apart."""

OVERLAPPING = 30.0
"""Jobs that are at least so long overlap."""


class Contender(Protocol):
    """Something that can be measured."""

    name: str

    def run(self, length: float) -> Run:
        """Run one job of a length in seconds."""
        ...

    def crowd(self, number: int) -> Crowd:
        """Run many jobs at once."""
        ...


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and return a process exit code."""
    options = parser().parse_args(arguments)
    settle_defaults(options)
    results = Results(image_sizes=options.image_sizes, conditions=conditions(options))
    measure(options, results)
    print(Summary(results).text(), end="")
    if options.json:
        options.json.write_text(json.dumps(asdict(results), indent=1) + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    options = argparse.ArgumentParser("benchmarks", description=str(__doc__).partition("\n")[0])
    add = options.add_argument
    add("--quick", action="store_true", help="short jobs, few repetitions, small crowds")
    add(
        "--contenders",
        type=names,
        default=CONTENDERS,
        help=f"some of {','.join(CONTENDERS)}; default all",
    )
    add("--lengths", type=numbers, help="seconds that jobs sleep; default 1,10,60")
    add("--repetitions", type=int, help="of each length; default 7")
    add("--crowds", type=counts, help="how many at once; default 1,10,50; 0 for none")
    add(
        "--tick",
        type=float,
        help=f"pause between two looks of Flyte at the official connector's"
        f" job; default {TICK_SECONDS:g}, FlytePropeller's own",
    )
    add(
        "--image-sizes",
        type=sizes,
        default={},
        metavar="SIZES",
        help="ours=60,ours-flytekit=150,naive=365 in MB as `make image` tells, or a JSON file of"
        " the same",
    )
    add("--json", type=Path, metavar="FILE", help="write the raw numbers")
    add("--cache", type=Path, default=DEFAULT_CACHE, help="folder of the environments")
    add("--seed", type=int, default=0, help="of the order of runs and the phase of ticks")
    return options


def settle_defaults(options: argparse.Namespace) -> None:
    """Fill in what was not given."""
    quick = options.quick
    defaults = {
        "lengths": (1.0, 5.0) if quick else (1.0, 10.0, 60.0),
        "repetitions": 3 if quick else 7,
        "crowds": (3,) if quick else (1, 10, 50),
        "tick": 5.0 if quick else TICK_SECONDS,
    }
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)


def names(text: str) -> tuple[str, ...]:
    """Read names of contenders."""
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(CONTENDERS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


def numbers(text: str) -> tuple[float, ...]:
    """Read positive numbers."""
    found = tuple(float(part) for part in text.split(","))
    if min(found) <= 0:
        raise argparse.ArgumentTypeError("expected seconds > 0")
    return found


def counts(text: str) -> tuple[int, ...]:
    """Read sizes of crowds; 0 stands for none."""
    return tuple(number for part in text.split(",") if (number := int(part)) > 0)


def sizes(text: str) -> dict[str, float]:
    """Read image sizes."""
    if "=" in text:
        pairs = (part.partition("=") for part in text.split(","))
        return {name: float(size) for name, _, size in pairs}
    return {name: float(size) for name, size in json.loads(Path(text).read_text()).items()}


def measure(options: argparse.Namespace, results: Results) -> None:
    """Run everything, in random order, and add it to the results."""
    dice = random.Random(options.seed)
    folders = pod_folders(options.cache, options.contenders)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="perian-bench-"))
        world = stack.enter_context(running_world(Path(folder)))
        contenders: list[Contender] = [
            PodContender(name, world, folder) for name, folder in folders.items()
        ]
        if OURS_FLYTEKIT in folders:
            say("imports of a task's definition")
            python = folders[OURS_FLYTEKIT] / "python"
            results.imports = import_seconds(python, 2 * options.repetitions + 1)
        if OFFICIAL in options.contenders:
            official = official_environment(options.cache)
            connector = stack.enter_context(
                running_connector(world, official, options.tick, dice.random)
            )
            ready_after = connector.service.ready_after
            results.conditions.append(f"official: {ready_after:.1f} s from start to serving")
            contenders.append(connector)
        for repetition in range(options.repetitions):
            for length in options.lengths:
                say(f"{repetition + 1}/{options.repetitions}: jobs of {length:g} s")
                results.runs += one_each(dice.sample(contenders, len(contenders)), length)
        for number in options.crowds:
            for contender in dice.sample(contenders, len(contenders)):
                say(f"{number} at once: {contender.name}")
                results.crowds.append(contender.crowd(number))


def one_each(contenders: Sequence[Contender], length: float) -> list[Run]:
    """Run one job of every contender: one after the other, or overlapping if they are long."""
    if length < OVERLAPPING:
        return [contender.run(length) for contender in contenders]
    with ThreadPoolExecutor(len(contenders)) as pool:
        futures = []
        for contender in contenders:
            futures.append(pool.submit(contender.run, length))
            time.sleep(STAGGER_SECONDS)
        return [future.result() for future in futures]


def conditions(options: argparse.Namespace) -> list[str]:
    """Say what the numbers were measured on, and what is not the same for all."""
    lengths = ", ".join(f"{length:g}" for length in options.lengths)
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    lines = f"""
        {machine}; jobs of {lengths} s, {options.repetitions} of each, interleaved in random order
        ours, floor: one process per task; start is the start of the process, outputs is \
`outputs.pb` in the object store
        ours: the image's entry point with requirements/executor.txt, where there is no flytekit
        ours, flytekit; floor: flytekit's `pyflyte-execute` with requirements/executor-flytekit.txt
        both of ours: a container task with a text output, uploaded by the job before it ends
        floor: the job only sleeps, the output is a constant
        official: its container task, which can have no outputs, and one service for all tasks; \
start is the call of `CreateTask`, outputs is `GetTask` saying SUCCEEDED, asked at once and then \
every {options.tick:g} s; what FlytePropeller takes besides is left out, in time, CPU and memory
        CPU while waiting is that of a young job: pauses are short then, and grow
    """
    return [line.strip() for line in lines.strip().splitlines()]


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
