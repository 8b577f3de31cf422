"""Start a script of this package in a process of its own, quickly.

Run as ``python -I -S spawn.py <script> <arguments…>`` it makes the package importable *without*
running the package's ``__init__``, without ``site`` and without anything of the caller's Python
environment: a supervisor then starts in tens of milliseconds and depends on the standard library
alone. For that reason nothing may be imported here at module level but the standard library.
"""

import subprocess
import sys
import threading
import types
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent


def script_command(script: str, *arguments: str) -> list[str]:
    """Give the argv that runs ``perian_shim.sandbox.<script>`` by its ``main(arguments)``."""
    return [sys.executable, "-I", "-S", str(HERE / "spawn.py"), script, *arguments]


def spawn_detached(argv: Sequence[str], log: Path, inherit: Sequence[int] = ()) -> None:
    """Start a process that outlives this one.

    It has its own session, no terminal and an empty environment; a waiting thread keeps it from
    staying behind as a zombie while the caller lives.

    Args:
        argv: the command.
        log: file to which its output is appended.
        inherit: descriptors that it gets.

    Raises:
        OSError: it cannot be started.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            pass_fds=tuple(inherit),
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()


def run_script(script: str, arguments: list[str]) -> int:
    """Import and run a script of this package without the package's ``__init__``."""
    for name, folder in (("perian_shim", HERE.parent), ("perian_shim.sandbox", HERE)):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    if script == "supervisor":
        from perian_shim.sandbox.supervisor.supervisor import main  # noqa: PLC0415 - not before the above
    elif script == "probe":
        from perian_shim.sandbox.supervisor.probe import main  # noqa: PLC0415 - not before the above
    elif script == "storage_server":
        # Run with the caller's packages, but not with this folder's modules as top-level ones.
        sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
        from perian_shim.sandbox.s3.server import main  # noqa: PLC0415 - not before the above
    else:
        raise SystemExit(f"spawn.py: no script named {script!r}")
    return main(arguments)


if __name__ == "__main__":
    sys.exit(run_script(sys.argv[1], sys.argv[2:]))
