"""What is the same piece of work when it is run again on somebody's own machine."""

from pathlib import Path

import pytest
from flyteidl.core.literals_pb2 import Literal, Primitive, Scalar
from flyteidl.core.tasks_pb2 import TaskTemplate
from google.protobuf.json_format import ParseDict
from support.memory_store import MemoryStore

from perian_shim.config import PerianConfig
from perian_shim.lifecycle.console import Console
from perian_shim.pod.run import prepared
from perian_shim.pod.run_context import RunContext
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.resolver_options import Distribution, LaunchOptions
from perian_shim.spec import FunctionWork, JobSpec

ENVIRON = {
    "PERIAN_ORGANIZATION": "acme",
    "PERIAN_TOKEN": "token",
    "AWS_ACCESS_KEY_ID": "own-id",
    "AWS_SECRET_ACCESS_KEY": "own-key",
    "HOME": "/no/such/home",
}


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def key(code: str | None, *, n: int = 1) -> str:
    spec = JobSpec(PerianConfig(cores=1), "image", FunctionWork("resolver", ("task-name", "f")))
    template = TaskTemplate()
    template.id.name = "shop.f"
    ParseDict(spec.to_custom(), template.custom)
    context = RunContext("s3://b/x", None, ENVIRON, FlyteSecrets({}), lambda _: MemoryStore())
    options = LaunchOptions(Distribution(code, ".") if code else None)
    inputs = {"n": Literal(scalar=Scalar(primitive=Primitive(integer=n)))}
    with prepared(context, template, inputs, options, Console()) as attempt:
        return attempt.records.record.key


def test_the_same_code_and_inputs_are_the_same_work() -> None:
    assert key("s3://b/code/one.tar.gz") == key("s3://b/code/one.tar.gz")


def test_other_code_is_other_work() -> None:
    keys = {key(None), key("s3://b/code/one.tar.gz"), key("s3://b/code/other.tar.gz")}
    assert len(keys) == 3


def test_other_inputs_are_other_work() -> None:
    assert key("s3://b/code/one.tar.gz") != key("s3://b/code/one.tar.gz", n=2)
