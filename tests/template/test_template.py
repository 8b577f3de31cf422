from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.flyte_values import encoded

from perian_shim.template import TemplateError, check_command, render_command

UTC = dt.timezone.utc


@dataclass
class Stats:
    rows: int
    mean: float


@dataclass
class Awkward:
    """Fields with the names of a dict's methods."""

    items: list[int]
    keys: str
    values: float
    get: int
    pop: int
    copy: int
    update: dict[str, int]


AWKWARD = Awkward([1, 2], "k", 0.5, 3, 4, 5, {"items": 6})


INPUTS: dict[str, tuple[object, object]] = {
    "n": (3, int),
    "big": (1e6, float),
    "flag": (True, bool),
    "text": ("Hello World", str),
    "names": (["a", "b"], list[str]),
    "weights": ({"x": 1}, dict[str, int]),
    "when": (dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime),
    "took": (dt.timedelta(minutes=90), dt.timedelta),
    "absent": (None, int | None),
    "stats": (Stats(3, 0.5), Stats),
    "items": ("an input named like a method", str),
    "awkward": (AWKWARD, Awkward),
    "awkwards": ([AWKWARD], list[Awkward]),
}
LITERALS = {name: encoded(value, python_type) for name, (value, python_type) in INPUTS.items()}


def render(element: str) -> str:
    check_command([element], LITERALS)
    (rendered,) = render_command(
        [element], LITERALS, raw_output_data_prefix="s3://b/raw", per_retry_unique_key="a1"
    )
    return rendered


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{{.inputs.n}}", "3"),
        ("{{$inputs.n}}", "3"),
        ("{{ .Inputs.n }}", "3"),
        ("{{\t.INPUTS.n\n}}", "3"),
        ("{{.inputs.big}}", "1e+06"),
        ("{{.inputs.flag}}", "true"),
        ("{{.inputs.text}}", "Hello World"),
        ("{{.inputs.names}}", "[a,b]"),
        ("{{.inputs.when}}", "2020-01-01T00:00:00Z"),
        ("{{.inputs.took}}", "seconds:5400"),
        ("{{.inputs.stats}}", "map[mean:0.5 rows:3]"),
        ("--n={{.inputs.n}}:{{.inputs.n}}", "--n=3:3"),
        ("{{.inputs.items}}", "an input named like a method"),
        ("{{.rawOutputDataPrefix}}/x", "s3://b/raw/x"),
        ("{{ $PERRETRYUNIQUEKEY }}", "a1"),
        ('{"a": {"b": {{.inputs.n}}}}', '{"a": {"b": 3}}'),
        ("{{{.inputs.n}}}", "{3}"),
        ("{{{{.inputs.n}}}}", "{{3}}"),
    ],
)
def test_a_flyte_template_is_rendered_as_flyte_does(element: str, expected: str) -> None:
    assert render(element) == expected


