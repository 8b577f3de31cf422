"""What happens before and after the command, in an image with Python: see run.sh, which calls it.

Needs nothing but Python >= 3.6, and the other files of this folder; no other program of the image
is used. What it leaves is the same that run.sh leaves without Python. Paths are the image's bytes,
by os.fsdecode; records are lines of bytes, described in run.sh.

    stages.py check                          tells whether this Python will do
    stages.py private                        makes a private directory and prints its path
    stages.py before LIMITS COMMAND          reads the plan, makes and tries the places, downloads
    stages.py renew LIMITS                   keeps the grant fresh until it is ended
    stages.py start COMMAND [ARGUMENT...]    becomes the command, in the job's own environment
    stages.py after LIMITS EXIT              uploads the outputs, or the error, and the result
    stages.py leave LIMITS EXIT PROBLEM      uploads the result alone
    stages.py clean PRIVATE                  removes the private directory

LIMITS are six words: how often a file is tried, the first pause, how long connecting and a stall
may take, how long it is waited for access that has expired, and the private directory, if there is
one. Exit codes: 0 all is done; 64 image or plan do not allow the job; 65 download failed; 66 upload
failed. Why is said in the log, and in the result if that can be left.
"""

import errno
import os
import shutil
import signal
import sys
import tempfile
import threading
import types
from pathlib import Path

if not __package__:
    # In a job these files lie side by side: let their folder be the package that they are part of.
    for name in ("perian_shim", "perian_shim.job"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(Path(__file__).parent)]

from perian_shim.job.after import Leaving
from perian_shim.job.before import before, job_environment
from perian_shim.job.grant import VARIABLE, Grants
from perian_shim.job.listing import reason
from perian_shim.job.plan import NOT_FETCHED, NOT_UPLOADED, UNUSABLE, Failure, Plan
from perian_shim.job.transfer import Limits, say, scrub


def start(arguments: "list[str]") -> int:
    """Become the command. Returns the exit code that a shell has for one that cannot be run."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them
    environment = job_environment()
    for name in (*own_variables(), os.fsencode(VARIABLE)):
        environment.pop(name, None)
    argv = [os.fsencode(argument) for argument in arguments]
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - the user's command
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without #!
            folders = [b""] if b"/" in argv[0] else environment.get(b"PATH", b"").split(b":")
            for path in (os.path.join(each, argv[0]) for each in folders):
                if os.access(path, os.X_OK):
                    script = [b"/bin/sh", path, *argv[1:]]
                    os.execve("/bin/sh", script, environment)  # noqa: S606 - the same
        say(f"the command {arguments[0]} cannot be run: {reason(error)}")
        return 126 if isinstance(error, PermissionError) or error.errno == errno.ENOEXEC else 127


def own_variables() -> "list[bytes]":
    """The variables in which secrets came that are files by now."""
    try:
        return [variable for variable, _ in Plan(Path(__file__).parent).secrets]
    except Failure:
        return []


def private() -> int:
    """Make a directory that only the job's user can look into, and print its path."""
    # A sandbox may rewrite "/perian-shim" in files sent with a job: this name does not have it.
    for base in (os.environ.get("TMPDIR") or "/tmp", "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108
        try:
            sys.stdout.write(tempfile.mkdtemp(prefix="tmp-perian-shim.", dir=base))
        except OSError:
            continue
        return 0
    say("no temporary directory can be made in $TMPDIR, /tmp, /var/tmp or /dev/shm")
    return UNUSABLE


def run(what: str, rest: "list[str]") -> int:
    """Do one stage. Returns its exit code."""
    limits, patience, private, rest = Limits(*rest[:4]), float(rest[4]), rest[5], rest[6:]
    grants = None
    if private:
        grants = Grants(Path(private), limits, os.environ.get(VARIABLE, ""), patience)
    if what == "renew":
        if grants:
            grants.follow(threading.Event())
        return 0
    leaving = None
    code = 0
    failed = NOT_FETCHED if what == "before" else NOT_UPLOADED
    try:
        plan = Plan(Path(__file__).parent)
        leaving = Leaving(plan, grants)
        if what == "before":
            before(plan, grants, rest[0])
            return 0
        code = int(rest[0])
        if what == "leave":
            return 0 if leaving.result(code, rest[1]) else NOT_UPLOADED
        leaving.everything(code)
    except Failure as failure:
        failed, problem = failure.code, str(failure)
    except Exception as error:  # noqa: BLE001 - whatever it is, the result has to say it
        problem = f"the wrapper itself failed: {type(error).__name__}: {scrub(str(error))}"
    else:
        return 0 if leaving.result(code, "") else NOT_UPLOADED
    if leaving is None:
        say(f"{problem}; exit code {failed}")
    else:
        leaving.outputs, leaving.pieces = {}, []
        leaving.result(code or failed, problem)
    return failed


def main(arguments: "list[str]") -> int:
    """The program. Returns its exit code."""
    what, *rest = arguments
    if what == "check":
        return 0 if sys.version_info >= (3, 6) else 1
    if what == "private":
        return private()
    if what == "clean":
        shutil.rmtree(rest[0], ignore_errors=True)
        return 0
    return start(rest) if what == "start" else run(what, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
