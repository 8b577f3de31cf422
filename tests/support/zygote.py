"""Many processes of ``pyflyte-execute`` for the price of starting one.

``inside_zygote.py`` imports once what every executor imports, then forks for each
request: the fork takes over the asker's arguments, environment, working directory and output, and
is from then on a process of its own that does what ``pyflyte-execute`` does. What is saved is the
import, which is nearly all of an executor's CPU time and memory; nothing else is shared.

``Zygote`` starts it and offers ``bin_dir``, a folder with a ``pyflyte-execute`` that asks for a
fork, passes signals on and ends as the fork does. Where the environment wants another Python than
the zygote is (other folders of modules, another encoding of what it prints), that becomes the real
one instead. The zygote and its forks are one process group. That is killed as a whole when the
``Zygote`` is left, and by the zygote itself when the process that started it is gone: nothing stays
behind, however a test ends.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from support.doors import Door

LONG_SECONDS = 60.0
"""Bound of its own end, once killed."""

INSIDE = Path(__file__).parent / "inside_zygote.py"

ASKER = """\
#!{python} -ISs
import json, os, signal, socket, sys
if {{k: v for k, v in os.environ.items() if k.startswith("PYTHON")}} != {python_is}:
    # It is Python itself that is to be another one: only a new process can be that.
    os.execv({real[0]!r}, [*{real!r}, *sys.argv[1:]])
# What comes before there is a fork to pass it on to has to wait, not to end this process.
signals = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
asker = socket.socket(socket.AF_UNIX)
asker.settimeout({patience})
asker.connect({door!r})
asked = json.dumps([sys.argv, dict(os.environ), os.getcwd()]).encode()
socket.send_fds(asker, [len(asked).to_bytes(8, "big")], [1, 2])
asker.sendall(asked)
answers = asker.makefile("rb")
fork = int(answers.readline())
for number in signals:
    signal.signal(number, lambda number, _: os.kill(fork, number))
signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
code = answers.readline()
sys.exit(int(code) if code else 137)
"""

PATIENCE_SECONDS = 600.0
"""Bound of an executor's life."""

FORKS = "forks"
"""Beside ``bin_dir``: has for each asker a file with the id of its fork, while that runs."""


def signal_executor(process: "subprocess.Popen[str]", number: int, bin_dir: Path) -> None:
    """Send a signal to an executor itself, not by way of whoever asked for it.

    On return it has the signal, so that what happens next happens to a process that has been hit.

    Args:
        process: started from ``bin_dir``; one that is a fork has begun its work.
        number: of the signal.
        bin_dir: of a zygote, or any other.
    """
    noted = bin_dir.parent / FORKS / str(process.pid)
    if not noted.exists():
        process.send_signal(number)
        return
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
        os.kill(int(noted.read_text()), number)


class Zygote:
    """A process to be forked, while entered.

    Args:
        environment: what all forks have in common.
        door: what they run.

    Attributes:
        bin_dir: holds a ``pyflyte-execute``.
        process: the zygote.
    """

    def __init__(self, environment: Mapping[str, str], door: Door = Door.FLYTEKIT) -> None:
        self.environment = environment
        self.door = door
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> "Zygote":  # noqa: PYI034 - Self needs Python 3.11
        with contextlib.ExitStack() as undo:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="zygote-")))
            door = folder / "door"
            self.bin_dir = folder / "bin"
            self.bin_dir.mkdir()
            forks = folder / FORKS
            forks.mkdir()
            script = self.bin_dir / self.door.program
            text = ASKER.format(
                python=sys.executable,
                python_is={k: v for k, v in self.environment.items() if k.startswith("PYTHON")},
                real=self.door.command(),
                door=str(door),
                patience=PATIENCE_SECONDS,
            )
            script.write_text(text)
            script.chmod(0o755)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(door))
                listener.listen(256)
                self.process = subprocess.Popen(
                    [
                        *(sys.executable, str(INSIDE)),
                        *(str(listener.fileno()), self.door.value, str(forks)),
                    ],
                    env={"PATH": os.defpath, **self.environment},
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.PIPE,  # never written to: its end tells that we are gone
                    start_new_session=True,
                )
            undo.callback(self.end)
            self.stack = undo.pop_all()
        return self

    def end(self) -> None:
        """Kill the zygote and every fork of it."""
        os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(LONG_SECONDS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stack.close()
