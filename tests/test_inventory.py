"""What is read of an image's files, how licences are told, and what the papers look like."""

import json
from pathlib import Path

import inventory
import licences
import pytest
import sbom

SITE = "opt/perian-shim/lib/python3.12/site-packages"

FILES = {
    "opt/perian-shim/pyvenv.cfg": "home = /usr/bin\nversion = 3.12.12\n",
    "opt/perian-shim/wheels.sha256": f"{'a' * 64}  Jinja2-3.1.6-py3-none-any.whl\n",
    "usr/local/lib/python3.12/LICENSE.txt": "PSF",
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    f"{SITE}/jinja2-3.1.6.dist-info/METADATA": (
        "Metadata-Version: 2.4\nName: Jinja2\nVersion: 3.1.6\n"
        "Classifier: License :: OSI Approved :: BSD License\n"
        'Requires-Dist: MarkupSafe>=2.0\nRequires-Dist: Babel>=2.7; extra == "i18n"\n\nLicense: no'
    ),
    f"{SITE}/jinja2-3.1.6.dist-info/licenses/LICENSE.txt": "BSD",
    f"{SITE}/markupsafe-3.0.4.dist-info/METADATA": (
        "Name: MarkupSafe\nVersion: 3.0.4\nLicense-Expression: BSD-3-Clause\n"
    ),
    f"{SITE}/babel-2.0.dist-info/METADATA": "Name: Babel\nVersion: 2.0\nLicense: whatever\n",
    "var/lib/dpkg/status.d/libstdc++6": (
        "Package: libstdc++6\nArchitecture: amd64\nSource: gcc-12\nVersion: 12.2.0-14+deb12u1\n"
        "Depends: gcc-12-base (= 12), libc6 (>= 2.36)\n"
    ),
    "var/lib/dpkg/status.d/libc6": (
        "Package: libc6\nArchitecture: amd64\nSource: glibc\nVersion: 1:2.36\n"
    ),
    "usr/share/doc/libc6/copyright": "LGPL",
}

IMAGE = sbom.Image(
    "executor", "1.0", "Apache-2.0", "sha256:aa", {"org.opencontainers.image.created": "2026"}
)


@pytest.fixture
def found(tmp_path: Path) -> dict[str, inventory.Component]:
    for name, text in FILES.items():
        assert inventory.is_wanted(name)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return {each.name: each for each in inventory.components(tmp_path)}


def test_the_rest_of_an_image_is_not_unpacked() -> None:
    assert not inventory.is_wanted(f"{SITE}/jinja2/__init__.py")
    assert not inventory.is_wanted("usr/lib/x86_64-linux-gnu/libc.so.6")


def test_python_is_told_with_its_version_and_licence(
    found: dict[str, inventory.Component],
) -> None:
    python = found["python"]
    assert (python.purl, python.licence) == ("pkg:generic/python@3.12.12", "Python-2.0.1")
    assert python.texts == ("usr/local/lib/python3.12/LICENSE.txt",)


def test_a_package_is_told_with_its_wheel_its_needs_and_its_licence(
    found: dict[str, inventory.Component],
) -> None:
    assert found["Jinja2"] == inventory.Component(
        "Jinja2",
        "3.1.6",
        "pkg:pypi/jinja2@3.1.6",
        "BSD-3-Clause",
        (f"{SITE}/jinja2-3.1.6.dist-info/licenses/LICENSE.txt",),
        "a" * 64,
        ("pkg:pypi/markupsafe@3.0.4",),
    )


def test_a_library_is_told_as_debians_package(found: dict[str, inventory.Component]) -> None:
    libc = "pkg:deb/debian/libc6@1%3A2.36?arch=amd64&distro=debian-12"
    assert found["libc6"] == inventory.Component(
        "libc6", "1:2.36", libc, "LGPL-2.1-or-later", ("usr/share/doc/libc6/copyright",)
    )
    compiler = found["libstdc++6"]
    assert compiler.purl == (
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
    )
    assert compiler.needs == (libc,)
    assert compiler.licence == "GPL-3.0-or-later WITH GCC-exception-3.1"


def test_an_unknown_licence_is_named(found: dict[str, inventory.Component]) -> None:
    components = list(found.values())
    assert sbom.unknown(components) == ["Babel 2.0"]
    assert "Babel 2.0: unknown\n" in sbom.licence_list(IMAGE, components)
    babel = next(
        each
        for each in json.loads(sbom.cyclonedx(IMAGE, components))["components"]
        if each["name"] == "Babel"
    )
    assert "licenses" not in babel


def test_the_same_image_has_the_same_papers_and_another_one_another_serial_number(
    found: dict[str, inventory.Component],
) -> None:
    components = list(found.values())
    first, second = (json.loads(sbom.cyclonedx(IMAGE, each)) for each in (components, components))
    assert first == second
    other = json.loads(sbom.cyclonedx(IMAGE, components[:-1]))
    assert other["serialNumber"] != first["serialNumber"]


def test_the_image_depends_on_what_nothing_else_needs(
    found: dict[str, inventory.Component],
) -> None:
    bill = json.loads(sbom.cyclonedx(IMAGE, list(found.values())))
    (roots,) = (e["dependsOn"] for e in bill["dependencies"] if e["ref"] == "executor@1.0")
    assert "pkg:pypi/jinja2@3.1.6" in roots
    assert "pkg:pypi/markupsafe@3.0.4" not in roots


@pytest.mark.parametrize(
    ("expression", "text", "classifier", "licence"),
    [
        ("MIT OR ISC", "whatever", "MIT License", "MIT OR ISC"),
        (None, "Apache 2.0", "", "Apache-2.0"),
        (None, "License :: OSI Approved :: MIT License", "MIT License", "MIT"),
        (None, None, "Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        (None, "UNKNOWN", "BSD License", None),
        (None, "the whole text\nof a licence", "", None),
    ],
)
def test_a_licence_is_what_the_metadata_say_clearly(
    expression: str | None, text: str | None, classifier: str, licence: str | None
) -> None:
    classifiers = [f"License :: OSI Approved :: {classifier}"] if classifier else []
    assert licences.of_distribution("any", expression, text, classifiers) == licence


def test_what_was_read_says_the_licence_where_the_metadata_do_not() -> None:
    assert licences.of_distribution("dumb-init", None, "UNKNOWN", []) == "MIT"


@pytest.mark.parametrize(
    ("source", "licence"),
    [
        ("python3.11", "Python-2.0.1"),
        ("python3-defaults", "Python-2.0.1"),
        ("sqlite3", "blessing"),
        ("gcc-14", "GPL-3.0-or-later WITH GCC-exception-3.1"),
        ("libxcrypt", "LGPL-2.1-or-later"),
        ("anything", None),
    ],
)
def test_a_debian_package_has_the_licence_of_its_source(source: str, licence: str | None) -> None:
    assert licences.of_debian(source) == licence
