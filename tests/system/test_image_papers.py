"""The papers that come with an image: its bill of materials and its licences; and comparing images."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import image as recipe
import pytest
from compare import compared
from support.audit_tools import require_audit_tools
from support.containers import BuiltImage
from support.waiting import LONG_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="session", params=["executor", "flytekit"])
def papers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the papers of an image."""
    name = "image" if request.param == "executor" else "image_with_flytekit"
    image: BuiltImage = request.getfixturevalue(name)
    folder = tmp_path_factory.mktemp("papers")
    recipe.write_papers(image.engine, image.tag, request.param, folder)
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
for component in bom.components:
    for licence in component.licenses:
        plain = licence.value.replace("LicenseRef-public-domain", "0BSD")
        assert not get_spdx_licensing().validate(plain).errors, licence
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


def test_what_python_finds_in_the_image_is_what_the_bill_names(image: BuiltImage) -> None:
    code = """
from importlib.metadata import distributions
print(sorted(f"{each.name}=={each.version}" for each in distributions()))
"""
    found = image.run("python", "-c", code).stdout
    # Its library is that of Python: nothing else has been put beside the packages.
    assert "perian-shim==" in found
    assert "pip==" not in found


def test_the_libraries_of_the_base_are_there_with_their_versions(papers: Path) -> None:
    """As Debian names them; upon another base there are none."""
    libraries = {
        each["name"]: each["version"]
        for each in bill(papers)["components"]
        if each["purl"].startswith("pkg:deb/debian/")
    }
    assert {"libc6", "libssl3", "zlib1g", "ca-certificates"} <= set(libraries)
    assert all(re.match(r"\d", version) for version in libraries.values())


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


@pytest.mark.parametrize(
    ("content", "variable", "told"),
    [
        ("one", "1", "identical: sha256:"),
        ("two", "1", "/file: "),
        ("one", "2", "Env: "),
    ],
)
def test_images_are_compared_by_files_and_settings(
    content: str, variable: str, told: str, image: BuiltImage, tmp_path: Path
) -> None:
    tags = [f"localhost/perian-shim-compared:{name}" for name in ("first", "second")]
    recipes = [("one", "1"), (content, variable)]
    try:
        for tag, (text, value) in zip(tags, recipes, strict=True):
            (tmp_path / "file").write_text(text)
            dockerfile = tmp_path / "Dockerfile"
            dockerfile.write_text(f"FROM scratch\nCOPY file /file\nENV NUMBER={value}\n")
            image.engine.build(tmp_path, dockerfile, tag, timestamp=0)
        same, said = compared(image.engine, *tags)
    finally:
        image.engine.remove(*tags)
    assert same is (told == "identical: sha256:")
    assert told in said
    assert len(said.splitlines()) <= 2