@pytest.mark.parametrize(
    "element",
    [
        "",
        "plain",
        " spaces and\nnewlines\r\n",
        '{"a": {"b": 1}}',
        "$(date) `id` ${x:-{}} ${#array[@]} {# no comment #}",
        "awk '{ print $1 }'",
        "100% {sure}",
        "}} %}",
        "{ {.inputs.n} }",
        "{",
    ],
)
def test_all_else_is_text(element: str) -> None:
    assert render(element) == element


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{{ inputs.text | lower }}", "hello world"),
        ('{{ inputs["text"] }}', "Hello World"),
        ("{{ inputs.n + 1 }}", "4"),
        ("{{inputs.n}}", "3"),
        ("{{ inputs.flag }}", "true"),
        ("{{ inputs.big }}", "1000000.0"),
        ("{{ inputs.names }}", '["a", "b"]'),
        ("{{ inputs.names | join(',') }}", "a,b"),
        ("{{ inputs.names[0] }}", "a"),
        ("{{ inputs.weights.x }}", "1"),
        ("{{ inputs.stats }}", '{"rows": 3, "mean": 0.5}'),
        ("{{ inputs.stats.rows }}", "3"),
        ("{{ inputs.when }}", "2020-01-01T00:00:00Z"),
        ("{{ inputs.when.isoformat() }}", "2020-01-01T00:00:00+00:00"),
        ("{{ inputs.when.date() }}", "2020-01-01"),
        ("{{ inputs.took }}", "5400s"),
        ("{{ inputs.took.total_seconds() }}", "5400.0"),
        ("{{ inputs.items }}", "an input named like a method"),
        ("{{ inputs.awkward.items | tojson }}", "[1, 2]"),
        ('{{ inputs.awkward["items"] | tojson }}', "[1, 2]"),
        ("{{ inputs.awkward.keys }}", "k"),
        ("{{ inputs.awkward.values }}", "0.5"),
        ("{{ inputs.awkward.get }}", "3"),
        ("{{ inputs.awkward.pop }}", "4"),
        ("{{ inputs.awkward.copy }}", "5"),
        ("{{ inputs.awkward.update.items }}", "6"),
        ("{{ inputs.awkwards[0].update['items'] }}", "6"),
        ("{{ inputs.awkwards | map(attribute='items') | first | tojson }}", "[1, 2]"),
        ("{{ inputs.awkwards | sum(attribute='get') }}", "3"),
        ("{{ '{0.keys}'.format(inputs.awkward) }}", "k"),
        ("{{ inputs.weights.get('y', 7) }}", "7"),
        ("{% for k, v in inputs.weights.items() %}{{ k }}={{ v }}{% endfor %}", "x=1"),
        ('{{ inputs.absent or "default" }}', "default"),
        ("{% if inputs.absent is none %}--none{% endif %}", "--none"),
        ("{% if not inputs.flag %}--off{% endif %}", ""),
        ("{% for x in inputs.names %}[{{ x }}]{% endfor %}", "[a][b]"),
        ("{{ '<&>' | tojson }}", '"<&>"'),
        ("{{ inputs.names | tojson }}", '["a", "b"]'),
        ("{{ {'a': {'b': inputs.n}} | tojson }}", '{"a": {"b": 3}}'),
        ("{{ '}}' }}", "}}"),
        ("{{ inputs.n }}\n", "3\n"),
        ("{{ inputs.n }}\r\n", "3\r\n"),
        ("a {{- inputs.n -}} b", "a3b"),
        ("{{ 'a' if 'n' in inputs else 'b' }}", "a"),
    ],
)
def test_a_jinja_expression_sees_the_inputs_as_values(element: str, expected: str) -> None:
    assert render(element) == expected


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{{.inputs.n}}{{ inputs.n }}", "33"),
        ("{% if inputs.flag %}{{.inputs.n}}{% endif %}", "3"),
        ("{{ '{{.inputs.n}}' }}", "{{.inputs.n}}"),
        (
            "{% raw %}{{.inputs.n}} {{ inputs.n }} {% x %}{% endraw %}",
            "{{.inputs.n}} {{ inputs.n }} {% x %}",
        ),
        ("{% raw %}{{.ID}}{% endraw %}{{.inputs.n}}", "{{.ID}}3"),
        ("{{ inputs.n }}{% raw %}{{{% endraw %}{{ inputs.n }}", "3{{3"),
        ("a {%- raw -%} {{.inputs.n}} {%- endraw -%} b{{ inputs.n }}", "a{{.inputs.n}}b3"),
        ("{{ inputs.n }}{{{.inputs.n}}}", "3{3}"),
        ("{{ inputs.n }}{{.inputs.n}}\r", "33\r"),
    ],
)
def test_both_syntaxes_mix_in_one_element(element: str, expected: str) -> None:
    assert render(element) == expected


@pytest.mark.parametrize(
    ("element", "complaints"),
    [
        ("{{.inputs.txt}}", ["{{.inputs.txt}}", "no input 'txt'", "n, names", "mean 'text'"]),
        ("{{.inputs.TEXT}}", ["no input 'TEXT'"]),
        ("{{ inputs.txt }}", ["no input 'txt'", "mean 'text'"]),
        ('{{ inputs["txt"] | lower }}', ["no input 'txt'", "mean 'text'"]),
        ("{% if inputs.txt %}x{% endif %}", ["no input 'txt'"]),
        ("{{ text }}", ["'text' is not defined", "write inputs.text"]),
        ("{{ nothing }}", ["'nothing' is not defined"]),
        ("{{.input}}", ["{{.input}} is not available to a Perian job"]),
        ("{{ $OutputPrefix }}", ["not available"]),
        ("{{.taskTemplatePath}}", ["not available"]),
        ("{{.checkpointOutputPrefix}}", ["not available"]),
        ("{{.ID}}", ["neither a template of Flyte nor", "{% raw %}{{.ID}}{% endraw %}"]),
        ("{{ inputs.n", ["not a valid Jinja template", "{% raw %}"]),
        ("{{ inputs.n + }}", ["not a valid Jinja template"]),
        ("{% if %}", ["not a valid Jinja template"]),
        ("awk '{{print}'", ["not a valid Jinja template", "{% raw %}"]),
        ('printf "{%d}"', ["not a valid Jinja template", "{% raw %}"]),
        ("{% raw %}{{.inputs.n}}", ["not a valid Jinja template"]),
        ("{{ inputs.n | nofilter }}", ["No filter named 'nofilter'"]),
        ("{% include 'x' %}", ["include"]),
        ("{% import inputs.text as x %}", ["include"]),
        ("a\0b", ["NUL"]),
    ],
)
def test_what_cannot_work_is_found_when_the_task_is_defined(
    element: str, complaints: Sequence[str]
) -> None:
    with pytest.raises(TemplateError) as refusal:
        check_command(["echo", element], LITERALS)
    for complaint in complaints:
        assert complaint in str(refusal.value)


