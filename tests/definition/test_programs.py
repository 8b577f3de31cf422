"""Commands that cannot be what their author means are refused, or warned of, at definition."""

import datetime
import enum
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig, PerianContainerTask, PerianWarning
from perian_shim.definition.interpreters import INTERPRETERS, interpreter_named
from perian_shim.errors import DefinitionError

ROOT = Path(__file__).parent.parent.parent


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow-but_sure"


class Odd(enum.Enum):
    """Whose texts are no plain words."""

    BOTH = "a; b"


@dataclass
class Record:
    name: str


def define(command: list[str], **inputs: Any) -> list[str]:
    """Define a task and return what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PerianContainerTask("t", PerianConfig(cores=1), "debian:12", command, inputs)
    assert all(issubclass(entry.category, PerianWarning) for entry in caught)
    return [str(entry.message) for entry in caught]


def test_a_template_in_a_shells_script_is_warned_of_with_the_form_that_is_right() -> None:
    [told] = define(["sh", "-c", "echo {{.inputs.msg}}"], msg=str)
    assert (
        "PerianContainerTask 't': command: {{.inputs.msg}} stands inside the code that sh" in told
    )
    right = """command=["sh", "-c", 'echo "$1"', "sh", "{{.inputs.msg}}"]"""
    assert right in told


def test_the_form_shown_is_not_warned_of() -> None:
    assert define(["sh", "-c", 'echo "$1"', "sh", "{{.inputs.msg}}"], msg=str) == []


@pytest.mark.parametrize(
    ("script", "right"),
    [
        ('echo "{{.inputs.a}}"', """'echo "$1"', "sh", "{{.inputs.a}}"]"""),
        ("cp {{.inputs.a}} {{.inputs.b}}", """'cp "$1" "$2"', "sh", "{{.inputs.a}}", "{{.in"""),
        ("x {{.inputs.a}} {{.inputs.a}}", """'x "$1" "$1"', "sh", "{{.inputs.a}}"]"""),
        ("echo 'so: {{.inputs.a}}'", """'… "$1" …', "sh", "{{.inputs.a}}"]"""),
    ],
)
def test_the_form_shown_is_made_of_the_tasks_own_script(script: str, right: str) -> None:
    [told] = define(["sh", "-c", script], a=str, b=str)
    assert right in told


def test_arguments_that_the_script_has_already_keep_their_numbers() -> None:
    [told] = define(["sh", "-c", "echo $1 {{.inputs.a}}", "sh", "first"], a=str)
    assert """'echo $1 "$2"', "sh", "first", "{{.inputs.a}}"]""" in told


@pytest.mark.parametrize(
    "start",
    [
        ["sh", "-c"],
        ["/bin/sh", "-c"],
        ["bash", "-ec"],
        ["bash", "-lc"],
        ["bash", "-c", "-e"],
        ["bash", "-euo", "pipefail", "-c"],
        ["bash", "--login", "-c"],
        ["bash", "--rcfile", "/etc/rc", "-c"],
        ["dash", "-xc"],
        ["ash", "-c"],
        ["zsh", "-c"],
        ["ksh", "-c"],
        ["busybox", "sh", "-c"],
        ["env", "sh", "-c"],
        ["/usr/bin/env", "-i", "A=b", "bash", "-c"],
        ["env", "-S"],
        ["timeout", "5", "sh", "-c"],
        ["dumb-init", "--", "sh", "-c"],
        ["python", "-c"],
        ["python3.12", "-uc"],
        ["python", "-W", "ignore", "-c"],
        ["/opt/conda/bin/python3", "-I", "-c"],
        ["perl", "-e"],
        ["perl", "-lne"],
        ["ruby", "-e"],
        ["node", "-e"],
        ["node", "--eval"],
        ["php", "-r"],
        ["Rscript", "-e"],
        ["julia", "-e"],
        ["awk"],
        ["gawk", "-F", ","],
        ["sed", "-e"],
        ["sed", "-n"],
        ["su", "-c"],
    ],
    ids=" ".join,
)
def test_every_way_to_give_code_as_an_argument_is_seen(start: list[str]) -> None:
    [told] = define([*start, "print {{.inputs.msg}}"], msg=str)
    assert "can become code" in told


@pytest.mark.parametrize(
    "command",
    [
        ["echo", "{{.inputs.msg}}"],
        ["python", "train.py", "--name={{.inputs.msg}}"],
        ["python", "-m", "train", "-c", "{{.inputs.msg}}"],
        ["bash", "script.sh", "-c", "{{.inputs.msg}}"],
        ["sh", "-c", "echo hello", "sh", "it is {{.inputs.msg}}"],
        ["sh", "-c", 'exec "$@"', "sh", "echo", "it is {{.inputs.msg}}"],
        ["sh", "-c", "cat /var/inputs/msg"],
        ["sh", "-c", "{{.inputs.msg}}"],
        ["sh", "-c", "ls {{.rawOutputDataPrefix}} {{.perRetryUniqueKey}}"],
        ["sh", "-c", "{% if inputs.msg == 'a' %}run{% endif %}"],
        ["sh", "-c", "run {{ inputs.msg | length }}"],
        ["sh", "-c", "{% raw %}run {{.inputs.msg}}{% endraw %}"],
        ["awk", "-f", "p.awk", "name={{.inputs.msg}}"],
        ["awk", "-v", "name=x{{.inputs.msg}}", "{print name}"],
    ],
    ids=" ".join,
)
def test_a_value_that_stays_a_value_is_not_warned_of(command: list[str]) -> None:
    assert define(command, msg=str) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ inputs.msg }}",
        "{{ inputs['msg'] | lower }}",
        "{{ inputs.msg or 'none' }}",
        "{% for x in inputs.msg %}{{ x }}{% endfor %}",
        "{{ $Inputs.msg }}",
    ],
)
def test_jinja_is_seen_as_well(template: str) -> None:
    assert define(["sh", "-c", f"echo {template} end"], msg=list[str]) != []


