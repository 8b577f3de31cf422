"""What a job is told of whose it is."""

from dataclasses import replace

from flyteidl.core.interface_pb2 import TypedInterface

from perian_shim.config import PerianConfig
from perian_shim.spec import ContainerWork, JobSpec
from perian_shim.work.idempotency import NodeIdentity, work_key
from perian_shim.work.task_record import TaskRecord
from perian_shim.work.task_run import Place

OUTPUT = "s3://flyte/metadata/propeller/shop-prod-a1b2/n0/data"
ENVIRON = {
    "FLYTE_INTERNAL_EXECUTION_PROJECT": "shop",
    "FLYTE_INTERNAL_EXECUTION_DOMAIN": "prod",
    "FLYTE_INTERNAL_EXECUTION_ID": "a1b2",
    "FLYTE_INTERNAL_TASK_NAME": "shop.train",
    "FLYTE_INTERNAL_TASK_VERSION": "v7",
    "FLYTE_ATTEMPT_NUMBER": "2",
    "HOSTNAME": "a1b2-n0-2",
    "PERIAN_OWNER": "team-vision",
    "PERIAN_TOKEN": "secret",
}
SPEC = JobSpec(PerianConfig(cores=1), "image", ContainerWork(("true",), "/in", "/out"))
TASK = TaskRecord("shop.train", SPEC, TypedInterface(), version="v6")


def attempt(environ: dict[str, str], number: int = 2) -> Place:
    return Place.of_attempt("s3://flyte/ab/a1b2-n0-2", f"{OUTPUT}/{number}", None, None, environ)


def test_a_pods_job_is_told_execution_node_task_attempt_owner_pod_and_records() -> None:
    assert attempt(ENVIRON).origin(TASK) == {
        "FLYTE_INTERNAL_EXECUTION_PROJECT": "shop",
        "FLYTE_INTERNAL_EXECUTION_DOMAIN": "prod",
        "FLYTE_INTERNAL_EXECUTION_ID": "a1b2",
        "FLYTE_INTERNAL_TASK_NAME": "shop.train",
        "FLYTE_INTERNAL_TASK_VERSION": "v7",
        "FLYTE_ATTEMPT_NUMBER": "2",
        "PERIAN_SHIM_NODE": "n0",
        "PERIAN_SHIM_OWNER": "team-vision",
        "PERIAN_SHIM_POD": "a1b2-n0-2",
        "PERIAN_SHIM_RECORDS": f"{OUTPUT}/_perian/attempts",
    }


def test_what_is_not_known_is_left_out() -> None:
    told = attempt({}).origin(replace(TASK, version=""))
    assert told == {
        "FLYTE_INTERNAL_TASK_NAME": "shop.train",
        "FLYTE_ATTEMPT_NUMBER": "0",
        "PERIAN_SHIM_RECORDS": f"{OUTPUT}/_perian/attempts",
    }


def test_a_local_runs_job_is_told_task_owner_and_records() -> None:
    node = NodeIdentity("", "", "local-x", "s3://b/_perian/local/k")
    place = Place(node, "s3://b/x", None, environ={"HOSTNAME": "laptop"}, owner="ada")
    assert place.origin(TASK) == {
        "FLYTE_INTERNAL_TASK_NAME": "shop.train",
        "FLYTE_INTERNAL_TASK_VERSION": "v6",
        "FLYTE_ATTEMPT_NUMBER": "0",
        "PERIAN_SHIM_OWNER": "ada",
        "PERIAN_SHIM_RECORDS": "s3://b/_perian/local/k/_perian/attempts",
    }


def test_the_key_does_not_depend_on_owner_pod_or_attempt() -> None:
    other = {**ENVIRON, "PERIAN_OWNER": "x", "HOSTNAME": "y", "FLYTE_ATTEMPT_NUMBER": "3"}
    keys = {
        work_key(place.node, SPEC, {}) for place in (attempt(ENVIRON), attempt(other, number=3))
    }
    assert len(keys) == 1
