"""A run without a backend: whose work it is, so that running it again finds its job.

Flyte gives a run on somebody's own machine no node and no attempts. Its identity is made of what
stays when the same thing is run again: the user, the machine, the program and the task, and by the
idempotency key its inputs and its definition. A closed terminal or a killed process leaves a job
that the next run of the same thing rejoins.

Two runs of the same thing side by side are two pieces of work. Each holds the lock of a *slot* for
as long as it lives, which the operating system takes back whatever ends it; the slot is a part of
the identity. Where files cannot be locked, an identity is random and nothing is ever rejoined.
"""

import contextlib
import fcntl
import getpass
import hashlib
import os
import socket
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from perian_shim import settings
from perian_shim.storage import join_uri
from perian_shim.work.idempotency import NodeIdentity
from perian_shim.work.task_run import Place

SLOTS = 64
"""So many runs of the same thing side by side have an identity that lasts."""


@contextmanager
def local_place(
    raw_prefix: str,
    task: str,
    environ: Mapping[str, str],
    key_of: Callable[[NodeIdentity], str],
) -> Iterator[Place]:
    """Give a local run its place, for as long as it holds it.

    Args:
        raw_prefix: URI prefix that the run was given.
        task: the task's name, and whatever else tells it from others.
        environ: the process's environment.
        key_of: returns the idempotency key of the work, given whose it is.
    """
    program = program_identity(task)
    with contextlib.ExitStack() as stack:
        for slot in range(SLOTS):
            node = local_node(raw_prefix, f"{program}-{slot}")
            if stack.enter_context(held(key_of(node))):
                break
        else:
            node = local_node(raw_prefix, uuid.uuid4().hex)
        folder = join_uri(node.node_prefix, key_of(node))
        node = NodeIdentity("", "", node.execution, folder)
        own = join_uri(raw_prefix, f"local-{uuid.uuid4().hex[:12]}")
        owner = settings.text(settings.OWNER, getpass_user(), environ)
        yield Place(node, own, None, environ=environ, owner=owner)


def local_node(raw_prefix: str, name: str) -> NodeIdentity:
    """Return whose piece of work a local run is."""
    return NodeIdentity("", "", f"local-{name}", join_uri(raw_prefix, "_perian", "local"))


def program_identity(task: str) -> str:
    """Return what stays the same when the same program runs the same task again."""
    who = [getpass_user(), socket.gethostname(), str(Path(sys.argv[0]).resolve()), str(Path.cwd())]
    return hashlib.sha256("\0".join([*who, *positional_arguments(), task]).encode()).hexdigest()[
        :16
    ]


def positional_arguments() -> list[str]:
    """Return the file and the workflow that ``pyflyte run`` was given, or a program's arguments."""
    return [argument for argument in sys.argv[1:] if not argument.startswith("-")]


def getpass_user() -> str:
    """Return the user's name, whatever is known of it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for the user's number
        return str(os.getuid())


@contextmanager
def held(name: str) -> Iterator[bool]:
    """Hold a lock of this machine's; give whether it is ours."""
    folder = Path(tempfile.gettempdir()) / f"perian-shim-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = (folder / f"{name}.lock").open("a")
    except OSError:
        yield False
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
