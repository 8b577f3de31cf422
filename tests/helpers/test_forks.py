"""Pods are forks of one process, and started in earnest where a fork cannot be what is wanted."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from support.api_calls import Call
from support.cells import open_lab
from support.flyte import Harness
from support.scenes import scene
from support.traps import Trap, When
from support.waiting import LONG_SECONDS
from support.zygote import Zygote

SHOWS_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
"""What only a Python that starts anew takes notice of."""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote({}) as running:
        yield running


def run(zygote: Zygote, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(zygote.bin_dir / "pyflyte-execute"), *words],
        env={"PATH": os.defpath, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )


def test_a_fork_does_what_it_is_told_by_its_arguments(zygote: Zygote) -> None:
    ended = run(zygote, "--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: ")


def test_a_forks_exit_code_and_errors_are_its_own(zygote: Zygote) -> None:
    ended = run(zygote, "--no-such-option")
    assert ended.returncode == 2
    assert "--no-such-option" in ended.stderr


def test_another_python_than_the_zygotes_is_started_in_earnest(zygote: Zygote) -> None:
    ended = run(zygote, "--help", **SHOWS_IMPORTS)
    assert "import time:" in ended.stderr
    assert ended.stdout.startswith("Usage: ")


def test_a_lab_starts_the_pods_that_its_harness_does_and_hits_the_forks_themselves(
    harness: Harness,
) -> None:
    """Whoever asked for a fork is told how that has ended; hit itself, it would end in -9."""
    with open_lab(harness) as lab, scene(lab) as node:
        kill = Trap(Call.SUBMIT, When.AFTER, lambda: node.cluster.signal(signal.SIGKILL))
        node.api.meet_first(kill)
        ended = node.start(0).result()
        assert node.cluster.bin_dir == harness.cluster.bin_dir
    assert ended.exit_code == 128 + signal.SIGKILL
