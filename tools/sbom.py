"""Writes what is in an image as a bill of materials (CycloneDX 1.6, JSON) and a list of licences.

Both depend on the image alone: nothing in them is of this moment or of chance, so the same image
has the same papers. It is written by hand because ``make image`` runs with any Python, without
packages; the tests validate what comes of it with CycloneDX's own library.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory import Component

NAMESPACE = uuid.UUID("2f6c7a4e-6f8e-5d0c-9a53-0d8b0f4f7c11")
"""Of the serial numbers; any will do that stays."""


@dataclass(frozen=True)
class Image:
    """What is said of the image itself.

    Attributes:
        name: without registry and tag.
        version: perian-shim's.
        licence: perian-shim's.
        identity: the digest of its configuration, which two builds of the same have in common.
        labels: all of them.
    """

    name: str
    version: str
    licence: str
    identity: str
    labels: Mapping[str, str]


def unknown(components: Sequence[Component]) -> list[str]:
    """Return the components whose licence is not known."""
    return [f"{each.name} {each.version}" for each in components if each.licence is None]


def cyclonedx(image: Image, components: Sequence[Component]) -> str:
    """Return the bill of materials."""
    reference = f"{image.name}@{image.version}"
    top: dict[str, Any] = {
        "type": "container",
        "bom-ref": reference,
        "name": image.name,
        "version": image.version,
        "licenses": [{"expression": image.licence}],
        "properties": [
            {"name": name, "value": value}
            for name, value in sorted({"image.id": image.identity, **image.labels}.items())
        ],
    }
    metadata: dict[str, Any] = {"component": top}
    if created := image.labels.get("org.opencontainers.image.created"):
        metadata = {"timestamp": created, **metadata}
    needed = {purl for each in components for purl in each.needs}
    roots = [each.purl for each in components if each.purl not in needed]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": [described(each) for each in components],
        "dependencies": [
            {"ref": reference, "dependsOn": roots},
            *({"ref": each.purl, "dependsOn": list(each.needs)} for each in components),
        ],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))
    document = {"serialNumber": f"urn:uuid:{serial}", **document}
    return json.dumps(document, indent=2) + "\n"


def described(component: Component) -> dict[str, Any]:
    """Return a component as CycloneDX has it."""
    found: dict[str, Any] = {
        "type": "platform" if component.purl.startswith("pkg:generic/python@") else "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    }
    if component.licence:
        found["licenses"] = [{"expression": component.licence}]
    if component.sha256:
        found["hashes"] = [{"alg": "SHA-256", "content": component.sha256}]
    if component.cpe:
        found["cpe"] = component.cpe
    return found


def licence_list(image: Image, components: Sequence[Component]) -> str:
    """Return the licences as a text: a line for each component, with where their texts are."""
    lines = [
        f"Licences of what is in {image.name} {image.version}",
        f"image {image.identity}",
        "",
        "Beside each component: its licence as an SPDX expression, and the files of the image with",
        "its text.",
        "",
    ]
    for each in components:
        lines.append(f"{each.name} {each.version}: {each.licence or 'unknown'}")
        lines += [f"    /{text}" for text in each.texts]
    return "\n".join(lines) + "\n"
