"""The user's file: found, imported and archived as ``pyflyte run`` does it.

The module is imported by its name below the source root, the first folder above the file that is no
package, so that ``src/team/train.py`` is ``team.train``, or ``train`` where ``src/team`` has no
``__init__.py``; ``__name__`` is never ``__main__``.
"""

import importlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from flytekit.constants import CopyFileDetection
from flytekit.core.base_task import PythonTask
from flytekit.core.launch_plan import LaunchPlan
from flytekit.core.workflow import WorkflowBase
from flytekit.tools.fast_registration import FastPackageOptions, fast_package
from flytekit.tools.module_loader import add_sys_path

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.flyte.registry import Runnable

KINDS: Mapping[str, type] = {
    "workflow": WorkflowBase,
    "task": PythonTask,
    "launch plan": LaunchPlan,
}


class SourceError(SandboxError):
    """The file, or what is asked for in it, cannot be had."""


@dataclass(frozen=True)
class Source:
    """An imported file.

    Attributes:
        path: the file.
        root: its source root: what is to be importable wherever its code runs.
        module: the module.
    """

    path: Path
    root: Path
    module: ModuleType

    @classmethod
    def load(cls, file: Path) -> "Source":
        """Import a file.

        Raises:
            SourceError: there is no such file, or importing it raised something: the cause.
        """
        path = file.resolve()
        if not path.is_file() or path.suffix != ".py":
            raise SourceError(f"{file}: expected a Python file")
        root = path.parent
        while (root / "__init__.py").exists():
            root = root.parent
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        try:
            with add_sys_path(root):
                module = importlib.import_module(name)
        except Exception as error:
            kind = type(error).__name__
            raise SourceError(f"{file} cannot be imported: {kind}: {error}") from error
        if Path(module.__file__ or "").resolve() != path:
            message = (
                f"{file}: its module name {name} is taken by {module.__file__}; rename the file"
            )
            raise SourceError(message)
        return cls(path, root, module)

    def entities(self) -> dict[str, Runnable]:
        """Return the workflows, tasks and launch plans of the file, by name."""
        values: dict[str, Any] = {
            name: value
            for name, value in vars(self.module).items()
            if isinstance(value, tuple(KINDS.values()))
        }
        plans = {value.name: value for value in values.values() if isinstance(value, LaunchPlan)}
        return {**plans, **values}

    def find(self, name: str | None) -> Runnable:
        """Return a workflow, task or launch plan.

        Raises:
            SourceError: there is none of this name; says which there are.
        """
        found = self.entities()
        if name is not None and name in found:
            return found[name]
        listed = "; ".join(
            f"{kind}s: {', '.join(names)}"
            for kind, type_ in KINDS.items()
            if (names := [each for each, value in found.items() if isinstance(value, type_)])
        )
        asked = "name what to run" if name is None else f"no {name!r} in it"
        raise SourceError(f"{self.path.name}: {asked}. It has {listed or 'nothing to run'}")

    def archive(self, folder: Path, copy: Literal["auto", "all"]) -> Path:
        """Pack the code as registration does.

        Args:
            folder: where to put the archive.
            copy: ``"auto"`` for the modules that have been imported, ``"all"`` for every file below
                the source root that no ignore file names.

        Returns:
            The archive.
        """
        style = CopyFileDetection.LOADED_MODULES if copy == "auto" else CopyFileDetection.ALL
        options = FastPackageOptions([], copy_style=style)
        return Path(fast_package(self.root, Path(tempfile.mkdtemp(dir=folder)), options=options))


def kind_of(entity: Runnable) -> str:
    """Return what an entity is, in words."""
    return next(kind for kind, type_ in KINDS.items() if isinstance(entity, type_))
