"""What perian-shim is to reach, and the judging of it.

A goal judges the pod without flytekit. Those that are shares compare medians with the floor's of
the same run, so that the machine does not matter; the others hold for the machine of
docs/benchmarks.md.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

Judge = Callable[[float | None, Sequence[float]], str]
"""Says what becomes of a goal, given the ratio to the floor, if there is one, and all values."""

END_BEFORE: Mapping[float, float] = {1.0: 0.28, 10.0: 1.15, 60.0: 3.10}
"""Seconds from a job's end to its outputs, by the job's length, when every pod loaded flytekit."""

CROWD, CROWD_MEMORY = 50, 2.2 * 1024
"""So many pods at once, and MiB that they may take in all."""

IMAGE_SHARE, IMAGE_SIZE, IMAGE_AIM = 0.25, 80.0, 60.0
"""Of a naive image, and in MB."""


def word(met: bool) -> str:
    """Say whether a goal is met."""
    return "yes" if met else "no"


def of_floor(bound: float, aim: float | None = None) -> Judge:
    """Return the judge of a share of the floor.

    Args:
        bound: the least that is to be reached.
        aim: what would be better still.
    """

    def judge(compared: float | None, _values: Sequence[float]) -> str:
        if compared is None:
            return ""
        said = f"≤ {bound:.2f} of floor: {word(compared <= bound)}"
        return said if aim is None else f"{said}; aim {aim:.2f}: {word(compared <= aim)}"

    return judge


def latest_end(length: float) -> float:
    """Return the seconds after which the outputs of a job that nobody has measured are late."""
    return 1.0 + 0.05 * length


def end_of(length: float) -> Judge:
    """Return the judge of the time from a job's end to its outputs.

    When a job ends between two looks is chance. A median above the one of before says nothing as
    long as that one lies within the spread of today's.
    """
    bound = END_BEFORE.get(length, latest_end(length))

    def judge(_compared: float | None, values: Sequence[float]) -> str:
        if statistics.median(values) <= bound:
            return f"≤ {bound:.2f} s: yes"
        near = length in END_BEFORE and min(values) <= bound
        return f"≤ {bound:.2f} s: {'within the spread' if near else 'no'}"

    return judge


def image(ours: float, naive: float | None) -> str:
    """Judge the size of the image.

    Args:
        ours: MB.
        naive: MB of the naive one on the same base, if that was measured.
    """
    said = [
        f"≤ {IMAGE_SIZE:.0f} MB: {word(ours <= IMAGE_SIZE)}",
        f"aim {IMAGE_AIM:.0f}: {word(ours <= IMAGE_AIM)}",
    ]
    if naive:
        share = ours / naive
        met = word(share <= IMAGE_SHARE)
        said.append(f"≤ {IMAGE_SHARE:.0%} of naive ({naive:.0f}): {met}, {share:.0%}")
    return "; ".join(said)


def crowd(number: int, pss: float) -> str:
    """Judge the memory of many pods at once.

    Args:
        number: of pods.
        pss: MiB of all of them.
    """
    if number != CROWD:
        return ""
    return f"PSS ≤ {CROWD_MEMORY:.0f}: {word(pss <= CROWD_MEMORY)}"
