"""How the FlyteAdmin stand-in answers: plain functions from request to response, served by gRPC.

A function refuses a request by raising ``Refused``, which the client sees as that gRPC status. All
answers are given one at a time, so the functions need no locks. What is not answered is
``UNIMPLEMENTED``, as flyteidl's own base classes have it.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

import grpc  # type: ignore[import-untyped]  # its stubs are no dependency of ours
from google.protobuf.message import Message

Status: TypeAlias = Literal[
    "ALREADY_EXISTS", "INTERNAL", "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED"
]

Answer: TypeAlias = Callable[[Any], Message]
"""Takes the method's request. Each has a type of its own, which no common type can say."""

ServicerT = TypeVar("ServicerT")

TOKEN_HEADER = "flyte-authorization"


class Refused(Exception):
    """A request that FlyteAdmin does not grant.

    Args:
        status: name of the gRPC status.
        message: the status message.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Desk:
    """Gives the answers.

    Attributes:
        token: what callers must bring, if anything.
        calls: names of the methods that were called, in order; those not granted, too.
    """

    token: str | None = field(default=None, repr=False)
    calls: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def staffed(
        self, servicer: ServicerT, answers: Mapping[str, Answer], *, public: bool = False
    ) -> ServicerT:
        """Return the servicer with these methods answered; public ones need no token."""
        for method, answer in answers.items():
            assert hasattr(servicer, method), method
            setattr(servicer, method, self._served(method, answer, public=public))
        return servicer

    def _served(
        self, method: str, answer: Answer, *, public: bool
    ) -> Callable[[Message, grpc.ServicerContext], Message]:
        def serve(request: Message, context: grpc.ServicerContext) -> Message:
            with self._lock:
                self.calls.append(method)
                try:
                    if not public:
                        self._check(dict(context.invocation_metadata()))
                    return answer(request)
                except Refused as refused:
                    status, message = getattr(grpc.StatusCode, refused.status), str(refused)
            context.abort(status, message)
            raise AssertionError  # abort raises

        return serve

    def _check(self, metadata: Mapping[str, str]) -> None:
        if self.token is not None and metadata.get(TOKEN_HEADER) != f"Bearer {self.token}":
            raise Refused("UNAUTHENTICATED", "token is missing or wrong")
