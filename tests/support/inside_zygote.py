"""The zygote itself: ``python inside_zygote.py SOCKET DOOR FORKS``. Imports nothing of the tests.

It imports once what every executor imports, then forks for each request: the fork takes over the
asker's arguments, environment, working directory and output, and is from then on a process of its
own. While it runs, the folder FORKS has its id in a file that is named by the asker's.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

FLYTEKIT = "flytekit"
ENTRYPOINT = "entrypoint"
A0 = "a0"

BIN = Path(sys.executable).parent

LONG_SECONDS = 60.0
"""Bound of its own end, once killed; this program does without the other helpers."""

PACKAGES = ("api", "lifecycle", "pod", "storage", "template", "values", "work")
"""Of perian-shim: what every executor imports sooner or later."""

PRELOADED = {
    FLYTEKIT: (
        "flytekit.bin.entrypoint",
        "flytekit.configuration.plugin",
        "s3fs",
        "perian_shim.executor",
    ),
    ENTRYPOINT: ("perian_shim.entrypoint",),
    A0: ("perian_shim.entrypoint",),
}
"""The same of others, and where it starts."""

FLYTEKITS = {"perian_shim.storage.fsspec"}
"""Of perian-shim: what only flytekit's door imports."""

HEAVY = ("flytekit", "boto3", "fsspec")
"""What nothing of the pod's may import that is not flytekit's door."""


@dataclass
class Fork:
    """One executor, from the zygote's side.

    Attributes:
        process: its id.
        noted: file that has it.
        ended: descriptor that can be read when it has ended.
        asker: connection to whoever asked for it.
        told: whether that has been told of the end.
    """

    process: int
    noted: Path
    ended: int
    asker: socket.socket
    told: bool = False


class Forks:
    """The zygote's own work: to fork for each asker, and to tell it of the fork's end.

    Args:
        listener: where askers connect.
        door: what a fork runs.
        folder: where to note which fork is whose.
    """

    def __init__(self, listener: socket.socket, door: str, folder: Path) -> None:
        self.listener = listener
        self.folder = folder
        self.execute = execute if door == FLYTEKIT else execute_entrypoint
        self.events = selectors.DefaultSelector()
        self.events.register(listener, selectors.EVENT_READ, self.fork)
        self.events.register(sys.stdin, selectors.EVENT_READ, self.end)

    def serve(self) -> NoReturn:
        """Go on until killed."""
        while True:
            for key, _ in self.events.select():
                key.data()

    def end(self) -> None:
        """Kill the whole process group: whoever started the zygote is gone."""
        os.killpg(0, signal.SIGKILL)

    def fork(self) -> None:
        """Fork an executor for the next asker and tell it of its id."""
        asker, _ = self.listener.accept()  # bounded: somebody has come
        asker.settimeout(LONG_SECONDS)
        head, outputs, _, _ = socket.recv_fds(asker, 8, 2)
        with asker.makefile("rb") as stream:
            asked = stream.read(int.from_bytes(head, "big"))
        noted = self.folder / str(process_behind(asker))
        child = os.fork()
        if child == 0:
            noted.write_text(str(os.getpid()))
            asker.close()
            self.become(outputs, *json.loads(asked))
        for output in outputs:
            os.close(output)
        fork = Fork(child, noted, os.pidfd_open(child), asker)
        with contextlib.suppress(OSError):  # if it is gone already, that is noticed below
            asker.sendall(f"{child}\n".encode())
        self.events.register(fork.ended, selectors.EVENT_READ, lambda: self.tell(fork))
        # The asker says nothing more: it can be read only when it is gone, and then so is the fork.
        self.events.register(asker, selectors.EVENT_READ, lambda: self.orphaned(fork))

    def become(
        self, outputs: list[int], arguments: list[str], environment: dict[str, str], folder: str
    ) -> NoReturn:
        """Be the executor; in the fork only."""
        for key in list(self.events.get_map().values()):
            if key.fd:
                os.close(key.fd)
        self.events.close()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate([nothing, *outputs]):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        reopen_outputs()
        os._exit(as_a_process(self.execute, arguments))

    def tell(self, fork: Fork) -> None:
        """Tell an asker how its fork has ended."""
        self.events.unregister(fork.ended)
        os.close(fork.ended)
        fork.noted.unlink(missing_ok=True)  # before the id can be another's
        code = os.waitstatus_to_exitcode(os.waitpid(fork.process, 0)[1])
        if not fork.told:
            self.events.unregister(fork.asker)
        fork.told = True
        with fork.asker, contextlib.suppress(OSError):
            fork.asker.sendall(f"{code if code >= 0 else 128 - code}\n".encode())

    def orphaned(self, fork: Fork) -> None:
        """Kill a fork whose asker is gone; how it ends is noticed like any end."""
        if not fork.told:
            fork.told = True
            self.events.unregister(fork.asker)
            os.kill(fork.process, signal.SIGKILL)


def process_behind(connection: socket.socket) -> int:
    """Return the id of the process at the other end of a Unix socket."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[0])


def reopen_outputs() -> None:
    """Make streams of the outputs as a new process does: not as those of the zygote were."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        new = open(descriptor, "w", encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115 - stays open
        setattr(sys, name, new)
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a file


def execute(arguments: list[str]) -> int:
    """Do what ``pyflyte-execute`` does."""
    from flytekit.bin.entrypoint import execute_task_cmd  # noqa: PLC0415 - imported before the fork
    from flytekit.core.context_manager import FlyteContextManager  # noqa: PLC0415 - the same

    sys.argv = arguments
    FlyteContextManager.initialize()  # what it has read of the environment was the zygote's
    execute_task_cmd()
    return 0


def execute_entrypoint(arguments: list[str]) -> int:
    """Do what the entry point of our image does."""
    from perian_shim.entrypoint import main  # noqa: PLC0415 - imported before the fork

    return main([Path(arguments[0]).name, *arguments[1:]])


def as_a_process(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a program, and do what every process does at its end; return its exit code."""
    try:
        return main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does
        traceback.print_exc()
        return 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for other threads
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()


def preload(door: str) -> None:
    """Import once what every executor imports."""
    for name in PRELOADED[door]:
        importlib.import_module(name)
    for package in PACKAGES:
        path = importlib.import_module(f"perian_shim.{package}").__path__
        for module in pkgutil.iter_modules(path, f"perian_shim.{package}."):
            if door == FLYTEKIT or module.name not in FLYTEKITS:
                importlib.import_module(module.name)
    loaded = [name for name in HEAVY if name in sys.modules]
    if door != FLYTEKIT and loaded:
        raise ImportError(f"the entry point has loaded {loaded}")
    gc.collect()
    gc.freeze()  # or the forks' collections would copy all pages that they share


if __name__ == "__main__":
    sys.path[0] = str(BIN)  # where ``pyflyte-execute`` is, as if that had been started
    chosen = sys.argv[2]
    preload(chosen)
    Forks(socket.socket(fileno=int(sys.argv[1])), chosen, Path(sys.argv[3])).serve()
