"""A function in its job: it can call no other task, because a job reaches no control plane.

Flyte's entry point would try for minutes. So what starts tasks is told to refuse, with what to do
instead. Traced steps (``flyte.trace``) run, and are not recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from perian_shim.flyte2 import sdk

CODE = "PERIAN:ChildTask"


@contextmanager
def without_children(name: str) -> Iterator[None]:
    """Refuse calls of tasks meanwhile.

    Args:
        name: of the task that runs.
    """
    controller = sdk.controller()
    if controller is None:
        yield
        return

    def refused(task: Any) -> Exception:
        called = str(getattr(task, "name", "") or "another task")
        message = (
            f"{name} called the task {called} in its Perian job, which reaches no control plane of"
            " Flyte. Call it from the task that called this one, and hand its result over, or call"
            f" the function itself: {called.rpartition('.')[2]}.forward(…)."
        )
        return sdk.final_error(message, CODE)

    async def submit(_task: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise refused(_task)

    def submit_sync(_task: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise refused(_task)

    async def get_action_outputs(
        interface: Any, function: Any, *_args: Any, **_kwargs: Any
    ) -> tuple[Any, bool]:
        return sdk.new_step(function, interface), False

    async def record_trace(_info: Any) -> None:
        return

    changes = {
        "get_action_outputs": get_action_outputs,
        "submit": submit,
        "submit_task_ref": submit,
        "submit_sync": submit_sync,
        "record_trace": record_trace,
    }
    for attribute, function in changes.items():
        setattr(controller, attribute, function)
    try:
        yield
    finally:
        for attribute in changes:
            delattr(controller, attribute)
