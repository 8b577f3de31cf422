"""Direct calls of the FlyteAdmin stand-in's methods, to see how it behaves itself."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import grpc  # type: ignore[import-untyped]  # its stubs are no dependency of ours
import pytest
from flyteidl.admin import task_pb2
from flyteidl.core import identifier_pb2, interface_pb2, tasks_pb2
from flyteidl.service import admin_pb2_grpc, dataproxy_pb2
from google.protobuf.message import Message
from support.admin_answers import TOKEN_HEADER

TOKEN = "let-me-in"


@dataclass(frozen=True)
class Caller:
    """Calls the stand-in's methods directly, with a token."""

    channel: grpc.Channel

    def __call__(self, method: str, request: Message, token: str = TOKEN) -> Message:
        make_stub: Callable[[grpc.Channel], object] = admin_pb2_grpc.AdminServiceStub
        metadata = [(TOKEN_HEADER, f"Bearer {token}")]
        answer: Message = getattr(make_stub(self.channel), method)(request, metadata=metadata)
        return answer

    def status(self, method: str, request: Message, token: str = TOKEN) -> str:
        """Return the status with which a request is refused."""
        with pytest.raises(grpc.RpcError) as refused:
            self(method, request, token)
        name: str = refused.value.code().name
        return name


def task_request(
    version: str, *, project: str = "flytesnacks", cpu: str = "1", image: str = "a:1"
) -> task_pb2.TaskCreateRequest:
    name = tasks_pb2.Resources.CPU
    resources = tasks_pb2.Resources(
        requests=[tasks_pb2.Resources.ResourceEntry(name=name, value=cpu)],
        limits=[tasks_pb2.Resources.ResourceEntry(name=name, value="1")],
    )
    return task_pb2.TaskCreateRequest(
        id=identifier(identifier_pb2.TASK, version, project),
        spec=task_pb2.TaskSpec(
            template=tasks_pb2.TaskTemplate(
                type="any",
                metadata=tasks_pb2.TaskMetadata(),
                interface=interface_pb2.TypedInterface(),
                container=tasks_pb2.Container(image=image, resources=resources),
            )
        ),
    )


def identifier(
    kind: identifier_pb2.ResourceType, version: str, project: str = "flytesnacks"
) -> identifier_pb2.Identifier:
    return identifier_pb2.Identifier(
        resource_type=kind, project=project, domain="development", name="a", version=version
    )


def upload_request(content: bytes) -> dataproxy_pb2.CreateUploadLocationRequest:
    """Return a request for the place of a file, the same whatever its content."""
    return dataproxy_pb2.CreateUploadLocationRequest(
        project="flytesnacks",
        domain="development",
        filename_root="chosen",
        filename="file",
        content_md5=hashlib.md5(content).digest(),
        add_content_md5_metadata=True,
    )
