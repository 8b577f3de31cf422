"""The few Linux system calls that isolation needs and Python's standard library lacks.

Every function raises ``OSError`` with the call's name and target when the kernel refuses, and with
``ENOSYS`` on systems that are not Linux. Nothing here changes state outside the calling process,
except for the mount namespace that it is in.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

IS_LINUX = sys.platform.startswith("linux")


def call(name: str, subject: str, *arguments: object) -> None:
    """Call a libc function that answers 0 on success.

    Raises:
        OSError: the call failed, or this is not Linux.
    """
    if not IS_LINUX:
        raise OSError(errno.ENOSYS, f"{name} exists on Linux only", subject)
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}", subject)


def text(value: str | None) -> bytes | None:
    """Give a C string, or NULL for None."""
    return None if value is None else os.fsencode(value)


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags`` (``CLONE_NEW…``)."""
    call("unshare", f"flags {flags:#x}", ctypes.c_int(flags))


def enter_process_namespace() -> bool:
    """Have this process's children in a process namespace of their own.

    Without the privilege that takes, this process goes into a user namespace first, in which it is
    root.

    Returns:
        Whether it is now in a user namespace.

    Raises:
        OSError: neither is possible.
    """
    try:
        unshare(CLONE_NEWPID)
    except PermissionError:
        user, group = os.geteuid(), os.getegid()
        unshare(CLONE_NEWUSER)
        for name, content in (
            ("setgroups", "deny"),
            ("uid_map", f"0 {user} 1"),
            ("gid_map", f"0 {group} 1"),
        ):
            Path("/proc/self", name).write_text(content)
        unshare(CLONE_NEWPID)
        return True
    return False


def mount(
    source: str | None,
    target: str,
    kind: str | None = None,
    flags: int = 0,
    options: str | None = None,
) -> None:
    """Show ``source`` at ``target``, as the system call does."""
    call(
        "mount",
        target,
        text(source),
        text(target),
        text(kind),
        ctypes.c_ulong(flags),
        text(options),
    )


def bind_read_only(source: str, target: str) -> None:
    """Show ``source`` at ``target``, itself without write access."""
    # With what is mounted below: in a user namespace the kernel does not let it be uncovered.
    mount(source, target, None, MS_BIND | MS_REC)
    mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def prctl(option: int, value: int) -> None:
    """Set an attribute of the calling process."""
    zero = ctypes.c_ulong(0)
    call("prctl", f"option {option}", ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)


def become_subreaper() -> None:
    """Make orphans among this process's descendants its own children. No effect off Linux."""
    if IS_LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signum: int) -> None:
    """Have the kernel send ``signum`` to this process when its parent dies. No effect off Linux."""
    if IS_LINUX:
        prctl(PR_SET_PDEATHSIG, signum)
