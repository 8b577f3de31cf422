"""Signals of the tests' own process, and so of all processes that it starts."""

import signal

PYTHONS_OWN = {signal.SIGINT: signal.default_int_handler}
"""What Python does by itself with signals that it finds as they are by default."""

IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
"""``subprocess`` gives these back to its children."""


def hear_signals() -> None:
    """Take nothing for ignored or blocked that whoever started this process has.

    A shell's background job ignores SIGINT and SIGQUIT, ``nohup`` SIGHUP. Children inherit that,
    and would never hear what a test sends them. To be called in the main thread, before any other
    thread or process is started.
    """
    for number in signal.valid_signals() - IGNORED_BY_PYTHON:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, PYTHONS_OWN.get(signal.Signals(number), signal.SIG_DFL))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
