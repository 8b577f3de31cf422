"""What is not kept is taken out of JSON as it streams by: exactly, however it is cut in pieces."""

import itertools
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.profiles import examples

from perian_shim.api.long_string import KeepText, boundary
from perian_shim.api.trimming import NOTHING, Keep, Trimmer


def logs_as(text: KeepText) -> Keep:
    """Keep all of a listing, but of each job's log only this much."""
    return Keep(members={"jobs": Keep(others=Keep(members={"logs": Keep(text)}))})


SMALL = logs_as(KeepText(head=9, tail=14, slack=5))

# What escapes, quotes, several bytes and halves of characters make difficult.
hard = st.lists(
    st.sampled_from(
        ["\\", '"', "\n", "u", "é", "☃", "🙂", "\ud83d", "\ude42", "\x00", "a", "00", " "]
    ),
    max_size=60,
).map("".join)
texts = hard | st.text(max_size=60)


def spelled(text: str, escape: list[bool]) -> str:
    """Write a JSON string; of what may be an escape or not, some characters are."""
    parts = []
    for index, character in enumerate(text):
        forced = json.dumps(character)[1:-1]
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        parts.append(forced if escape and escape[index % len(escape)] else plain)
    return f'"{"".join(parts)}"'


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A listing of jobs, spelled and spaced in any way."""
    space = st.sampled_from(["", " ", "\n\t ", "  "])
    jobs = []
    for _ in range(draw(st.integers(0, 3))):
        log = spelled(draw(texts), draw(st.lists(st.booleans(), max_size=3)))
        other = json.dumps({"logs": draw(texts), "x": [1, {"logs": "logs"}]})
        value = draw(st.sampled_from([log, log, "null", "[]", "12"]))
        members = [f'"id":{json.dumps(draw(texts))}', f'"m": {other}', '"n":"logs", "o":-1.5']
        members.append(f'"logs"{draw(space)}:{draw(space)}{value}')
        jobs.append("{" + f"{draw(space)},".join(draw(st.permutations(members))) + "}")
    return f'{{"jobs" : [{",".join(jobs)}], "logs": "{"x" * 50}"}}'.encode("utf-8", "surrogatepass")


cuts = st.lists(st.integers(0, 400), max_size=12)


def trimmed(text: bytes, places: list[int], keep: Keep = SMALL) -> bytes:
    trimmer = Trimmer(keep)
    return fed(trimmer, text, places) + trimmer.close()


def fed(trimmer: Trimmer, text: bytes, places: list[int]) -> bytes:
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    pieces = [trimmer.feed(text[start:end]) for start, end in itertools.pairwise(edges)]
    return b"".join(pieces)


def check(whole: object, found: object, depth: int = 0) -> None:
    """Compare what was kept with what there was."""
    if isinstance(whole, dict):
        assert isinstance(found, dict)
        assert whole.keys() == found.keys()
        for name, value in whole.items():
            if name == "logs" and depth == 2 and isinstance(found[name], dict):
                check_cut(value, found[name])
            else:
                check(value, found[name], depth + 1)
    elif isinstance(whole, list):
        assert isinstance(found, list)
        assert len(whole) == len(found)
        for one, other in zip(whole, found, strict=True):
            check(one, other, depth + 1)
    else:
        assert whole == found


def check_cut(whole: str, cut: dict[str, object]) -> None:
    head, omitted, tail = cut["head"], cut["omitted"], cut["tail"]
    assert isinstance(head, str)
    assert isinstance(omitted, int)
    assert isinstance(tail, str)
    assert whole == head + whole[len(head) : len(head) + omitted] + tail
    assert omitted >= 0


@settings(max_examples=examples(100))
@given(answer=answers(), places=cuts)
def test_what_is_left_is_both_ends_and_all_else_unchanged(answer: bytes, places: list[int]) -> None:
    check(json.loads(answer), json.loads(trimmed(answer, places)))


@settings(max_examples=examples(50))
@given(answer=answers(), places=cuts)
def test_the_pieces_in_which_it_comes_do_not_matter_to_what_is_dropped(
    answer: bytes, places: list[int]
) -> None:
    drop = logs_as(KeepText())
    left = trimmed(answer, places, drop)
    assert left == trimmed(answer, [], drop)
    assert all(
        job["logs"] in {None, ""}
        for job, was in zip(json.loads(left)["jobs"], json.loads(answer)["jobs"], strict=True)
        if isinstance(was["logs"], str)
    )


@settings(max_examples=examples(100))
@given(
    answer=answers(),
    places=cuts,
    where=st.integers(0, 400),
    junk=st.sampled_from([b"", b'"', b"\\", b"\\u12", b"\xff", b"\xe2", b"\n", b"{", b"]", b":"]),
)
def test_what_is_no_json_stays_none(
    answer: bytes, places: list[int], where: int, junk: bytes
) -> None:
    spoiled = answer[:where] + junk + answer[where + 1 :]
    assert is_json(trimmed(spoiled, places)) == is_json(spoiled)


@given(text=st.binary(max_size=80) | st.from_regex(rb'[\[\]{}:,"\\logsu \x00]*', fullmatch=True))
def test_any_bytes_pass(text: bytes) -> None:
    assert trimmed(text, [3, 7]) == text or b"omitted" in trimmed(text, [3, 7])


@given(answer=answers(), end=st.integers(0, 400), places=cuts)
def test_half_an_answer_is_no_json(answer: bytes, end: int, places: list[int]) -> None:
    assert not is_json(trimmed(answer[: min(end, len(answer) - 1)], places))


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@settings(max_examples=examples(100))
@given(text=texts, escape=st.lists(st.booleans(), max_size=3), limit=st.integers(0, 400))
@example(text="\ud83d\ud83d\ude42\ude42", escape=[True], limit=18)
def test_a_string_is_cut_between_two_characters(text: str, escape: list[bool], limit: int) -> None:
    content = spelled(text, escape)[1:-1].encode("utf-8", "surrogatepass")
    if limit < len(content):
        place = boundary(content, limit)
        assert limit - 12 < place <= limit
        parts = (content[:place], content[place:])
        first, second = (json.loads(b'"' + part + b'"') for part in parts if is_text(part))
        assert first + second == json.loads(b'"' + content + b'"')


def is_text(part: bytes) -> bool:
    return is_json(b'"' + part + b'"')


def job_of(logs: bytes, count: int = 1) -> bytes:
    entry = b'{"logs":"' + logs + b'"}'
    return b'{"jobs":[' + b",".join([entry] * count) + b"]}"


@pytest.mark.parametrize(
    "logs", [rb"\\" * 500_000, rb"\"" * 500_000, rb"\ud83d\ude42" * 80_000, b"x" * 1_000_000]
)
def test_little_is_kept_of_a_long_string_whatever_it_is_made_of(logs: bytes) -> None:
    keep = logs_as(KeepText(head=1000, tail=2000, slack=500))
    left = trimmed(job_of(logs), list(range(0, len(logs), 999)), keep)
    assert 2900 < len(left) < 3700
    check(json.loads(job_of(logs)), json.loads(left))


def test_less_is_kept_when_there_are_many_long_strings() -> None:
    trimmer = Trimmer(logs_as(KeepText(1 << 10, 1 << 10, 1 << 10)), plenty=10_000)
    answer = job_of(b"x" * 20_000, 1000)
    left = trimmer.feed(answer) + trimmer.close()
    assert len(left) < 80_000
    check(json.loads(answer), json.loads(left))


SHAPES = [logs_as(KeepText(1 << 16, 1 << 16)), logs_as(KeepText(slack=99)), NOTHING, Keep(limit=9)]


@pytest.mark.parametrize("keep", SHAPES)
@pytest.mark.parametrize("piece", [rb"\\", rb"\"", rb"\n", b"x", b'","a":"', b"\\"])
def test_time_grows_with_the_length_only(piece: bytes, keep: Keep) -> None:
    def seconds(times: int) -> float:
        text = job_of(piece * times)
        began = time.process_time()
        trimmer = Trimmer(keep)
        for start in range(0, len(text), 1 << 14):
            trimmer.feed(text[start : start + (1 << 14)])
        return time.process_time() - began

    assert seconds(2_000_000 // len(piece)) < 5


def test_nothing_is_taken_out_of_what_nobody_asked_for() -> None:
    text = job_of(b"x" * 100)
    assert Trimmer(None).feed(text) == text
    assert trimmed(text, [], Keep()) == text
    assert trimmed(text, [], Keep(members={"logs": NOTHING})) == text
    assert trimmed(text, [], Keep(members={"jobs": Keep(members={"logs": NOTHING})})) == text


NAMES = st.sampled_from(["a", "b", "c", "d"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | hard,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)
strings = st.none() | st.builds(KeepText, slack=st.integers(0, 12))
shapes = st.recursive(
    st.builds(Keep, strings, st.none() | st.integers(0, 40)),
    lambda inner: st.builds(
        Keep, strings, st.none() | st.just(0), st.dictionaries(NAMES, inner), st.none() | inner
    ),
    max_leaves=8,
)


def kept(value: object, keep: Keep | None) -> object:
    """What should be left of a value: the plain way, with the whole in memory."""
    if keep is None:
        return value
    if isinstance(value, str):
        return value if keep.text is None or len(spelling(value)) - 2 <= keep.text.size else None
    if not isinstance(value, (dict, list)):
        return value
    left: object
    if isinstance(value, dict):
        left = {name: kept(one, keep.members.get(name, keep.others)) for name, one in value.items()}
    else:
        left = [kept(one, keep.others) for one in value]
    return left if keep.limit is None or len(spelling(left)) <= keep.limit else None


def spelling(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@settings(max_examples=examples(100))
@given(value=values, keep=shapes, places=cuts)
@example(
    value={"a": ["x" * 50, {"b": 1}], "b": 2}, keep=Keep(members={"a": Keep(limit=9)}), places=[]
)
def test_what_is_left_is_what_the_tree_says(value: object, keep: Keep, places: list[int]) -> None:
    text = trimmed(spelling(value), places, keep)
    assert text == spelling(kept(value, keep))


@pytest.mark.parametrize(
    "text", [KeepText(9, 14, 5), KeepText(16), KeepText(0, 3), KeepText(slack=7)]
)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_string_is_left_whole_exactly_as_long_as_it_fits(text: KeepText, step: int) -> None:
    for length in range(40):
        answer = job_of(b"x" * length)
        (job,) = json.loads(trimmed(answer, list(range(0, 400, step)), logs_as(text)))["jobs"]
        assert isinstance(job["logs"], str) == (length <= text.size)


@pytest.mark.parametrize(("limit", "left"), [(10, b'{"a":[1,"x",{}]}'), (9, b'{"a":null}')])
def test_a_value_is_left_whole_exactly_as_long_as_it_may_be(limit: int, left: bytes) -> None:
    keep = Keep(members={"a": Keep(limit=limit, others=Keep(limit=1))})
    assert trimmed(b'{"a":[1,"x",{}]}', [], keep) == left, "only the outer limit counts"


@pytest.mark.parametrize("name", [r"logs", r"lo\u0067s", r"\u006cogs"])
def test_a_name_may_be_spelled_with_escapes(name: str) -> None:
    text = b'{"jobs":[{"%b":"xxxx"}]}' % name.encode()
    assert json.loads(trimmed(text, [], logs_as(KeepText()))) == {"jobs": [{"logs": None}]}


def test_a_value_that_is_deep_is_taken_out_as_any_other() -> None:
    text = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"b":1}'
    assert trimmed(text, [], Keep(members={"a": NOTHING})) == b'{"a":null,"b":1}'
    assert trimmed(text, [], Keep(members={"a": Keep(limit=999)})) == b'{"a":null,"b":1}'


def test_a_value_that_is_too_long_is_not_held_in_memory() -> None:
    trimmer = Trimmer(Keep(members={"a": Keep(limit=1000)}))
    trimmer.feed(b'{"a":["' + b"x" * 10_000)
    assert trimmer.close() == b""


EXPENDABLE = Keep(
    members={
        "jobs": Keep(
            others=Keep(
                members={
                    "id": Keep(),
                    "status": Keep(),
                    "logs": Keep(KeepText(9, 14, 5, after=frozenset({"id", "status"}))),
                }
            )
        )
    }
)


@settings(max_examples=examples(100))
@given(log=texts, escape=st.lists(st.booleans(), max_size=3), end=st.integers(0, 400), places=cuts)
@example(log="x" * 50, escape=[], end=60, places=[])
def test_a_log_that_is_not_waited_for_leaves_what_stood_before_it(
    log: str, escape: list[bool], end: int, places: list[int]
) -> None:
    spelled_log = spelled(log, escape).encode("utf-8", "surrogatepass")
    log = json.loads(spelled_log)  # two halves of a character are one now
    before = b'{"jobs":[{"id":"j","x":[{"y":1}],"status":"Done","logs":'
    text = (before + spelled_log)[: min(end, len(before) + len(spelled_log) - 1)]
    trimmer = Trimmer(EXPENDABLE)
    began = fed(trimmer, text, places)
    rest = trimmer.cut()
    assert (rest is not None) == (len(text) > len(before))
    if rest is None:
        return
    (job,) = json.loads(began + rest)["jobs"]
    assert (job["id"], job["x"], job["status"]) == ("j", [{"y": 1}], "Done")
    left = job["logs"]
    if isinstance(left, str):
        assert log.startswith(left)
    else:
        check_cut(log[: len(left["head"]) + left["omitted"] + len(left["tail"])], left)


@pytest.mark.parametrize(
    "text",
    [
        b'{"jobs":[{"id":"j","logs":"x',  # the status may follow
        b'{"jobs":[{"id":"j","status":"Done","logs":"x","y":"z',
        b'{"jobs":[{"id":"j","status":"Done","logs":"x"}',
        b'{"jobs":[{"id":"j","status":"Done"},{"logs":"x',
        b'{"id":"j","status":"Done","logs":"x',
        b"",
    ],
)
def test_nothing_else_is_broken_off(text: bytes) -> None:
    trimmer = Trimmer(EXPENDABLE)
    trimmer.feed(text)
    assert trimmer.cut() is None
