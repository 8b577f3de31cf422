"""What Linux tells of a process: CPU time in seconds, memory in MiB.

All of it is read from ``/proc``; a process that is gone raises ``FileNotFoundError`` or
``ProcessLookupError``. One that has ended but has not been waited for still tells its CPU time.
"""

import os
import select
import time
from dataclasses import dataclass
from pathlib import Path

KIB_PER_MIB = 1024
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
NANOSECONDS = 1e9

SHORTEST_WATCHED = 4.0
"""A shorter job leaves no time to look at memory undisturbed."""

SHORTEST_WINDOW = 10.0
"""A shorter job is asked for too few times to tell the CPU time of waiting."""

HOUR = 3600.0


@dataclass(frozen=True)
class Memory:
    """Resident memory in MiB.

    Attributes:
        rss: all resident pages.
        pss: resident pages, shared ones divided among their users.
        private: pages that nobody else has.
        anonymous: pages without a file behind them.
    """

    rss: float
    pss: float
    private: float
    anonymous: float

    @classmethod
    def parse(cls, rollup: str) -> "Memory":
        """Read the text of ``smaps_rollup``."""
        lines = (line.split() for line in rollup.splitlines()[1:])
        sizes = {words[0].rstrip(":"): int(words[1]) / KIB_PER_MIB for words in lines}
        private = sizes["Private_Clean"] + sizes["Private_Dirty"]
        return cls(sizes["Rss"], sizes["Pss"], private, sizes["Anonymous"])

    @classmethod
    def of(cls, pid: int) -> "Memory":
        """Read the memory of a process."""
        return cls.parse(Path(f"/proc/{pid}/smaps_rollup").read_text())

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(
            self.rss + other.rss,
            self.pss + other.pss,
            self.private + other.private,
            self.anonymous + other.anonymous,
        )


NOTHING = Memory(0.0, 0.0, 0.0, 0.0)


def total_cpu(pid: int) -> float:
    """Return the CPU time of a process since it started, its ended threads and children included.

    Exact to a tick, usually 10 ms.
    """
    return parse_total_cpu(Path(f"/proc/{pid}/stat").read_text())


def parse_total_cpu(stat: str) -> float:
    """Read the text of ``/proc/PID/stat``."""
    fields = stat.rpartition(")")[2].split()  # a program's name may hold spaces
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def running_cpu(pid: int) -> float:
    """Return the CPU time of a process's living threads, exact to the nanosecond."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    spent = (int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    return sum(spent) / NANOSECONDS


def wait_for_end(pid: int, seconds: float) -> None:
    """Wait until a process has ended, and leave it to be waited for.

    Raises:
        TimeoutError: it has not ended in so many seconds.
    """
    descriptor = os.pidfd_open(pid)
    try:
        readable, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    if not readable:
        raise TimeoutError(f"process {pid} did not end within {seconds:g} s")


def watch(pid: int, since: float, length: float) -> tuple[Memory | None, float | None]:
    """Look at a process while its job runs: memory, and CPU time per hour.

    Args:
        pid: the process.
        since: when the job was submitted, in seconds since the epoch.
        length: how long it runs.
    """
    if length < SHORTEST_WATCHED:
        return None, None
    sleep_until(since + 0.4 * length)
    memory = Memory.of(pid)
    if length < SHORTEST_WINDOW:
        return memory, None
    begin, before = time.time(), running_cpu(pid)
    sleep_until(since + 0.9 * length)
    spent = running_cpu(pid) - before
    return memory, spent / (time.time() - begin) * HOUR


def sleep_until(moment: float) -> None:
    """Wait for a moment, in seconds since the epoch; one that has passed is no reason to wait."""
    time.sleep(max(0.0, moment - time.time()))
