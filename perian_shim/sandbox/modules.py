"""The user's file, imported as registration imports it, and which SDK it is written for.

The module is imported by its name below the source root, the first folder above the file that is no
package, so that ``src/team/train.py`` is ``team.train``, or ``train`` where ``src/team`` has no
``__init__.py``; ``__name__`` is never ``__main__``.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from perian_shim.sandbox.errors import SandboxError


class SourceError(SandboxError):
    """The file, or what is asked for in it, cannot be had."""


@dataclass(frozen=True)
class Imported:
    """An imported file.

    Attributes:
        path: the file.
        root: its source root: what is to be importable wherever its code runs.
        module: the module.
    """

    path: Path
    root: Path
    module: ModuleType


def imported(file: Path) -> Imported:
    """Import a file.

    Raises:
        SourceError: there is no such file, or importing it raised something: the cause.
    """
    path = file.resolve()
    if not path.exists():
        raise SourceError(f"{file}: there is no such file")
    if not path.is_file() or path.suffix != ".py":
        raise SourceError(f"{file}: expected a Python file")
    root = path.parent
    while (root / "__init__.py").exists():
        root = root.parent
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    try:
        with importable(root):
            module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        kind = type(error).__name__
        raise SourceError(f"{file} cannot be imported: {kind}: {error}") from error
    if Path(module.__file__ or "").resolve() != path:
        message = f"{file}: its module name {name} is taken by {module.__file__}; rename the file"
        raise SourceError(message)
    return Imported(path, root, module)


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Have the modules below a folder importable meanwhile."""
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def imports_flyte2(file: Path) -> bool:
    """Whether a file's own lines import Flyte 2's SDK and not flytekit: a guess."""
    try:
        tree = ast.parse(file.read_text())
    except (OSError, SyntaxError, ValueError):
        return False
    packages = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            packages.add((node.module or "").partition(".")[0])
    return "flyte" in packages and "flytekit" not in packages


def is_for_flyte2(source: Imported, name: str | None, *, guess: bool) -> bool:
    """Whether what is asked for is Flyte 2's.

    Args:
        source: the file.
        name: of what is asked for; None, or a name that is not there: what counts is what is.
        guess: what is said of a file that has something of both SDKs, or nothing of either.
    """
    values = vars(source.module)
    if name in values:
        return comes_from("flyte", values[name])
    flyte2, flyte1 = (
        any(comes_from(sdk, each) for each in values.values()) for sdk in ("flyte", "flytekit")
    )
    return guess if flyte2 == flyte1 else flyte2


def comes_from(sdk: str, value: object) -> bool:
    """Whether something is of a class that an SDK has, or of one that is made of such a class."""
    return any(kind.__module__.partition(".")[0] == sdk for kind in type(value).__mro__)
