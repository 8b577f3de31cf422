"""What cannot work, or cannot be honoured, is said when a task of Flyte 2 is defined."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flyte
import pytest
from flyte.io import File

from perian_shim.errors import DefinitionError
from perian_shim.flyte2 import PerianConfig, PerianContainerTask


def function(**settings: Any) -> Any:
    """Define a function task by an environment with these settings."""
    for_task = {key: settings.pop(key) for key in ("timeout", "retries") if key in settings}
    given = {"image": "debian:12", "plugin_config": PerianConfig(cores=1), **settings}
    environment = flyte.TaskEnvironment(name="shop", **given)

    @environment.task(**for_task)
    def one(x: int) -> int:
        return x

    return one


def container(**settings: Any) -> PerianContainerTask:
    given: dict[str, Any] = {
        "name": "shop.box",
        "plugin_config": PerianConfig(cores=1),
        "image": "debian:12",
        "command": ["true"],
        **settings,
    }
    return PerianContainerTask(**given)


@dataclass
class WithFile:
    """A dataclass with a file inside."""

    file: File


class Odd:
    """A class of which Flyte knows nothing."""


def template_with(image: str | None) -> Any:
    """Return a pod template whose primary container names an image, of what Kubernetes' has."""
    container = SimpleNamespace(name="primary", image=image)
    spec: Any = SimpleNamespace(containers=[container])
    return flyte.PodTemplate(primary_container_name="primary", pod_spec=spec)


Case = tuple[Callable[..., Any], dict[str, Any], str, bool]
BOTH: list[tuple[dict[str, Any], str, bool]] = [
    ({"plugin_config": PerianConfig()}, "plugin_config: expected at least one of cores", False),
    ({"resources": flyte.Resources(cpu=(1, 2))}, "cpu: cannot be honoured: a machine is", False),
    ({"resources": flyte.Resources(memory=("1Gi", "2Gi"))}, "memory: cannot be honoured", False),
    ({"resources": flyte.Resources(shm="1Gi")}, "shm: cannot be honoured: Perian has no", False),
    (
        {"resources": flyte.Resources(gpu=flyte.GPU("A100", 1, "1g.5gb"))},
        "Perian rents whole GPUs, not '1g.5gb'",
        False,
    ),
    ({"resources": flyte.Resources(gpu=flyte.TPU("V5P", "2x2x1"))}, "rents no TPUs", False),
    ({"resources": flyte.Resources(gpu="Trn1:1")}, "Perian rents no Neuron devices", False),
    ({"env_vars": {"A": 1}}, "env_vars: expected texts, got int for 'A'", False),
    ({"env_vars": {"PERIAN_SHIM_KEY": "1"}}, "PERIAN_SHIM_KEY is set by perian-shim", False),
    ({"secrets": [3]}, "secrets: expected flyte.Secret(key=…) or a list of them, got int", True),
    (
        {"secrets": [flyte.Secret("a", as_env_var="X"), flyte.Secret("b", as_env_var="X")]},
        "/a has the same variable",
        False,
    ),
    (
        {"secrets": "key", "env_vars": {"KEY": "1"}},
        "env_vars= sets the same variable",
        False,
    ),
    ({"timeout": "1h"}, "timeout: expected seconds, a timedelta or a flyte.Timeout, got str", True),
    ({"timeout": -1}, "timeout: expected a time above 0, got -1", False),
    ({"timeout": timedelta(seconds=-2)}, "timeout: expected a time above 0, got -2", False),
    (
        {
            "timeout": flyte.Timeout(60, max_queued_time=60),
            "plugin_config": PerianConfig(cores=1, max_queued_time=30),
        },
        "max_queued_time is 60 s, that of plugin_config 30 s; give one",
        False,
    ),
    ({"image": "Not An Image"}, "image: image 'Not An Image': ", False),
    (
        {"pod_template": template_with("debian:12")},
        "pod_template: cannot be honoured: it names an image for the pod",
        False,
    ),
    (
        {"plugin_config": PerianConfig(cores=1, on_terminate="detach")},
        "on_terminate='detach': expected a timeout=",
        False,
    ),
]
if "deadline" in flyte.Timeout.__dataclass_fields__:  # from flyte 2.5 on
    BOTH += [
        (
            {"timeout": flyte.Timeout(60, deadline=60)},
            "deadline: cannot be honoured: it counts over all attempts",
            False,
        )
    ]
