"""A user's module: functions that look at what Flyte gives them, and use it."""

import os
from pathlib import Path

import flytekit
from flytekit import Deck, Secret, task
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig

PASSWORD = Secret(group="shop", key="password", mount_requirement=Secret.MountType.ENV_VAR)
PIN = Secret(
    group="shop", key="pin", mount_requirement=Secret.MountType.ENV_VAR, env_var="SHOP_PIN"
)
CARD = Secret(
    group="shop", key="card", mount_requirement=Secret.MountType.FILE, env_var="SHOP_CARD_FILE"
)
ANY = Secret(group="shop", key="voucher")


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def doubled(number: int) -> int:
    """Be called by another task's function."""
    return 2 * number


@task(
    task_config=PerianConfig(cores=1),
    container_image="python:3.12",
    environment={"MODE": "fast"},
    secret_requests=[PASSWORD, PIN, CARD, ANY],
    enable_deck=True,
)
def observed(note: str) -> tuple[dict[str, str], FlyteFile]:
    """Write down what is there."""
    context = flytekit.current_context()
    execution, definition = context.execution_id, context.task_id
    assert execution is not None
    assert definition is not None
    Deck("notes", f"<p>{note}</p>")
    path = Path(context.working_directory) / "note.txt"
    path.write_text(note)
    password = context.secrets.get("shop", "password")
    print(f"the password is {password}, and I print it", flush=True)
    card = Path(os.environ["SHOP_CARD_FILE"])
    return {
        "execution": f"{execution.project}:{execution.domain}:{execution.name}",
        "task": f"{definition.project}:{definition.domain}:{definition.name}:{definition.version}",
        "attempt": os.environ["FLYTE_ATTEMPT_NUMBER"],
        "mode": os.environ["MODE"],
        "password": password or "",
        "pin": context.secrets.get("shop", "pin") or "",
        "pin by variable": os.environ["SHOP_PIN"],
        "voucher": context.secrets.get("shop", "voucher") or "",
        "card by path": card.read_text() if card.exists() else "",
        "card": (context.secrets.get("shop", "card") or "") if card.exists() else "",
        "doubled": str(doubled(number=21)),
    }, FlyteFile(str(path))


@task(task_config=PerianConfig(cores=1), container_image="python:3.12", retries=1)
def resumed(note: str) -> str:
    """Save a checkpoint and fail; go on from it in the next attempt."""
    checkpoint = flytekit.current_context().checkpoint
    assert checkpoint is not None
    saved = checkpoint.read()
    if saved is None:
        checkpoint.write(note.encode())
        raise FlyteRecoverableException("interrupted")
    return f"{saved.decode()}, attempt {os.environ['FLYTE_ATTEMPT_NUMBER']}"


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
async def awaited(number: int) -> int:
    """Be a coroutine function."""
    return number + 1


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def large(megabytes: int) -> str:
    """Return a large text."""
    return "x" * (megabytes * 1024**2)