def test_a_task_without_inputs_says_so() -> None:
    with pytest.raises(TemplateError, match="it has none"):
        check_command(["{{.inputs.x}}"], [])


@pytest.mark.parametrize(
    ("element", "complaints"),
    [
        ("{{.inputs.absent}}", ["'absent' is None", '{{ inputs.absent or "default" }}']),
        ("{{ inputs.absent }}", ["gives None"]),
        ("{{ inputs[inputs.text] }}", ["UndefinedError"]),
        ("{{ inputs.n.nothing }}", ["UndefinedError"]),
        ("{{ inputs.awkward.itms }}", ["UndefinedError", "itms"]),
        ('{{ inputs.weights["items"] }}', ["UndefinedError", "items"]),
        ("{{ inputs.weights[inputs.names] }}", ["UndefinedError"]),
        ("{{ inputs.weights.items }}", ["builtin_function_or_method"]),
        ("{{ inputs.weights.update({'x': 2}) }}", ["SecurityError"]),
        ("{{ inputs.weights.__class__.__mro__ }}", ["SecurityError"]),
        ("{{ inputs.weights['__class__'] }}", ["UndefinedError"]),
        ("{{ inputs.n / 0 }}", ["ZeroDivisionError"]),
        ("{{ inputs.names | map('upper') }}", ["generator", "join"]),
        ("{{ inputs }}", ["Inputs and not text"]),
        ("{{ ''.__class__.__mro__ }}", ["SecurityError"]),
        ("{{ inputs.text.format.__globals__ }}", ["SecurityError"]),
        ("{{ inputs.names.append('c') }}", ["SecurityError"]),
        ("{{ '{0.__class__}'.format(inputs.text) }}", ["SecurityError"]),
        ("{{ inputs.__class__ }}", ["input '__class__'"]),
        ("{{ inputs._Inputs__literals }}", ["input '_Inputs__literals'"]),
        ("{{ inputs|attr('_Inputs__literals') }}", ["SecurityError"]),
        ("{% for x in range(10**9) %}x{% endfor %}", ["Range too big"]),
    ],
)
def test_what_fails_with_these_values_is_an_error_at_run_time(
    element: str, complaints: Sequence[str]
) -> None:
    with pytest.raises(TemplateError) as refusal:
        render(element)
    for complaint in complaints:
        assert complaint in str(refusal.value)


@pytest.mark.parametrize("element", ["{{.inputs.odd}}", "{{ inputs.odd }}"])
def test_nul_in_a_value_is_refused_by_the_inputs_name(element: str) -> None:
    with pytest.raises(TemplateError, match=r"odd.*NUL"):
        render_command(
            [element],
            {"odd": encoded("a\0b", str)},
            raw_output_data_prefix="s3://b",
            per_retry_unique_key="a",
        )


def test_an_input_that_is_missing_at_run_time_is_an_error() -> None:
    with pytest.raises(TemplateError, match="no input 'x'"):
        render_command(
            ["{{.inputs.x}}"], {}, raw_output_data_prefix="s3://b", per_retry_unique_key="a"
        )


nasty = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "{%",
                "%}",
                "{#",
                "#}",
                "{{.inputs.y}}",
                "{{ inputs.y }}",
                "{% raw %}",
                "{% endraw %}",
                "$(id)",
                "`id`",
                "'",
                '"',
                "\\",
                "\n",
                "\r\n",
                " ",
                ";",
                "&&",
                "é",
                "{{.rawOutputDataPrefix}}",
                "{{ __holes__[0] }}",
                "-",
                "",
            ]
        ),
        max_size=6,
    ).map("".join),
)
SHAPES = [
    ("{{.inputs.x}}", "{x}"),
    ("{{ inputs.x }}", "{x}"),
    ("a {{.inputs.x}} b", "a {x} b"),
    ("{{.inputs.x}}{{ inputs.y }}{{.inputs.x}}", "{x}{y}{x}"),
    ("{% if true %}{{.inputs.y}}{% endif %}={{ inputs['x'] }}", "{y}={x}"),
    ("{{ [inputs.x] | first }}{{.rawOutputDataPrefix}}", "{x}s3://raw"),
]


@settings(deadline=None)
@given(nasty, nasty, st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
def test_values_are_data(x: str, y: str, shapes: list[tuple[str, str]]) -> None:
    command = ["sh", *(template for template, _ in shapes)]
    rendered = render_command(
        command,
        {"x": encoded(x, str), "y": encoded(y, str)},
        raw_output_data_prefix="s3://raw",
        per_retry_unique_key="key",
    )
    assert rendered == ["sh", *(expected.format(x=x, y=y) for _, expected in shapes)]
    assert shlex.split(shlex.join(rendered)) == rendered


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="{\0"))))
def test_a_command_without_braces_is_kept_as_it_is(command: list[str]) -> None:
    check_command(command, [])
    assert (
        render_command(command, {}, raw_output_data_prefix="", per_retry_unique_key="") == command
    )
