"""Command templating: Flyte's ``{{.inputs.x}}`` and Jinja expressions over the inputs.

``check_command`` is for the time when a task is defined: it finds templates that cannot work.
``render_command`` gives the argv of one run. Input values are data: each element is cut into text,
Flyte templates and Jinja once, so that nothing an input holds is ever read as a template, and
elements are neither split nor joined. ``TemplateError`` says which template is wrong and why.

Flyte templates are case-insensitive but for the names of inputs: ``{{.inputs.x}}``,
``{{ $Inputs.x }}``, ``{{.rawOutputDataPrefix}}``, ``{{.perRetryUniqueKey}}``. They render as
Flyte's backend does (``perian_shim.values.literals.render_literal``).

Jinja runs in its immutable sandbox with ``inputs`` as the only variable, holding plain values:
datetimes and timedeltas for times, the URI for files. An expression's result is written as an
input file is: ``true``, RFC 3339, JSON for lists and maps; None is an error. The sandbox limits
``range`` to 100 000, but a template can still loop for long: it is the author's own code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from flyteidl.core.literals_pb2 import Literal

from perian_shim.template.errors import TemplateError, refuse_nul, unknown_input
from perian_shim.template.scan import FlyteTemplate, JinjaSource, Segment, Text, scan
from perian_shim.values.literals import InputNotRenderable, render_literal

INPUTS = "inputs."
RAW_OUTPUT_DATA_PREFIX = "rawoutputdataprefix"
PER_RETRY_UNIQUE_KEY = "perretryuniquekey"
VARIABLES = frozenset({RAW_OUTPUT_DATA_PREFIX, PER_RETRY_UNIQUE_KEY})
BACKEND_ONLY = frozenset(
    {
        "input",
        "inputprefix",
        "outputprefix",
        "tasktemplatepath",
        "prevcheckpointprefix",
        "checkpointoutputprefix",
        "namespace",
    }
)
"""What Flyte's backend puts into a pod's command; it means nothing to a job."""


def check_command(command: Sequence[str], known_inputs: Collection[str]) -> None:
    """Find what cannot work in a command, before there are values.

    Args:
        command: argv with templates.
        known_inputs: names of the task's inputs.

    Raises:
        TemplateError: for an unknown input or variable, a template that only Flyte's backend can
            fill, a Jinja syntax error, or a NUL character.
    """
    for element in command:
        refuse_nul(element, f"the command's element {element!r}")
        segments = list(scan(element))
        for segment in segments:
            if isinstance(segment, FlyteTemplate):
                check_flyte(segment, known_inputs)
        if has_jinja(segments):
            # Jinja takes a while to import, and most commands have none.
            from perian_shim.template.jinja import check_jinja  # noqa: PLC0415 - see above

            check_jinja(element, segments, known_inputs)


def render_command(
    command: Sequence[str],
    inputs: Mapping[str, Literal],
    *,
    raw_output_data_prefix: str,
    per_retry_unique_key: str,
) -> list[str]:
    """Render a command for one run.

    Args:
        command: argv with templates.
        inputs: the input literals; offloaded ones must have been fetched.
        raw_output_data_prefix: URI below which this attempt may leave data.
        per_retry_unique_key: a name that no other attempt has.

    Returns:
        As many elements as the command has; an element may be empty.

    Raises:
        TemplateError: for what ``check_command`` finds, an input that is missing or has no text,
            and a Jinja expression that fails.
    """
    variables = {
        RAW_OUTPUT_DATA_PREFIX: raw_output_data_prefix,
        PER_RETRY_UNIQUE_KEY: per_retry_unique_key,
    }
    return [render_element(element, inputs, variables) for element in command]


def render_element(
    element: str, inputs: Mapping[str, Literal], variables: Mapping[str, str]
) -> str:
    """Render one element of a command.

    Args:
        element: text with templates.
        inputs: the input literals.
        variables: values of ``VARIABLES``.
    """
    refuse_nul(element, f"the command's element {element!r}")
    segments = list(scan(element))
    texts = [segment_text(segment, inputs, variables) for segment in segments]
    if not has_jinja(segments):
        return "".join(text or "" for text in texts)
    from perian_shim.template.jinja import render_jinja  # noqa: PLC0415 - as in check_command

    return render_jinja(element, segments, texts, inputs)


def segment_text(
    segment: Segment, inputs: Mapping[str, Literal], variables: Mapping[str, str]
) -> str | None:
    """The text of a segment; None for Jinja."""
    match segment:
        case Text():
            return segment.text
        case FlyteTemplate():
            return flyte_text(segment, inputs, variables)
        case JinjaSource():
            return None


def flyte_text(
    template: FlyteTemplate, inputs: Mapping[str, Literal], variables: Mapping[str, str]
) -> str:
    """The value of a Flyte template."""
    check_flyte(template, inputs)
    name = input_name(template)
    if name is None:
        return variables[template.path.lower()]
    try:
        text = render_literal(inputs[name], name)
    except InputNotRenderable as error:
        raise TemplateError(str(error)) from None
    refuse_nul(text, f"input {name!r}")
    return text


def check_flyte(template: FlyteTemplate, known_inputs: Collection[str]) -> None:
    """Refuse a Flyte template that has no value in a job."""
    name = input_name(template)
    if name is not None:
        if name not in known_inputs:
            raise unknown_input(template.source, name, known_inputs)
        return
    variable = template.path.lower()
    if variable in VARIABLES:
        return
    if variable in BACKEND_ONLY:
        raise TemplateError(
            f"{template.source} is not available to a Perian job: it is a path of the pod that "
            "submits the job. Use {{.inputs.<name>}}, {{.rawOutputDataPrefix}} or "
            "{{.perRetryUniqueKey}}"
        )
    from difflib import get_close_matches  # noqa: PLC0415 - a pod that waits does without

    near = get_close_matches(template.path, meant_templates(known_inputs), n=1, cutoff=0.8)
    meant = f"Did you mean {{{{.{near[0]}}}}}? " if near else ""
    raise TemplateError(
        f"{template.source} is neither a template of Flyte nor a Jinja expression. {meant}"
        f"If the program is to get it as it is, write {{% raw %}}{template.source}{{% endraw %}}"
    )


def meant_templates(known_inputs: Collection[str]) -> list[str]:
    """Return what can be written between ``{{.`` and ``}}``."""
    return [
        *(f"inputs.{name}" for name in known_inputs),
        "rawOutputDataPrefix",
        "perRetryUniqueKey",
    ]


def input_name(template: FlyteTemplate) -> str | None:
    """The input that a Flyte template names; None when it names none."""
    keyword = template.path[: len(INPUTS)]
    return template.path[len(INPUTS) :] if keyword.lower() == INPUTS else None


def has_jinja(segments: Sequence[Segment]) -> bool:
    """Whether an element needs Jinja."""
    return any(isinstance(segment, JinjaSource) for segment in segments)
