"""The executor image does its work as it is deployed: as a container, with nothing but itself.

The one without flytekit does all of it; what else may run in the one with flytekit is at the end.
"""

import signal
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import image as recipe
import pytest
from flytekit.models.literals import LiteralMap
from support.api_front import FaultyApi
from support.cells import PLAIN, Lab
from support.containers import (
    BuiltImage,
    closed_network,
    require_base,
    without_network_choice,
)
from support.doors import Door
from support.flyte import Harness, pod_environment
from support.function_harness import FunctionHarness
from support.functions import official_example
from support.matrix_rows import CANCELLED_WITHIN_SECONDS, ENDED_WITHIN_SECONDS
from support.matrix_stages import Stage
from support.outcomes import now
from support.storage_front import StorageFront
from support.waiting import on_this_machine, wait_until

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.flyte.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

READ_ONLY = ("--read-only", "--read-only-tmpfs=false")
RANDOM_USER = ("--user", "1000730000:0")
LARGEST_SIZE = 60e6
"""In bytes, unpacked."""

NO_CAPABILITIES = ("--cap-drop", "all", "--security-opt", "no-new-privileges")


@pytest.fixture
def contained(image: BuiltImage, harness: Harness, tmp_path: Path) -> Harness:
    """A harness whose pods are containers, locked up as a strict cluster would."""
    options = [*READ_ONLY, *RANDOM_USER, *NO_CAPABILITIES]
    cluster = replace(harness.cluster, bin_dir=image.bin_dir(tmp_path / "bin", options))
    return replace(harness, cluster=cluster)


def doubling() -> PerianContainerTask:
    return PerianContainerTask(
        name="test.image.doubling",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["sh", "-c", "cat /var/inputs/text /var/inputs/text > /var/outputs/twice"],
        inputs={"text": str},
        outputs={"twice": str},
    )


def test_a_container_task_runs_read_only_as_any_user_without_capabilities(
    contained: Harness,
) -> None:
    outputs = contained.outputs(doubling(), {"text": "ab"})
    assert contained.value(outputs["twice"], str) == "abab"


def test_a_function_task_runs_read_only_as_any_user_without_capabilities(
    contained: Harness,
) -> None:
    ran = FunctionHarness(contained).run(official_example.perian_hello, {"name": "container"})
    assert contained.value(ran.literals["o0"], str) == "hello container!"


def test_the_images_own_user_needs_no_options(
    image: BuiltImage, harness: Harness, tmp_path: Path
) -> None:
    cluster = replace(harness.cluster, bin_dir=image.bin_dir(tmp_path / "bin"))
    outputs = replace(harness, cluster=cluster).outputs(doubling(), {"text": "x"})
    assert harness.value(outputs["twice"], str) == "xx"


def test_secrets_reach_it_as_variables_too(contained: Harness) -> None:
    given = contained.cluster
    variables = {
        f"_FSEC_{group}_{key}".upper(): value for (group, key), value in given.secrets.items()
    }
    cluster = replace(given, environment={**given.environment, **variables}, secrets={})
    outputs = replace(contained, cluster=cluster).outputs(doubling(), {"text": "-"})
    assert contained.value(outputs["twice"], str) == "--"


def test_it_needs_no_network_but_the_api_and_the_store(image: BuiltImage, tmp_path: Path) -> None:
    if image.engine.program != "podman":
        pytest.skip("docker cannot put a container into a network of ours")
    with (
        closed_network("perian0", "10.213.77.1", "10.213.77.2") as network,
        Sandbox(tmp_path / "state", host="10.213.77.1") as sandbox,
    ):
        alone = BuiltImage(without_network_choice(image.engine), image.tag)
        options = [f"--network=ns:{network}", "--dns=none", *READ_ONLY]
        keys = sandbox.environment()
        cluster = Cluster(
            bucket=sandbox.bucket,
            environment=pod_environment(sandbox),
            secrets={
                ("perian", "perian_organization"): keys["PERIAN_ORGANIZATION"],
                ("perian", "perian_token"): keys["PERIAN_TOKEN"],
            },
            bin_dir=alone.bin_dir(tmp_path / "bin", options),
        )
        harness = Harness(sandbox, cluster, tmp_path, Door.ENTRYPOINT)
        template = cluster.serialize(doubling())
        text = cluster.literals(doubling(), {"text": "far"})
        attempt = cluster.start(template, text, harness.execution()).wait()
    assert attempt.outputs is not None, attempt.log
    assert harness.value(attempt.outputs.literals["twice"], str) == "farfar"


