from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.image_reference import ImageReference, ImageReferenceError

HEX64 = "0123456789abcdef" * 4
SHA = f"sha256:{HEX64}"


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest"),
    [
        ("python", "python", None, None),
        ("python:3.12-slim", "python", "3.12-slim", None),
        ("a/b", "a/b", None, None),
        ("a/b:tag", "a/b", "tag", None),
        ("host:5000/a/b", "host:5000/a/b", None, None),
        ("host:5000/a/b:1", "host:5000/a/b", "1", None),
        ("localhost/x", "localhost/x", None, None),
        ("localhost:5000", "localhost", "5000", None),
        ("ghcr.io/org/img:V1", "ghcr.io/org/img", "V1", None),
        ("Registry/x", "Registry/x", None, None),
        ("[::1]:5000/x:y", "[::1]:5000/x", "y", None),
        ("a__b/c.d/e--f", "a__b/c.d/e--f", None, None),
        (f"a/b@{SHA}", "a/b", None, SHA),
        (f"host:5000/a/b:tag@{SHA}", "host:5000/a/b", "tag", SHA),
    ],
)
def test_a_reference_is_split(text: str, name: str, tag: str | None, digest: str | None) -> None:
    assert ImageReference.parse(text) == ImageReference(name, tag, digest)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a name"),
        (" python", "spaces"),
        ("py thon", "'py thon' is not valid"),
        ("team/Image", "'Image' must be in lower case"),
        ("Python", "'Python' must be in lower case"),
        ("a//b", "empty part"),
        ("/a", "empty part"),
        ("a/", "empty part"),
        ("a_._b", "is not valid"),
        ("https://host/a", "registry's host"),
        ("host:port/a", "'host:port' is not a registry's host"),
        ("a:", "tag ''"),
        ("a:-x", "tag '-x'"),
        ("a:b:c", "tag 'b:c'"),
        ("a:" + "x" * 129, "up to 128"),
        ("a@", "begins with none of sha256"),
        ("a@md5:1234", "begins with none of sha256"),
        ("a@sha256:abc", "64 lower-case hexadecimal"),
        (f"a@sha256:{HEX64.upper()}", "64 lower-case hexadecimal"),
        ("a" * 256, "255"),
        ("{{ inputs.x }}", "not valid"),
        ("a\nb", "not valid"),
        ("python:3\n", "spaces"),
    ],
)
def test_a_wrong_reference_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(ImageReferenceError, match=r"^image ") as refusal:
        ImageReference.parse(text)
    assert complaint in str(refusal.value)


def test_parts_are_checked_when_the_reference_is_made() -> None:
    with pytest.raises(ImageReferenceError, match="tag"):
        ImageReference("python", tag="a b")


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("python", "python", None),
        ("host:5000/a/b", "host:5000/a/b", None),
        ("host:5000/a/b:1", "host:5000/a/b", "1"),
        (f"a/b@{SHA}", "a/b@sha256", HEX64),
        (f"a/b:tag@{SHA}", "a/b@sha256", HEX64),
    ],
)
def test_perian_gets_what_joins_to_the_reference(text: str, name: str, tag: str | None) -> None:
    assert ImageReference.parse(text).perian_name_and_tag() == (name, tag)


path_parts = st.from_regex(r"[a-z0-9]{1,8}(([.]|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
registries = st.sampled_from(
    ["docker.io", "localhost", "host:5000", "a-b.c.io:443", "10.0.0.1:80", "[fe80::1]:1"]
)
references = st.builds(
    lambda registry, parts, tag, digest: ImageReference(
        "/".join(([registry] if registry else []) + parts), tag, digest
    ),
    st.none() | registries,
    # A first part with a dot would be a registry.
    st.lists(path_parts, min_size=1, max_size=3).filter(lambda parts: "." not in parts[0]),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    st.none() | st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:".__add__),
)


@given(references)
def test_a_reference_survives_being_written(reference: ImageReference) -> None:
    assert ImageReference.parse(str(reference)) == reference


@given(references)
def test_name_and_tag_join_to_a_reference_of_the_same_image(reference: ImageReference) -> None:
    name, tag = reference.perian_name_and_tag()
    joined = ImageReference.parse(name if tag is None else f"{name}:{tag}")
    assert joined.name == reference.name
    assert joined.digest == reference.digest
