"""The demo: the example workflow on an embedded Perian, run as a Flyte cluster would run it.

Prints every line that the pods print, each node's time, and what the workflow returned. Everything
is real but the rented machines: the tasks go through ``pyflyte-execute`` in processes of their own,
the jobs run isolated on this machine, data goes through an S3 server.
"""

import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path

from flyteidl.core.literals_pb2 import Literal
from flytekit.core.workflow import PythonFunctionWorkflow
from flytekit.types.file import FlyteFile

from perian_shim.sandbox.errors import SandboxError
from perian_shim.sandbox.flyte.cluster import Cluster
from perian_shim.sandbox.flyte.store import Store
from perian_shim.sandbox.flyte.workflow import Step, run_workflow
from perian_shim.sandbox.sandbox import Sandbox
from perian_shim.values.literals import literal_to_text

POLL_SECONDS = "0.5"
"""Jobs of the demo take about a second; the default pause would be most of what one sees."""


def find_examples() -> Path:
    """Return the folder of the examples: beside the package's source, or installed with it.

    Raises:
        SandboxError: neither is there.
    """
    package = Path(__file__).parents[2]
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / "penguins.py").is_file():
            return folder
    raise SandboxError("the examples are not installed; get them with the project's source")


def load_workflow(path: Path, name: str) -> PythonFunctionWorkflow:
    """Import a workflow from a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # flytekit looks the module up by name
    spec.loader.exec_module(module)
    workflow = getattr(module, name)
    assert isinstance(workflow, PythonFunctionWorkflow)
    return workflow


def run_demo() -> int:
    """Run the demo and return a process exit code."""
    examples = find_examples()
    with (
        tempfile.TemporaryDirectory(prefix="perian-demo-") as folder,
        Sandbox(Path(folder) / "state") as sandbox,
    ):
        print(f"sandbox: Perian at {sandbox.api_url}, S3 at {sandbox.s3_endpoint}")
        print(f"         {sandbox.isolation.statement}")
        variables = {**sandbox.environment(), "PERIAN_POLL_MIN_SECONDS": POLL_SECONDS}
        storage = {name: value for name, value in variables.items() if "AWS" in name}
        os.environ.update(storage)
        cluster = Cluster(
            bucket=sandbox.bucket,
            environment={
                **storage,
                "PERIAN_API_URL": variables["PERIAN_API_URL"],
                "PERIAN_POLL_MIN_SECONDS": POLL_SECONDS,
                # Below this flytekit reports s3fs's unclosed sessions when a pod exits.
                "FLYTE_SDK_LOGGING_LEVEL": "50",
            },
            secrets={
                ("perian", "perian_organization"): variables["PERIAN_ORGANIZATION"],
                ("perian", "perian_token"): variables["PERIAN_TOKEN"],
            },
            echo=lambda line: print(f"    | {line}"),
        )
        return run_example(cluster, examples)


def run_example(cluster: Cluster, examples: Path) -> int:
    """Run the example's workflow, print what it returned, and return a process exit code."""
    workflow = load_workflow(examples / "penguins.py", "penguins")
    table = examples / "data" / "penguins.csv"
    print(f"workflow {workflow.name} of {table.name}")
    store = Store(cluster.environment)
    uploaded = f"s3://{cluster.bucket}/uploads/{table.name}"
    store.write(uploaded, table.read_bytes())
    started = time.monotonic()
    outputs = run_workflow(cluster, workflow, {"csv": FlyteFile(uploaded)}, "demo", print_step)
    print(f"outputs, after {time.monotonic() - started:.1f} s:")
    for name, literal in outputs.items():
        print(f"  {name} = {shown(literal.to_flyte_idl(), store)}")
    return 0


def print_step(step: Step) -> None:
    """Print what became of a node."""
    last = step.attempts[-1]
    outcome = "failed" if last.outputs is None else f"{len(last.outputs.literals)} outputs"
    tries = f", {len(step.attempts)} attempts" if len(step.attempts) > 1 else ""
    print(f"  {step.node} {step.task}: {outcome} in {step.seconds:.1f} s{tries}")


def shown(literal: Literal, store: Store) -> str:
    """Return a value as text, with the content of a file that a job left."""
    text = literal_to_text(literal) or "None"
    if literal.scalar.HasField("blob"):
        content = (store.read(text) or b"").decode()
        text += "".join(f"\n      {line}" for line in content.splitlines())
    return text