CONTAINERS: list[tuple[dict[str, Any], str, bool]] = [
    ({"resources": {"cpu": 1}}, "resources: expected a flyte.Resources, got dict", True),
    ({"env_vars": ["A=1"]}, "env_vars: expected a dict of texts, got list", True),
    ({"secrets": 3}, "secrets: expected flyte.Secret(key=…) or a list of them, got int", True),
    ({"name": ""}, "name: expected a text, got ''", True),
    ({"plugin_config": {"cores": 1}}, "plugin_config: expected a perian_shim.flyte2.Perian", True),
    ({"image": 3}, "image: expected an image reference or a flyte.Image, got int", True),
    (
        {"image": flyte.Image.from_ref_name("x")},
        "tasks, and one by name is looked up for it; build it before",
        False,
    ),
    (
        {"image": flyte.Image.from_debian_base(name="x").with_pip_packages("numpy")},
        "image: cannot be honoured: an image with layers is built",
        False,
    ),
    ({"command": "echo hello"}, "command: expected a list of texts", False),
    ({"command": []}, "command: expected at least one text", False),
    ({"command": ["echo", "{{.inputs.y}}"]}, "command: ", False),
    ({"inputs": [int]}, "inputs: expected a dict of names and types, got list", True),
    ({"inputs": {"a/b": int}}, "inputs: 'a/b' cannot be a file name", False),
    ({"outputs": {"a b": int}}, "outputs: 'a b' cannot be a file name", False),
    ({"outputs": {"o": Odd}}, "outputs: 'o' has a type that Flyte would pickle", False),
    ({"inputs": {"i": WithFile}}, "inputs: 'i' has a", False),
    ({"input_data_dir": "relative"}, "input_data_dir: expected an absolute path", False),
    ({"output_data_dir": Path("/var/inputs/x")}, "overlap", False),
    ({"reusable": flyte.ReusePolicy(replicas=1)}, "reusable: cannot be honoured: a job is", False),
    ({"unknown": 1}, "unexpected keyword argument 'unknown'", True),
]


def name_of(case: Case) -> str:
    made, settings, _, _ = case
    return f"{made.__name__} {' '.join(settings)}"


CASES: list[Case] = [
    *((function, *case) for case in BOTH),
    *((container, *case) for case in BOTH),
    (function, {"image": None}, "image: expected an image reference or a flyte.Image, got", True),
    *((container, *case) for case in CONTAINERS),
]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_it_is_refused_naming_task_argument_and_reason(case: Case) -> None:
    make, settings, message, is_type = case
    with pytest.raises(DefinitionError) as caught:
        make(**settings)
    text = str(caught.value)
    assert message in text
    assert isinstance(caught.value, TypeError) == is_type
    if settings.get("name") != "":
        assert ("shop.one" if make is function else "shop.box") in text


def test_a_pod_template_without_an_image_is_the_pod_s() -> None:
    template = template_with(None)
    assert function(pod_template=template).pod_template is template


def test_what_flyte_itself_refuses_is_flyte_s_to_say() -> None:
    with pytest.raises(ValueError, match="plugin_config when environment is reusable"):
        function(reusable=flyte.ReusePolicy(replicas=1))
    with pytest.raises(TypeError, match="Expected resources to be of type Resources"):
        function(resources={"cpu": 1})
    with pytest.raises(ValueError, match="gpu must be one of"):
        flyte.Resources(gpu="A1000:1")  # type: ignore[arg-type]  # on purpose
