"""How ``pyflyte`` shows an error of ours: one block for people, with ``-v`` the traceback instead.

``pyflyte`` prints a traceback of every error but those of click, and in ours hardly a line is about
the user's own code. An error that is shown as a block stays of its class, so that whoever catches
it finds what is documented. click is looked for only where it has been loaded.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import ParamSpec, TypeVar, cast

from perian_shim.api.errors import PerianError

E = TypeVar("E", bound=PerianError)
P = ParamSpec("P")
T = TypeVar("T")


def explained(make: Callable[P, T]) -> Callable[P, T]:
    """Let the errors of a constructor be shown as a block that names the user's line."""

    @functools.wraps(make)
    def made(*args: P.args, **options: P.kwargs) -> T:
        try:
            return make(*args, **options)
        except PerianError as error:
            _, frame = users_frame()
            raise for_people(error, f"{frame.f_code.co_filename}:{frame.f_lineno}: ") from None
        except TypeError as error:
            meant = meant_argument(str(error), make)
            if meant is None:
                raise
            raise TypeError(f"{error}; did you mean {meant!r}?").with_traceback(None) from None

    return made


def meant_argument(message: str, make: Callable[..., object]) -> str | None:
    """Return what a misspelt argument is most like, None if the error is about something else."""
    before, said, unknown = message.partition("unexpected keyword argument ")
    if not said or f"{make.__qualname__}()" not in before:
        return None
    import difflib  # noqa: PLC0415 - a pod that waits does without
    import inspect  # noqa: PLC0415 - the same

    near = difflib.get_close_matches(unknown.strip("'"), inspect.signature(make).parameters, n=1)
    return near[0] if near else None


def explained_when_made(kind: type[T]) -> type[T]:
    """Do the same for a dataclass."""
    made: Callable[..., None] = kind.__init__
    kind.__init__ = explained(made)  # type: ignore[method-assign]  # the same, with better errors
    return kind


def for_people(error: E, where: str = "") -> E:
    """Return what to raise for an error on somebody's own machine.

    Args:
        error: the error. Under ``pyflyte`` it is shown as a block, in other programs without our
            own frames, and under ``pyflyte -v`` with all of them.
        where: what the block begins with.
    """
    verbosity = pyflyte_verbosity()
    if verbosity is None:
        return error.with_traceback(None)
    if verbosity > 0:
        return error
    kind = shown_kind(type(error))
    shown = kind.__new__(kind)
    shown.__dict__.update(error.__dict__, where=where)
    shown.args = error.args
    return cast("E", shown)


def pyflyte_verbosity() -> int | None:
    """Return how often ``pyflyte`` was given ``-v``; None if this is another program."""
    click = sys.modules.get("click")
    context = click.get_current_context(silent=True) if click else None
    root = context.find_root() if context else None
    if root is None or not type(root.command).__module__.startswith("flytekit."):
        return None
    return int(root.params.get("verbose") or 0)


def shown_kind(kind: type[PerianError]) -> type[PerianError]:
    """Return the kind of error that is this one and one of click's."""
    from click import ClickException  # noqa: PLC0415 - has been loaded

    members = {"__module__": kind.__module__, "exit_code": 1, "format_message": block}
    return type(kind.__name__, (kind, ClickException), members)


def block(error: PerianError) -> str:
    """Return what happened, to which job, and what to do next, each on lines of its own."""
    job_id = getattr(error, "job_id", None)
    lines = [f"{getattr(error, 'where', '')}{error.message}"]
    if job_id and job_id not in error.message:
        lines.append(f"Job: {job_id}")
    if error.remedy:
        lines.append(f"What to do: {error.remedy}")
    lines.append(f"({error.code}; pyflyte -v shows the traceback)")
    return "\n".join(lines)


def users_frame() -> tuple[int, FrameType]:
    """Return the innermost call of code that is neither an SDK's nor ours.

    Returns:
        How many calls it is above the caller of this function, and its frame.
    """
    level, frame = 0, sys._getframe(1)  # noqa: SLF001 - as warnings.warn does it
    while frame.f_back is not None and frame.f_code.co_filename.startswith(packages()):
        level, frame = level + 1, frame.f_back
    return level, frame


def packages() -> tuple[str, ...]:
    """Return the folders whose lines are not where a user would look."""
    loaded = (getattr(sys.modules.get(name), "__file__", None) for name in ("flytekit", "flyte"))
    sdks = (f"{Path(file).parent}/" for file in loaded if file)
    # The constructor of a dataclass is compiled of a text.
    return (f"{Path(__file__).parent}/", "<string>", *sdks)
