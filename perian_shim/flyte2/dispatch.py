"""Where a task runs that is called on somebody's own machine.

In this process, as Flyte's local mode has it; through Perian, if the raw data path is remote; or by
whoever has been put in place: the stand-in for a Flyte backend runs the tasks' pods.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from perian_shim.flyte2 import sdk
from perian_shim.flyte2.submission import Runner, Submission

_runners: list[Runner] = []


@contextmanager
def use(runner: Runner) -> Iterator[None]:
    """Have all tasks of ours run by this one meanwhile, on every thread."""
    _runners.append(runner)
    try:
        yield
    finally:
        _runners.remove(runner)


def runner() -> Runner | None:
    """Return what runs a call of a task, None for this process."""
    if _runners:
        return _runners[-1]
    context = sdk.task_context()
    if context is None or context.mode != "local":
        return None
    if urlsplit(str(context.raw_data_path.path)).scheme in {"", "file"}:
        return None
    from perian_shim.flyte2.local import run_on_perian  # noqa: PLC0415 - for such runs only

    return run_on_perian


async def run(task: Any, by: Runner, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a call and return what the task returns."""
    values = {**dict(zip(task.native_interface.inputs, args, strict=False)), **kwargs}
    inputs = await sdk.inputs_document(task.native_interface, values)
    outputs = await by(Submission(task, inputs))
    return await sdk.values_of(task.native_interface, outputs)
