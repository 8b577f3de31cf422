"""A signal becomes an exception wherever the main thread is, once."""

import gc
import os
import signal
import sys
import threading
import time

import pytest
from support.waiting import LONG_SECONDS

from perian_shim.lifecycle.signals import SIGNALS, Terminated, Termination


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_a_blocking_call(number: signal.Signals) -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    with pytest.raises(Terminated, match=number.name), Termination().handled():
        time.sleep(30)


def test_a_second_signal_does_not_interrupt_the_cleaning_up() -> None:
    cleaned = False
    with Termination().handled():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            cleaned = True
    assert cleaned


def test_no_library_can_take_it_for_a_fault() -> None:
    assert not issubclass(Terminated, Exception)


def test_what_was_there_before_is_put_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with Termination().handled():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    with pytest.raises(Terminated), Termination().handled():
        signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_thread_that_may_have_no_handlers_goes_without() -> None:
    done: list[bool] = []

    def body() -> None:
        with Termination().handled():
            done.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(LONG_SECONDS)
    assert done == [True]


def test_a_signal_that_was_lost_in_a_finalizer_is_heard_at_the_next_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: lost.append(unraisable.exc_type))

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    termination = Termination()
    with termination.handled():
        thing = Finalized()
        del thing
        gc.collect()
        assert lost == [Terminated]
        with pytest.raises(Terminated, match="SIGTERM"):
            termination.sleep(0)


def test_a_wait_without_a_signal_is_just_that() -> None:
    termination = Termination()
    with termination.handled():
        termination.sleep(0)


def test_a_handler_that_somebody_put_in_between_is_replaced_when_signals_are_noted_again() -> None:
    termination = Termination()
    termination.note()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(Terminated), termination.handled():
        signal.raise_signal(signal.SIGINT)