@pytest.mark.parametrize("stage", [Stage.LOADING, Stage.POST_ACTED, Stage.POLLING])
def test_a_deleted_pod_leaves_no_job(
    stage: Stage, image: BuiltImage, lab: Lab, tmp_path: Path
) -> None:
    execution = lab.harness.execution()
    with FaultyApi(lab.harness.sandbox) as api:
        trap = stage.trap(lambda: cluster.signal(signal.SIGTERM))
        api.meet_first(trap)
        with StorageFront(lab.harness.sandbox.s3_endpoint, trap) as front:
            cluster = lab.cluster(api, front, bin_dir=image.bin_dir(tmp_path / "bin"))
            attempt = cluster.start(lab.templates[PLAIN], LiteralMap({}), execution).wait()
            ended = now()
    lab.settle(execution)
    jobs = lab.jobs(execution)
    lab.clean(execution)
    assert trap.sprung is not None
    assert attempt.outputs is None
    assert [job.status for job in jobs] == ["Cancelled"] * len(jobs), attempt.log
    # The engine hands a signal on in its own time; meanwhile a pod that loads may have gone on.
    assert len(jobs) <= 1 if stage is Stage.LOADING else len(jobs) == 1
    # Taking down a container is the engine's work, and on a busy machine takes it seconds.
    assert (ended - trap.sprung).total_seconds() < on_this_machine(ENDED_WITHIN_SECONDS)
    for job in jobs:
        lived = (job.done - trap.sprung).total_seconds()
        assert lived < on_this_machine(CANCELLED_WITHIN_SECONDS)


def test_a_pod_deleted_as_it_starts_leaves_no_job(
    image: BuiltImage, lab: Lab, tmp_path: Path
) -> None:
    """Whatever its process 1 is doing at that moment."""
    execution = lab.harness.execution()
    with FaultyApi(lab.harness.sandbox) as api:
        bin_dir = image.bin_dir(tmp_path / "bin", [f"--name={execution}"])
        pod = lab.cluster(api, bin_dir=bin_dir).start(
            lab.templates[PLAIN], LiteralMap({}), execution
        )
        wait_until(lambda: running(image, execution), 20, "no container")
        image.engine.output("kill", "--signal=TERM", execution)
        attempt = pod.wait()
    lab.settle(execution)
    jobs = lab.jobs(execution)
    lab.clean(execution)
    assert attempt.outputs is None
    assert [job.status for job in jobs] == ["Cancelled"] * len(jobs), attempt.log


def running(image: BuiltImage, name: str) -> bool:
    filters = [f"--filter=name={name}", "--filter=status=running"]
    return bool(image.engine.output("ps", "--quiet", *filters))


def test_it_says_what_it_is(image: BuiltImage) -> None:
    base = require_base(image.engine)
    names = ("version", "revision", "created", "licenses", "base.name", "base.digest")
    labels = image.engine.labels(image.tag)
    told = [labels.get(f"org.opencontainers.image.{name}") for name in names]
    commit = recipe.git("rev-parse", "HEAD")
    when = datetime.fromtimestamp(recipe.commit_time(), timezone.utc)
    assert told == [
        recipe.version(),
        commit if not recipe.git("diff", "--name-only", "HEAD") else f"{commit}-dirty",
        when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Apache-2.0",
        base,
        image.engine.digest(base),
    ]


