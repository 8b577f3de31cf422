"""The reference says what the code says: pages written from it, and objects in the store."""

import re
from pathlib import Path

import pytest
import reference

from perian_shim import errors, lifecycle, pod, storage, values, work
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
