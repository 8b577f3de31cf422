"""What is told of an image: its bill of materials, its licences, what another has that differs."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import image as recipe
import pytest
from compare import compared
from support.audit_tools import require_audit_tools
from support.containers import BuiltImage, folder_of_the_run, one_at_a_time
from support.waiting import LONG_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


DISTRIBUTIONS = """
from importlib.metadata import distributions
for each in distributions():
    print(each.metadata["Name"], each.version)
"""


@pytest.fixture(scope="session", params=["executor", "flytekit"])
def papers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the papers of an image; made once for all processes of a run."""
    name = "image" if request.param == "executor" else "image_with_flytekit"
    image: BuiltImage = request.getfixturevalue(name)
    shared = folder_of_the_run(tmp_path_factory)
    folder = shared / f"papers-{request.param}"
    with one_at_a_time(shared):
        if not (folder / "distributions.txt").exists():
            recipe.write_papers(image.engine, image.tag, request.param, folder)
            found = image.run("python", "-c", DISTRIBUTIONS)
            assert found.returncode == 0, found.stderr
            (folder / "distributions.txt").write_text(found.stdout)
    return folder


def bill(papers: Path) -> dict[str, Any]:
    (path,) = papers.glob("*.cdx.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_bill_of_materials_is_what_cyclonedx_says_it_must_be(papers: Path) -> None:
    """By its own library: the schema, each licence, each reference to another component."""
    code = """
import json, sys
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing
text = open(sys.argv[1]).read()
assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
bom = Bom.from_json(json.loads(text))
assert bom.validate()
licensing = get_spdx_licensing()
for component in bom.components:
    for licence in component.licenses:
        plain = licence.value.replace("LicenseRef-public-domain", "0BSD")
        assert not licensing.validate(plain).errors, licence
print(len(bom.components))
"""
    (path,) = papers.glob("*.cdx.json")
    ended = subprocess.run(
        [require_audit_tools(), "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    assert ended.stdout.strip() == str(len(bill(papers)["components"])), ended.stderr


def test_no_licence_is_unknown(papers: Path) -> None:
    """If this fails: read the licence of what is named, and add it to tools/licences.py."""
    unknown = [each["purl"] for each in bill(papers)["components"] if "licenses" not in each]
    assert unknown == []


def test_the_text_of_every_licence_is_in_the_image(papers: Path) -> None:
    (path,) = papers.glob("*.licences.txt")
    lines = path.read_text().partition("\n\n")[2].partition("\n\n")[2].splitlines()
    without = [
        line
        for line, below in zip(lines, [*lines[1:], ""], strict=True)
        if not line.startswith(" ") and not below.startswith("    /")
    ]
    assert len(lines) > 50
    assert without == []


def test_every_package_is_there_with_the_hash_of_a_locked_wheel(papers: Path) -> None:
    locked = (recipe.CHECKOUT / "requirements/executor-flytekit.txt").read_text()
    packages = {
        each["name"]: [digest["content"] for digest in each.get("hashes", ())]
        for each in bill(papers)["components"]
        if each["purl"].startswith("pkg:pypi/")
    }
    assert packages.pop("perian-shim") == []
    assert {"Jinja2", "dumb-init", "flyteidl", "protobuf"} <= set(packages)
    for name, (digest,) in packages.items():
        assert f"--hash=sha256:{digest}" in locked, name


def test_the_packages_are_those_that_python_finds_in_the_image(papers: Path) -> None:
    found = (papers / "distributions.txt").read_text().splitlines()
    assert sorted(found) == sorted(
        f"{each['name']} {each['version']}"
        for each in bill(papers)["components"]
        if each["purl"].startswith("pkg:pypi/")
    )


def test_the_libraries_of_the_base_are_there_with_their_versions(papers: Path) -> None:
    """As Debian names them; upon another base there are none."""
    libraries = {
        each["name"]: each["version"]
        for each in bill(papers)["components"]
        if each["purl"].startswith("pkg:deb/debian/")
    }
    assert {"libc6", "libssl3", "zlib1g", "ca-certificates"} <= set(libraries)
    assert all(re.match(r"\d", version) for version in libraries.values())
    pythons = [name for name in libraries if "python3" in name]
    assert not pythons or any(name.endswith("-stdlib") for name in pythons)


def test_python_is_there_as_the_databases_of_vulnerabilities_name_it(papers: Path) -> None:
    python = bill(papers)["components"][0]
    assert python["cpe"] == f"cpe:2.3:a:python:python:{python['version']}:*:*:*:*:*:*:*"


def test_the_papers_name_the_image_and_its_base(papers: Path, image: BuiltImage) -> None:
    about = bill(papers)["metadata"]["component"]
    properties = {each["name"]: each["value"] for each in about["properties"]}
    labels = image.engine.labels(image.tag)
    base = "org.opencontainers.image.base.digest"
    assert properties[base] == labels[base]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", properties["image.id"])
    (path,) = papers.glob("*.licences.txt")
    assert properties["image.id"] in path.read_text()


def test_images_are_compared_by_files_and_settings(image: BuiltImage, tmp_path: Path) -> None:
    made_of = {
        "one": ("x", "1", 0),
        "again": ("x", "1", 0),
        "later": ("x", "1", 1),
        "file": ("y", "1", 0),
        "setting": ("x", "2", 0),
    }
    tags = {name: f"localhost/perian-shim-compared:{name}" for name in made_of}
    dockerfile = tmp_path / "Dockerfile"
    try:
        for name, (text, number, time) in made_of.items():
            (tmp_path / "file").write_text(text)
            dockerfile.write_text(f"FROM scratch\nCOPY file /file\nENV NUMBER={number}\n")
            image.engine.build(tmp_path, dockerfile, tags[name], timestamp=time, cache=False)
        one, *others = tags.values()
        told = [compared(image.engine, one, other) for other in others]
    finally:
        image.engine.remove(*tags.values())
    assert [same for same, _ in told] == [True, True, False, False]
    expected = ["identical: sha256:", "files and settings are the same", "  /file: ", "  Env: "]
    for (_, text), words in zip(told, expected, strict=True):
        assert words in text.splitlines()[-1]
        assert len(text.splitlines()) <= 2
