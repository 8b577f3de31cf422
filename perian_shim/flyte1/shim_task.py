"""The flytekit shim task, with literals passed through as they are.

flytekit's own shim guesses Python types from the interface and decodes every input before the
executor sees it. That loses information, fails on types that the executor image does not have, and
unpickles what it was sent. Here literals go to the executor undecoded and a ``LiteralMap`` comes
back; values meet Python types only where those types exist.
"""

from flytekit.core.context_manager import FlyteContext
from flytekit.core.shim_task import ExecutableTemplateShimTask
from flytekit.models.interface import TypedInterface
from flytekit.models.literals import LiteralMap


class LiteralDispatch(ExecutableTemplateShimTask):
    """Mixin: dispatches a task to its executor without touching the literals."""

    def dispatch_execute(self, ctx: FlyteContext, input_literal_map: LiteralMap) -> LiteralMap:  # noqa: ARG002 - flytekit's signature
        """Hand the inputs to the executor and return its outputs."""
        outputs = self.executor.execute_from_model(self.task_template, **input_literal_map.literals)
        assert isinstance(outputs, LiteralMap)
        return outputs


class TemplateTask(LiteralDispatch):
    """The task as the resolver container knows it: a template and an executor."""

    @property
    def interface(self) -> TypedInterface:
        """The declared interface; flytekit asks for it when it offloads a large output."""
        interface: TypedInterface = self.task_template.interface
        return interface
