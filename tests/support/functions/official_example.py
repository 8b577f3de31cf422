"""The official plugin's introductory example, as its users have it.

Two things differ: the import of ``PerianConfig``, and the image. Theirs is an ``ImageSpec`` that
names a registry; no image can be built where tests run, so an image is named that is there.
"""

# mypy: disable-error-code="assignment,arg-type"
# flytekit's annotations do not know what a task or workflow is once it is decorated.

from flytekit import task, workflow

from perian_shim import PerianConfig


@task(
    container_image="python:3.12",
    task_config=PerianConfig(accelerators=1, accelerator_type="A100"),
)
def perian_hello(name: str) -> str:
    """Say hello."""
    return f"hello {name}!"


@workflow
def my_wf(name: str = "world") -> str:
    """Say hello on Perian."""
    greeting: str = perian_hello(name=name)
    return greeting
