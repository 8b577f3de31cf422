"""What we use of Flyte 2's SDK that it does not offer by a public name, in one place.

The names are the same from flyte 2.0 to 2.12. Everything is imported when it is needed: a module
that defines tasks is imported in every job.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flyte.extend import TaskTemplate
    from flyte.models import NativeInterface, SerializationContext
    from flyteidl.core.interface_pb2 import TypedInterface

EXTRA = 'pip install "perian-shim[flyte2]"'


def check() -> None:
    """Expect the SDK.

    Raises:
        ImportError: it is not installed, or is another than Flyte 2's.
    """
    if importlib.util.find_spec("flyte") is None:
        message = f"perian_shim.flyte2 needs Flyte 2's SDK, which is not installed: {EXTRA}"
        raise ImportError(message)
    try:
        found = version("flyte")
    except PackageNotFoundError:  # a folder of this name
        message = (
            "perian_shim.flyte2 needs Flyte 2's SDK, but the package flyte that is found is"
            f" another, or a folder of that name: {EXTRA}"
        )
        raise ImportError(message) from None
    if found.partition(".")[0] != "2":
        message = f"perian_shim.flyte2 needs flyte 2, but flyte {found} is installed: {EXTRA}"
        raise ImportError(message)


def register(config: type, task: type) -> None:
    """Let an environment with such a ``plugin_config`` make its functions tasks of this class."""
    from flyte.extend import TaskPluginRegistry  # noqa: PLC0415 - see above

    TaskPluginRegistry.register(config, task)


def typed_interface(interface: NativeInterface) -> TypedInterface:
    """Return an interface as flyteidl has it, which is the same on the wire."""
    from flyte._internal.runtime.types_serde import (  # noqa: PLC0415 - see above
        transform_native_to_typed_interface,
    )
    from flyteidl.core.interface_pb2 import TypedInterface  # noqa: PLC0415 - the same

    made: Any = transform_native_to_typed_interface(interface)
    return TypedInterface.FromString(made.SerializeToString())


def plain_reference(image: Any) -> str | None:
    """Return the reference of an image, None of one that is yet to be built or looked up."""
    built = image._layers or image.dockerfile or image._ref_name  # noqa: SLF001 - see above
    return None if built else str(image.uri)


def image_uri(context: SerializationContext, environment: str | None, image: Any) -> str:
    """Return the reference of an image, which may have been built for an environment."""
    from flyte._internal.runtime.task_serde import (  # noqa: PLC0415 - see above
        lookup_image_in_cache,
    )

    return str(lookup_image_in_cache(context, environment or "", image))


def template_of(task: TaskTemplate[..., Any, Any], context: SerializationContext) -> Any:
    """Return a task's template, a ``flyteidl2.core.TaskTemplate``."""
    from flyte._internal.runtime.task_serde import get_proto_task  # noqa: PLC0415 - see above

    return get_proto_task(task, context)


def task_context() -> Any:
    """Return what is known of the run that this code is a part of, None outside of one."""
    from flyte._context import internal_ctx  # noqa: PLC0415 - see above

    return internal_ctx().data.task_context


def controller() -> Any:
    """Return what starts the tasks that a task calls, None if there is none."""
    from flyte._internal.controllers import get_controller  # noqa: PLC0415 - see above

    try:
        return get_controller()
    except RuntimeError:
        return None


def new_step(function: Any, interface: NativeInterface) -> Any:
    """Return what Flyte keeps of a traced step, one that has not been run before."""
    from flyte._internal.controllers import TraceInfo  # noqa: PLC0415 - see above

    return TraceInfo(function.__name__, task_context().action, interface, "")


async def code_bundle(root: Path, folder: Path, *, everything: bool = False) -> Any:
    """Return a bundle of the user's code, in a local folder.

    Args:
        root: the folder below which the code is.
        folder: where to put the bundle.
        everything: whether it has all files, not only the modules that have been imported.
    """
    from flyte._code_bundle import build_code_bundle  # noqa: PLC0415 - see above

    style: Any = "all" if everything else "loaded_modules"
    return await build_code_bundle(
        from_dir=root, dryrun=True, copy_bundle_to=folder, copy_style=style
    )


def root_folder() -> Path:
    """Return the folder below which the user's code is, as ``flyte.init`` was told."""
    from flyte._initialize import get_init_config  # noqa: PLC0415 - see above

    return Path(get_init_config().root_dir)


def final_error(message: str, code: str) -> Exception:
    """Return the error of a task that is not to be tried again, where the SDK has one."""
    import flyte.errors  # noqa: PLC0415 - see above

    kind = getattr(flyte.errors, "NonRecoverableError", None)  # not in flyte 2.0
    return kind(message, code) if kind else flyte.errors.RuntimeUserError(code, message)


async def inputs_document(interface: NativeInterface, values: dict[str, Any]) -> bytes:
    """Return a call's inputs as a serialized ``flyteidl2.task.Inputs``."""
    from flyte._internal.runtime.convert import (  # noqa: PLC0415 - see above
        convert_from_native_to_inputs,
    )

    inputs = await convert_from_native_to_inputs(interface, **values)
    document: bytes = inputs.proto_inputs.SerializeToString()
    return document


async def expect_inputs(interface: NativeInterface, values: dict[str, Any]) -> None:
    """Expect values that a task can be given: that become literals, and values again.

    Raises:
        Exception: of many kinds, one does not.
    """
    from flyte._internal.runtime.convert import (  # noqa: PLC0415 - see above
        convert_from_native_to_inputs,
        convert_inputs_to_native,
    )

    inputs = await convert_from_native_to_inputs(interface, **values)
    await convert_inputs_to_native(inputs, interface)


async def values_of(interface: NativeInterface, document: bytes) -> Any:
    """Return what a call returns, of a serialized ``flyteidl2.task.Outputs``."""
    from flyte._internal.runtime.convert import (  # noqa: PLC0415 - see above
        Outputs,
        convert_outputs_to_native,
    )
    from flyteidl2.task.common_pb2 import Outputs as Message  # noqa: PLC0415 - the same

    return await convert_outputs_to_native(interface, Outputs(Message.FromString(document)))


def options_of(interface: NativeInterface) -> list[Any]:
    """Return click's options for the inputs of a task, as ``flyte run`` has them.

    Raises:
        ValueError: an input cannot be given on a command line.
    """
    from flyte._internal.runtime.types_serde import (  # noqa: PLC0415 - see above
        transform_native_to_typed_interface,
    )
    from flyte.cli._params import to_click_option  # noqa: PLC0415 - see above

    made: Any = transform_native_to_typed_interface(interface)
    options = []
    for entry in made.inputs.variables:
        python_type, default = interface.inputs[entry.key]
        given = None if isinstance(default, type) else default  # a class marks that there is none
        options.append(to_click_option(entry.key, entry.value, python_type, given))
    return options
