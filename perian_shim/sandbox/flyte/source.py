"""The user's file for flytekit: what is in it, and its archive, as ``pyflyte run`` does it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flytekit.constants import CopyFileDetection
from flytekit.core.base_task import PythonTask
from flytekit.core.launch_plan import LaunchPlan
from flytekit.core.workflow import WorkflowBase
from flytekit.tools.fast_registration import FastPackageOptions, fast_package

from perian_shim.sandbox.flyte.registry import Runnable
from perian_shim.sandbox.modules import Imported, SourceError, imported

KINDS: Mapping[str, type] = {
    "workflow": WorkflowBase,
    "task": PythonTask,
    "launch plan": LaunchPlan,
}


@dataclass(frozen=True)
class Source(Imported):
    """An imported file of flytekit's."""

    @classmethod
    def load(cls, file: Path) -> "Source":
        """Import a file.

        Raises:
            SourceError: there is no such file, or importing it raised something: the cause.
        """
        return cls.of(imported(file))

    @classmethod
    def of(cls, found: Imported) -> "Source":
        """Return a file that has been imported."""
        return cls(found.path, found.root, found.module)

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


__all__ = ["Source", "SourceError", "kind_of"]