@pytest.mark.parametrize(
    ("type_", "warned"),
    [
        (int, False),
        (float, False),
        (bool, False),
        (datetime.datetime, False),
        (datetime.timedelta, False),
        (int | None, False),
        (Mode, False),
        (str, True),
        (str | None, True),
        (int | str, True),
        (Odd, True),
        (list[str], True),
        (dict[str, int], True),
        (Record, True),
        (FlyteFile, True),
        (FlyteDirectory, True),
    ],
)
def test_only_types_whose_text_can_be_code_are_warned_of(type_: Any, warned: bool) -> None:
    assert bool(define(["sh", "-c", "echo {{.inputs.x}} {{ inputs.x }}"], x=type_)) is warned


def test_the_warning_points_to_the_users_line_and_can_be_silenced_by_its_category() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PerianContainerTask(
            "t", PerianConfig(cores=1), "a", ["sh", "-c", "echo {{.inputs.x}}"], {"x": str}
        )
    assert [entry.filename for entry in caught] == [__file__]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", PerianWarning)
        define(["true"])
    assert not caught


@pytest.mark.parametrize(
    ("command", "right"),
    [
        (["wc -w < /var/inputs/x"], 'command=["sh", "-c", "wc -w < /var/inputs/x"]'),
        (["python train.py"], 'command=["python", "train.py"]'),
        (["python train.py", "--fast"], 'command=["python", "train.py", "--fast"]'),
        (["echo {{.inputs.x}}"], 'command=["echo", "{{.inputs.x}}"]'),
        (["echo {{.inputs.x}} > /var/outputs/y"], """'program "$1" > /var/outputs/x', "sh", "{{"""),
        (["a|b"], 'command=["sh", "-c", "a|b"]'),
        (["run&"], 'command=["sh", "-c", "run&"]'),
        (["~/run"], 'command=["sh", "-c", "~/run"]'),
        (["$HOME/run"], 'command=["sh", "-c", "$HOME/run"]'),
        (["/bin/echo hello"], 'command=["/bin/echo", "hello"]'),
        (["/bin/cat data/x"], 'command=["/bin/cat", "data/x"]'),
        (["/opt/tool --in a/b"], 'command=["/opt/tool", "--in", "a/b"]'),
        (["echo 'open"], """command=["echo", "'open"]"""),
        (["MODE=fast", "run"], "environment={'MODE': 'fast'}"),
        (["run\nagain"], 'command=["run", "again"]'),
    ],
)
def test_a_line_of_shell_as_one_element_is_refused_with_the_form_that_is_right(
    command: list[str], right: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        define(command, x=str)
    assert "'t': command: " in str(caught.value)
    assert right in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        ["true"],
        ["/opt/my tool/run"],
        ["/opt/my tool/run", "a b"],
        ["./run.sh"],
        ["{{ inputs.x }}"],
        ["{{ .rawOutputDataPrefix }}"],
        ["echo", "a > b"],
    ],
)
def test_one_program_is_taken(command: list[str]) -> None:
    assert define(command, x=str) == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PATH": "/opt/conda/bin:$PATH"}, "PATH holds $PATH, which nobody expands"),
        ({"PATH": "/opt/conda/bin:${PATH}"}, "PATH holds ${PATH}"),
        ({"PATH": "$CONDA/bin:/bin"}, "PATH holds $CONDA"),
        ({"LD_LIBRARY_PATH": "/x:${LD_LIBRARY_PATH:-}"}, "holds ${LD_LIBRARY_PATH:-}"),
        ({"PYTHONPATH": "/x:~/lib"}, "PYTHONPATH holds ~"),
        ({"CACHE": "$HOME/.cache"}, "CACHE holds $HOME"),
        ({"A": "1", "B": "$A"}, "B holds $A"),
        ({"NAME": "{{.inputs.x}}"}, "NAME holds a template, which is filled in command="),
    ],
)
def test_a_variable_that_nobody_expands_is_warned_of(variables: dict[str, str], told: str) -> None:
    with pytest.warns(PerianWarning, match=re.escape(told)):
        PerianContainerTask("t", PerianConfig(cores=1), "a", ["true"], environment=variables)


@pytest.mark.parametrize(
    "variables", [{"PATH": "/usr/bin:/bin"}, {"PASSWORD": "a$b$1"}, {"PRICE": "$5", "ABOUT": "~"}]
)
def test_a_full_value_is_not_warned_of(variables: dict[str, str]) -> None:
    PerianContainerTask("t", PerianConfig(cores=1), "a", ["true"], environment=variables)


def test_no_name_means_two_interpreters() -> None:
    for entry in INTERPRETERS:
        for name in re.sub(r"[^\w|]", "", entry.name).split("|"):
            if name in {"python", "perl", "env", "su", "node", "lua"}:
                assert interpreter_named(name) is entry


SHOWN = re.compile(
    r"""["'](?:/\w+)*/?(?:ba|da|a|z|k)?sh["'], ["']-\w*c["'], f?(?P<script>"[^"\n]*"|'[^'\n]*')"""
)


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *(ROOT / "examples").rglob("*.py"),
    ],
    ids=lambda path: path.name,
)
def test_what_we_show_never_has_a_template_in_a_script(path: Path) -> None:
    for match in SHOWN.finditer(path.read_text()):
        assert not re.search(r"\{\{\s*(\.|\$)?\s*inputs", match["script"])


def test_the_readmes_own_example_is_among_what_is_scanned() -> None:
    assert SHOWN.search((ROOT / "README.md").read_text())
