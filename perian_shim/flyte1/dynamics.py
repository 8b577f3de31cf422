"""What registration decides holds within ``@dynamic`` as well.

The tasks of a dynamic are compiled in that dynamic's own pod, by the user's image, where the
registration's ``PERIAN_SHIM_IMAGE`` is not set. flytekit gives such a pod what it needs to compile
in one variable, made of the registration's settings by ``with_serialized_context``; only dynamics
and eager functions get it. There the name of the executor image is added.
"""

import functools
from dataclasses import replace

from flytekit.configuration import SerializationSettings

from perian_shim import settings as env


def carry_executor_image() -> None:
    """Let the settings that dynamics get hold the executor image, if a variable names it."""
    original = SerializationSettings.with_serialized_context
    if hasattr(original, "__wrapped__"):  # the module was loaded again
        return

    @functools.wraps(original)
    def with_executor_image(self: SerializationSettings) -> SerializationSettings:
        image = env.text(env.EXECUTOR_IMAGE)
        if image and env.EXECUTOR_IMAGE not in (self.env or {}):
            self = replace(self, env={**(self.env or {}), env.EXECUTOR_IMAGE: image})
        return original(self)

    SerializationSettings.with_serialized_context = with_executor_image  # type: ignore[method-assign]  # flytekit has no hook for it
