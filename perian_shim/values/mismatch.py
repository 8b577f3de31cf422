"""A JSON value that is not of its declared type: what is wrong, and where in the document."""

from __future__ import annotations

MAX_PLACE = 200


class MismatchError(ValueError):
    """A JSON value that is not of its declared type.

    Raised where it is found, without a place; whoever looks into a list or an object adds the step
    that led there. So no places are written for the values that fit.

    Attributes:
        reason: what is wrong.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._steps: list[str] = []

    def inside(self, step: str) -> None:
        """Say within what the value is: ``[2]`` or ``.mean``; the inner steps come first."""
        self._steps.append(step)

    def copy(self) -> MismatchError:
        """Make the same again, for another to add steps to."""
        made = type(self)(self.reason)
        for step in self._steps:
            made.inside(step)
        return made

    @property
    def place(self) -> str:
        """Where the value is: ``$.rows[2].mean``; bounded in length."""
        steps = "".join(reversed(self._steps))
        if len(steps) > MAX_PLACE:
            steps = f"{steps[: MAX_PLACE // 2]}…{steps[-MAX_PLACE // 2 :]}"
        return f"${steps}"

    def __str__(self) -> str:
        return f"at {self.place}: {self.reason}"
