"""A first signal ends a run in good order, a second one at once."""

import os
import signal
from dataclasses import dataclass, field

import pytest
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox.flyte.interrupts import ended_by_signals


@dataclass
class Run:
    ends: list[str] = field(default_factory=list)

    def abort(self) -> None:
        self.ends.append("abort")

    def kill(self) -> None:
        self.ends.append("kill")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_run_ever_harder(number: signal.Signals) -> None:
    run, told = Run(), list[str]()
    before = signal.getsignal(number)
    with ended_by_signals(run, told.append) as received:
        os.kill(os.getpid(), number)
        wait_until(lambda: run.ends == ["abort"], LONG_SECONDS, "it is not aborted")
        os.kill(os.getpid(), number)
        wait_until(lambda: run.ends == ["abort", "kill"], LONG_SECONDS, "it is not killed")
        assert received == [number, number]
    assert len(told) == 1
    assert signal.getsignal(number) == before
