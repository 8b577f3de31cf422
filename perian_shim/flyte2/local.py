"""A run without a backend that goes through Perian: this process does what a pod would do.

The user's code is bundled as Flyte does it, and put below the raw data path under the name of its
content, so that running the same thing again is the same work and finds its job.
"""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flyte
from flyte.models import CodeBundle, SerializationContext
from flyteidl.core.literals_pb2 import Literal

from perian_shim import settings as env
from perian_shim.flyte2 import sdk
from perian_shim.flyte2.background import in_background
from perian_shim.flyte2.on_perian import LOCAL
from perian_shim.flyte2.submission import Submission
from perian_shim.pod.action import INPUTS
from perian_shim.pod.action_invocation import ActionInvocation
from perian_shim.pod.local_files import put
from perian_shim.pod.run import Finished, run_task
from perian_shim.pod.run_context import RunContext, opened_once
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.pyflyte import for_people
from perian_shim.storage import ObjectStore, join_uri, open_store
from perian_shim.values.serialized import literal_map

NOTHING = "unused"
"""In place of paths that only a backend knows."""


async def run_on_perian(submission: Submission) -> bytes:
    """Run a task through Perian and return its outputs.

    Raises:
        PerianError: the run failed.
    """
    context = sdk.task_context()
    raw_prefix = str(context.raw_data_path.path).rstrip("/")
    environ = {**names_of(context.action), **os.environ}
    opened = opened_once(lambda uri: open_store(uri, environ))
    images = await built_images(submission.task)
    bundle = None
    if hasattr(submission.task, "func"):
        bundle = await shipped_code(opened(raw_prefix), raw_prefix)
    arguments = submission.task.container_args(settings(bundle, images))
    # A program's end is told to this thread by ``lifecycle.signals``, and waits while it ends its
    # job; the threads of an executor would be waited for before anybody is told.
    running = in_background(lambda: finish(arguments, submission.inputs, raw_prefix, environ))
    finished = await asyncio.wrap_future(running)
    finished.reported()
    if finished.error is not None:
        raise for_people(finished.error) from None
    assert finished.outputs is not None
    return literal_map(finished.outputs, finished.order)


def names_of(action: Any) -> dict[str, str]:
    """Return the variables by which a backend tells a pod what it belongs to; ``a0`` wants them."""
    return {
        "_U_ORG_NAME": action.org or LOCAL,
        env.EXECUTION_PROJECT: action.project or LOCAL,
        env.EXECUTION_DOMAIN: action.domain or LOCAL,
        env.RUN_NAME: action.run_name or LOCAL,
        env.ACTION_NAME: action.name or LOCAL,
    }


def finish(
    arguments: Sequence[str], inputs: bytes, raw_prefix: str, environ: dict[str, str]
) -> Finished:
    """Run a task to its end."""
    invocation = ActionInvocation.from_command([*arguments])
    assert invocation is not None, "a task of ours has our arguments"
    opened = opened_once(lambda uri: open_store(uri, environ))

    def upload(path: Path, uri: str) -> None:
        put(opened(uri), path, uri)

    secrets = FlyteSecrets.of_action(environ)
    context = RunContext(raw_prefix, None, environ, secrets, opened, upload)
    literals: dict[str, Literal] = dict(INPUTS.parse(inputs)[0])
    return run_task(context, invocation.template, literals, invocation.options)


async def shipped_code(store: ObjectStore, raw_prefix: str) -> CodeBundle:
    """Put the user's code where a job can fetch it."""
    with tempfile.TemporaryDirectory(prefix="perian-code-") as folder:
        bundle = await sdk.code_bundle(sdk.root_folder(), Path(folder))
        content = Path(str(bundle.tgz)).read_bytes()  # noqa: ASYNC240 - small, and local
    digest = hashlib.sha256(bundle.computed_version.encode()).hexdigest()[:32]
    uri = join_uri(raw_prefix, "_perian/code", f"{digest}.tar.gz")
    if store.size(uri) is None:
        store.write(uri, content)
    return CodeBundle(computed_version=bundle.computed_version, tgz=uri, destination=".")


async def built_images(task: Any) -> Any:
    """Build the image of a task's job as Flyte would when it is deployed, if it is to be built.

    Returns:
        What Flyte knows of the images that it has built, None if there was nothing to build.
    """
    environment = task.parent_env() if task.parent_env else None
    if environment is None or sdk.plain_reference(task.job_image) is not None:
        return None
    return await flyte.build_images.aio(environment)


def settings(bundle: CodeBundle | None, images: Any = None) -> SerializationContext:
    """Return what a run without a backend serializes with."""
    return SerializationContext(
        version=bundle.computed_version if bundle else "local",
        project="local",
        domain="local",
        org=LOCAL,
        input_path=NOTHING,
        output_path=NOTHING,
        code_bundle=bundle,
        image_cache=images,
        root_dir=sdk.root_folder(),
    )
