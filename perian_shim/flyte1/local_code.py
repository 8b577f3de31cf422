"""The user's code in a run without a backend: packed and uploaded as fast registration does it.

A job elsewhere has its image and what it is given; what somebody has just written on their own
machine is in neither. Without a backend nobody registers it, so it is packed here: the modules that
are loaded from the project's root, which is where ``pyflyte run`` finds it, also for a program that
calls its workflow itself. An archive's name is made of its content, so that other code is other
work and the same code is uploaded once.
"""

import sys
import tempfile
from pathlib import Path

from flytekit.configuration import SerializationSettings
from flytekit.constants import CopyFileDetection
from flytekit.core.context_manager import FlyteContext
from flytekit.tools.fast_registration import FastPackageOptions, fast_package
from flytekit.tools.script_mode import list_imported_modules_as_files

from perian_shim.resolver_options import DESTINATION, DISTRIBUTION

CODE_FOLDER = "_perian/code"
"""Below the run's raw data prefix."""


def shipped_code(ctx: FlyteContext, settings: SerializationSettings, module: str) -> dict[str, str]:
    """Upload the user's code; return the executor's options that say where it is.

    Args:
        ctx: the run's context.
        settings: what the run serializes with; its root is taken if it names one.
        module: name of the module that defines the task.

    Returns:
        Nothing if there is no code of the user's own: it is installed, or in no file.
    """
    root = settings.source_root or project_root(module)
    if root is None or not list_imported_modules_as_files(root, list(sys.modules.values())):
        return {}
    options = FastPackageOptions([], copy_style=CopyFileDetection.LOADED_MODULES)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(fast_package(root, folder, options=options))  # type: ignore[arg-type]  # takes texts
        prefix = str(ctx.file_access.raw_output_prefix).rstrip("/")
        location = f"{prefix}/{CODE_FOLDER}/{archive.name}"
        if not ctx.file_access.exists(location):
            ctx.file_access.put_data(str(archive), location)
    fast = settings.fast_serialization_settings
    destination = fast.destination_dir if fast is not None else None
    return {DISTRIBUTION: location, DESTINATION: destination or "."}


def project_root(module: str) -> str | None:
    """Return the first folder above a module that is no package.

    None for a module that is in no file, or installed: an image with the user's packages has it.
    """
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return None
    folder = Path(file).resolve().parent
    while (folder / "__init__.py").exists():
        folder = folder.parent
    return None if folder.name in {"site-packages", "dist-packages"} else str(folder)
