"""The reference says what the code says: pages written from it, and objects in the store."""

import inspect
import re
from pathlib import Path

import image
import pytest
import reference

from perian_shim import (
    PerianConfig,
    PerianContainerTask,
    errors,
    lifecycle,
    pod,
    storage,
    values,
    work,
)
from perian_shim.errors import TaskError

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs/reference"
SOURCE = "\n".join(
    path.read_text()
    for package in (lifecycle, pod, storage, values, work)
    for path in Path(str(package.__file__)).parent.rglob("*.py")
)


@pytest.mark.parametrize("name", reference.WRITTEN)
def test_a_page_is_as_the_code_says(name: str) -> None:
    """If not: `python tools/reference.py` writes it anew."""
    assert (PAGES / name).read_text() == reference.WRITTEN[name]()


def test_every_code_has_its_causes_and_no_other() -> None:
    codes = {
        each.code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, TaskError)
    }
    assert set(reference.CAUSES) == codes - {"PERIAN:Task"}


def test_every_field_of_the_config_is_listed_and_no_other() -> None:
    page = (PAGES / "perian-config.md").read_text()
    rows = re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == set(PerianConfig.__dataclass_fields__)


def test_every_argument_listed_is_one_of_container_tasks() -> None:
    section = (PAGES / "container-tasks.md").read_text().split("## Inputs")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert len(listed) > 8
    assert listed - set(inspect.signature(PerianContainerTask.__init__).parameters) == set()


def test_the_entry_point_named_for_other_images_is_our_image_s() -> None:
    page = (ROOT / "docs/guides/images-and-registries.md").read_text()
    (named,) = re.findall(r'`(\["dumb-init".*?\])`', page)
    recipe = (ROOT / image.DOCKERFILE).read_text().replace("/opt/perian-shim/bin/", "")
    assert f"ENTRYPOINT {named}" in recipe


def test_every_place_in_the_store_is_one_that_the_code_writes() -> None:
    page = (PAGES / "object-layout.md").read_text()
    places = set(re.findall(r"_perian/(\w+)", page))
    assert len(places) > 6
    for place in places:
        assert re.search(rf"\b{place}\b", SOURCE), place


def test_every_class_of_the_api_page_exists() -> None:
    page = (PAGES / "api.md").read_text()
    for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        assert hasattr(__import__(module, fromlist=[attribute]), attribute), name
