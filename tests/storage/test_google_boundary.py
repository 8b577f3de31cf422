"""Access boundaries: what they say, and what Google makes of them."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gcs_boundaries import CREATE, DELETE, GET, LIST, Boundary, parsed_boundary

from perian_shim.errors import InvalidInput
from perian_shim.storage.google_boundary import (
    LONGEST_EXPRESSION,
    MOST_RULES,
    access_boundary,
    literal,
)
from perian_shim.storage.reach import Reach


def boundary(
    objects: Iterable[str] = (), read: Iterable[str] = (), write: Iterable[str] = ()
) -> Boundary:
    return parsed_boundary(access_boundary(Reach(tuple(objects), tuple(read), tuple(write))))


def test_a_prefix_to_read_is_written_as_google_documents_it() -> None:
    assert access_boundary(Reach(read=("gs://b-1/a/",))) == {
        "accessBoundary": {
            "accessBoundaryRules": [
                {
                    "availablePermissions": ["inRole:roles/storage.objectViewer"],
                    "availableResource": "//storage.googleapis.com/projects/_/buckets/b-1",
                    "availabilityCondition": {
                        "expression": (
                            "resource.name.startsWith('projects/_/buckets/b-1/objects/a/') || "
                            "api.getAttribute('storage.googleapis.com/objectListPrefix', '')"
                            ".startsWith('a/')"
                        )
                    },
                }
            ]
        }
    }


def test_what_may_be_read_may_be_fetched_and_listed_and_no_more() -> None:
    found = boundary(read=["gs://b/a/"])
    assert found.allows(GET, "b", "a/x")
    assert found.allows(LIST, "b", None, "a/")
    assert found.allows(LIST, "b", None, "a/x/")
    assert not any(found.allows(each, "b", "a/x") for each in (CREATE, DELETE))


def test_nothing_beside_a_prefix_may_be_read() -> None:
    found = boundary(read=["gs://b/a/"])
    assert not any(found.allows(GET, "b", key) for key in ("a", "ab/x", "x", "x/a/x", ""))
    assert not any(found.allows(LIST, "b", None, prefix) for prefix in ("", "a", "ab/", "x/a/"))
    assert not found.allows(GET, "c", "a/x")


def test_what_may_be_written_may_also_be_read_listed_and_deleted() -> None:
    found = boundary(write=["gs://b/a/"])
    assert all(found.allows(each, "b", "a/x") for each in (GET, CREATE, DELETE))
    assert found.allows(LIST, "b", None, "a/")
    assert not any(found.allows(each, "b", "ab") for each in (GET, CREATE, DELETE))


def test_a_single_object_may_be_read_and_nothing_else() -> None:
    found = boundary(objects=["gs://b/a/x"])
    assert found.allows(GET, "b", "a/x")
    assert not any(found.allows(GET, "b", key) for key in ("a/x2", "a/x/y", "a/", "a"))
    assert not found.allows(LIST, "b", None, "a/x")
    assert not found.allows(DELETE, "b", "a/x")


def test_a_bucket_has_one_rule_to_read_and_one_to_write() -> None:
    reach = Reach(("gs://b/x/1", "gcs://b/x/2"), ("gs://b/r/", "gs://b/s/"), ("gs://b/w/",))
    rules = access_boundary(reach)["accessBoundary"]["accessBoundaryRules"]
    assert len(rules) == 2


def test_what_another_part_covers_is_not_named_again() -> None:
    wide = Reach(("gs://b/w/x", "gs://b/r/x"), ("gs://b/r/", "gs://b/r/s/", "gs://b/w/r/"), ())
    more = Reach(wide.objects, (*wide.read, "gs://b/w/"), ("gs://b/w/", "gs://b/w/"))
    assert access_boundary(more) == access_boundary(Reach((), ("gs://b/r/",), ("gs://b/w/",)))


def test_other_stores_are_left_out() -> None:
    reach = Reach(("s3://b/x",), ("s3://b/r/", "gs://b/r/"), ("s3://b/w/",))
    assert access_boundary(reach) == access_boundary(Reach((), ("gs://b/r/",)))


@pytest.mark.parametrize("reach", [Reach(), Reach(("s3://b/x",))])
def test_no_boundary_is_made_of_nothing(reach: Reach) -> None:
    with pytest.raises(InvalidInput, match="narrowed down to nothing"):
        access_boundary(reach)


INJECTIONS = ["') || true || ('", "\\", "\\'", "a\nb", "\x00\x7f", "日本🚀", '"', "${x}"]


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_name_is_a_name_whatever_is_in_it(name: str) -> None:
    found = boundary(objects=[f"gs://b/{name}"], read=[f"gs://b/r{name}/"])
    assert found.allows(GET, "b", name)
    assert found.allows(LIST, "b", None, f"r{name}/")
    assert not found.allows(GET, "b", "else")
    assert not found.allows(LIST, "b", None, "")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_literal_stands_for_its_text_and_ends_where_it_should(text: str) -> None:
    found = parsed_boundary(
        {
            "accessBoundary": {
                "accessBoundaryRules": [
                    {
                        "availablePermissions": ["inRole:roles/storage.objectViewer"],
                        "availableResource": "//storage.googleapis.com/projects/_/buckets/b",
                        "availabilityCondition": {
                            "expression": f"resource.name == {literal(text)}"
                        },
                    }
                ]
            }
        }
    )
    assert [term.text for term in found.rules[0].terms] == [text]


def test_what_one_rule_has_no_room_for_is_in_several() -> None:
    keys = [f"{'long/' * 20}{number}" for number in range(60)]
    found = boundary(objects=[f"gs://b/{key}" for key in keys])
    assert 1 < len(found.rules) <= MOST_RULES
    assert all(found.allows(GET, "b", key) for key in keys)
    assert not found.allows(GET, "b", f"{'long/' * 20}60")


def test_too_many_objects_are_named_by_their_folders_which_cannot_be_listed() -> None:
    keys = [f"data/{number % 3}/{number}" for number in range(1000)]
    found = boundary(objects=[f"gs://b/{key}" for key in keys], write=["gs://b/w/"])
    assert all(found.allows(GET, "b", key) for key in keys)
    assert not found.allows(GET, "b", "data/3/x")
    assert not found.allows(LIST, "b", None, "data/1/")
    assert not found.allows(CREATE, "b", "data/1/x")


@pytest.mark.parametrize(
    "reach",
    [
        Reach(tuple(f"gs://b/{number}/x" for number in range(1000))),
        Reach(tuple(f"gs://b/{number}" for number in range(1000))),
        Reach(write=tuple(f"gs://b/{'w' * 90}{number}/" for number in range(200))),
        Reach(read=tuple(f"gs://b-{number}/a/" for number in range(11))),
    ],
    ids=["folders", "no folder", "to write", "buckets"],
)
def test_what_no_boundary_has_room_for_is_refused(reach: Reach) -> None:
    with pytest.raises(InvalidInput, match="can be narrowed down to 10 rules"):
        access_boundary(reach)


def test_a_name_that_no_rule_has_room_for_is_refused() -> None:
    with pytest.raises(InvalidInput, match="A name is too long"):
        access_boundary(Reach(("gs://b/" + "'" * 1024,)))
    assert LONGEST_EXPRESSION == 2048


def test_a_prefix_ends_in_a_slash() -> None:
    with pytest.raises(ValueError, match="a prefix ends in a slash: 'gs://b/a'"):
        Reach(write=("gs://b/a",))
