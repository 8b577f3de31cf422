"""What ``help`` and ``inspect.signature`` tell of our task classes.

flytekit's metaclass makes every class look as if it took ``(*args, **kwargs)``, and a constructor
without a docstring of its own shows its base's, which names other arguments.
"""

import inspect
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


class OfTheConstructor:
    """A class's ``__signature__``: that of its constructor. Instances have none, being called."""

    def __get__(self, instance: object, owner: type[Any]) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        signature = inspect.signature(owner.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def documented(cls: C) -> C:
    """Give a class's docstring to its constructor, and the constructor's signature to the class."""
    cls.__init__.__doc__ = cls.__doc__  # type: ignore[misc]  # mypy thinks of instances
    cls.__signature__ = OfTheConstructor()  # type: ignore[attr-defined]  # read by inspect
    return cls
