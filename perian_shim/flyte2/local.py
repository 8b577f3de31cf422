"""A run without a backend that goes through Perian: this process does what a pod would do.

The user's code is bundled as Flyte does it, and put below the raw data path under the name of its
content, so that running the same thing again is the same work and finds its job.
"""

import asyncio
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import flyte
from flyte.models import CodeBundle, SerializationContext
from flyteidl.core.literals_pb2 import Literal

from perian_shim import settings as env
from perian_shim.errors import InternalError
from perian_shim.flyte2 import sdk
from perian_shim.flyte2.on_perian import LOCAL
from perian_shim.flyte2.submission import Submission
from perian_shim.pod.action import INPUTS
from perian_shim.pod.action_invocation import ActionInvocation
from perian_shim.pod.run import Finished, run_task
from perian_shim.pod.run_context import RunContext, opened_once
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.pyflyte import for_people
from perian_shim.storage import ObjectStore, join_uri, open_store
from perian_shim.values.serialized import literal_map

T = TypeVar("T")

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
    finished = await in_a_thread(lambda: finish(arguments, submission.inputs, raw_prefix, environ))
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


def put(store: ObjectStore, path: Path, uri: str) -> None:
    """Copy a local file or folder to a URI."""
    if path.is_file():
        store.write(uri, path.read_bytes())
        return
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        store.write(join_uri(uri, file.relative_to(path).as_posix()), file.read_bytes())


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


async def in_a_thread(act: Callable[[], T]) -> T:
    """Run something long beside the event loop, on a thread that does not hold up a program's end.

    The threads of an executor are waited for before anybody is told that the program ends; this one
    is told by ``lifecycle.signals``, and is waited for while it ends its job.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(set_it: Callable[[Any], None], what: Any) -> None:
        if not done.done():
            set_it(what)

    def body() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            wrapped = error if isinstance(error, Exception) else InternalError(str(error))
            outcome: tuple[Any, Any] = (done.set_exception, wrapped)
        else:
            outcome = (done.set_result, result)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, *outcome)

    threading.Thread(target=body, name="perian-run", daemon=True).start()
    return await done