def test_it_runs_as_nobody_by_number(image: BuiltImage) -> None:
    assert image.engine.config(image.tag)["User"] == "65532:65532"


def test_it_has_no_shell_and_no_package_manager(image: BuiltImage) -> None:
    names = ["sh", "bash", "apt-get", "pip", "gcc", "perl"]
    found = image.run("python", "-c", f"import shutil; print([*map(shutil.which, {names})])")
    assert found.stdout.strip() == str([None] * len(names))


def test_every_extension_module_of_it_can_be_loaded(image: BuiltImage) -> None:
    """What was picked out of the base suffices, and what was cut off is not missed."""
    code = """
import ctypes, pathlib, sys
bad = []
for path in pathlib.Path(sys.prefix).rglob("*.so*"):
    try:
        ctypes.CDLL(str(path), mode=1)
    except OSError as error:
        bad.append(str(error))
print(bad)
"""
    assert image.run("python", "-c", code).stdout.strip() == "[]"


def test_everything_in_it_is_compiled(image: BuiltImage) -> None:
    code = """
import pathlib, sys
sources = pathlib.Path(sys.prefix).rglob("*.py")
tag = sys.implementation.cache_tag
print([str(p) for p in sources if not (p.parent / f"__pycache__/{p.stem}.{tag}.pyc").exists()])
"""
    assert image.run("python", "-c", code).stdout.strip() == "[]"


def test_it_is_small(image: BuiltImage) -> None:
    assert image.engine.size(image.tag) < LARGEST_SIZE


def test_all_that_a_pod_may_import_is_there(image: BuiltImage) -> None:
    """Of perian-shim, and of botocore for each service that it gets credentials from."""
    code = """
import importlib, pkgutil, perian_shim, botocore.session
sdks = tuple(f"perian_shim.{name}" for name in ("flyte1", "flyte2", "sandbox.flyte2", "task"))
doors = ("perian_shim.executor", "perian_shim.storage.fsspec", *sdks)
for module in pkgutil.walk_packages(perian_shim.__path__, "perian_shim."):
    if not module.name.startswith(doors):
        importlib.import_module(module.name)
session = botocore.session.Session()
keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
for service in ("sts", "sso", "sso-oidc", "signin"):
    session.create_client(service, region_name="eu-central-1", **keys)
print("all")
"""
    ended = image.run("python", "-c", code)
    assert ended.stdout.strip() == "all", ended.stderr


def test_it_says_which_image_runs_what_needs_flytekit(image: BuiltImage) -> None:
    ended = image.run("pyflyte-execute", "--resolver", "somebody.elses", "--", "x")
    assert ended.returncode == 127
    assert "--target flytekit" in ended.stderr


def test_it_trusts_the_authorities_of_its_base(image: BuiltImage) -> None:
    code = """
import os, ssl
folder = ssl.get_default_verify_paths().openssl_capath
context = ssl.create_default_context()
for name in os.listdir(folder): context.load_verify_locations(os.path.join(folder, name))
print(context.cert_store_stats()["x509_ca"] > 100)
"""
    assert image.run("python", "-c", code).stdout.strip() == "True"


def test_a_command_that_is_not_there_is_named(image: BuiltImage) -> None:
    ended = image.run("sh", "-c", "true")
    assert ended.returncode == 127
    assert "sh: No such file or directory" in ended.stderr


def test_with_flytekit_it_runs_a_task_too(
    image_with_flytekit: BuiltImage, harness: Harness, tmp_path: Path
) -> None:
    cluster = replace(harness.cluster, bin_dir=image_with_flytekit.bin_dir(tmp_path / "bin"))
    outputs = replace(harness, cluster=cluster).outputs(doubling(), {"text": "x"})
    assert harness.value(outputs["twice"], str) == "xx"


def test_with_flytekit_it_runs_other_commands_of_it(image_with_flytekit: BuiltImage) -> None:
    ended = image_with_flytekit.run("pyflyte-execute", "--help")
    assert ended.returncode == 0, ended.stderr
    assert "--resolver" in ended.stdout
