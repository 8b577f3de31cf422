"""A short program in a process of its own, for what would stay in memory if it were loaded here.

The program gets our ``sys.path`` as one line of JSON on its standard input, after it what it is
given, as JSON too, and prints one JSON object. What it gets and prints may be a secret: it is in no
argument, and never part of an error.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from perian_shim.errors import StorageFailed

CHILD_SECONDS = 120.0
"""Bound of its life: it may ask servers, with time limits of its own."""


def answer_of(
    source: str, environ: Mapping[str, str], what: str, given: object = None
) -> dict[str, Any]:
    """Run a program and return what it prints.

    Args:
        source: the program, in Python.
        environ: its environment.
        what: names what it does, for errors.
        given: what it gets on its standard input, behind the first line; None for nothing.

    Raises:
        StorageFailed: it printed no object, or did not end.
    """
    lines = [[path for path in sys.path if path], *([] if given is None else [given])]
    try:
        done = subprocess.run(
            [sys.executable, "-c", source],
            input="\n".join(json.dumps(line) for line in lines),
            capture_output=True,
            text=True,
            env=dict(environ),
            timeout=CHILD_SECONDS,
            check=False,
            start_new_session=True,  # a signal to the group of processes is for us
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        failure = StorageFailed(f"{what} failed: {type(error).__name__} of a process of its own.")
        failure.passing = True
        raise failure from None
    return answer
