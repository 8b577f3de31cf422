"""Code for flytekitplugins-perian-job: what runs with its import changed, what else is told.

The plugin here is the real one, in processes of its own.
"""

import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from flytekit import ImageSpec, Secret
from support.local_runs import BIN, start
from support.official_plugin import run_beside

import perian_shim
import perian_shim.task
from perian_shim import PerianConfig, PerianContainerTask, PerianTask, PerianWarning
from perian_shim.errors import DefinitionError, MissingSecret
from perian_shim.pod.credentials import SecretReader
from perian_shim.pod.secrets import FlyteSecrets

OFFICIAL = "flytekitplugins.perian_job"
ALIASES = {
    OFFICIAL: "perian_shim",
    f"{OFFICIAL}.task": "perian_shim.task",
}
"""The modules that have the plugin's names, and what to import instead."""

EXAMPLE = """
from collections import OrderedDict
from flytekit import kwtypes, task, workflow
from MODULE import PerianConfig, PerianContainerTask, PerianTask


@task(
    container_image="registry.example.org/team/hello:1",
    task_config=PerianConfig(accelerators=1, accelerator_type="A100"),
)
def perian_hello(name: str) -> str:
    return f"hello {name}!"


@task(
    container_image="registry.example.org/team/hello:1",
    task_config=PerianConfig(
        cores=2, memory="8", accelerators=1, accelerator_type="A100", country_code="de"
    ),
    environment={"GREETING": "hello"},
)
def trained(epochs: int) -> float:
    return 1.0 / epochs


assert isinstance(perian_hello, PerianTask)

listing = PerianContainerTask(
    name="listing",
    task_config=PerianConfig(4, 16, None, None, 100, "DE", "OTC"),
    image="busybox:1",
    command=["ls", "{{.inputs.path}}"],
    inputs=OrderedDict(path=str),
    environment={"A": "b"},
)
kw = PerianContainerTask(
    "kw", PerianConfig(cores=1), "busybox:1", ["echo", "{{.inputs.n}}"], kwtypes(n=int)
)


@workflow
def my_wf(name: str = "world") -> str:
    return perian_hello(name=name)
"""

SERIALIZING = """
import collections, importlib, json, sys
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.extend import get_serializable
from google.protobuf import json_format

module = importlib.import_module(sys.argv[1])
images = ImageConfig(Image("default", "example.org/unused", "latest"))
settings = SerializationSettings(images, "flytesnacks", "development", "v1")
tasks = {}
for name in sys.argv[2:]:
    spec = get_serializable(collections.OrderedDict(), settings, getattr(module, name))
    template = spec.template
    tasks[name] = [template.type, json_format.MessageToDict(template.to_flyte_idl().custom)]
print(json.dumps(tasks))
"""


def serialized(folder: Path, source: str, *names: str, plugin: bool) -> dict[str, Any]:
    """Serialize tasks of a file; return the type and ``custom`` of each."""
    (folder / "example.py").write_text(source)
    program = folder / "serializing.py"
    program.write_text(SERIALIZING)
    found: dict[str, Any] = run_beside(program, "example", *names, plugin=plugin)
    return found


# --- names ---------------------------------------------------------------------------------------


def test_the_names_of_the_plugins_module_are_ours() -> None:
    names = ["PerianConfig", "PerianContainerTask", "PerianTask"]
    assert perian_shim.task.__all__ == names
    for name in names:
        assert getattr(perian_shim.task, name) is getattr(perian_shim, name)


@pytest.mark.slow
def test_the_plugin_has_no_other_names_for_tasks_and_no_other_fields(tmp_path: Path) -> None:
    program = tmp_path / "names.py"
    program.write_text(
        textwrap.dedent(f"""
        import dataclasses, json, inspect
        import {OFFICIAL} as package
        from {OFFICIAL} import task
        def own(module):
            return sorted(n for n, v in vars(module).items()
                          if inspect.isclass(v) and v.__module__.startswith({OFFICIAL!r}))
        fields = [f.name for f in dataclasses.fields(task.PerianConfig)]
        print(json.dumps([own(package), own(task), fields]))
        """)
    )
    package, task, fields = run_beside(program, plugin=True)
    assert set(package) - {"PerianConnector"} == set(perian_shim.task.__all__)
    assert task == perian_shim.task.__all__
    assert fields == [*PerianConfig.__dataclass_fields__][:7]


# --- one line changed ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("module", ALIASES)
def test_a_file_with_its_import_changed_asks_for_the_same(module: str, tmp_path: Path) -> None:
    names = ("perian_hello", "trained", "listing", "kw")
    theirs = serialized(tmp_path, EXAMPLE.replace("MODULE", module), *names, plugin=True)
    ours = serialized(tmp_path, EXAMPLE.replace("MODULE", ALIASES[module]), *names, plugin=False)
    assert {kind for kind, _ in theirs.values()} == {"perian_task"}
    assert {kind for kind, _ in ours.values()} == {"perian_shim"}
    for name in names:
        asked, config = theirs[name][1], ours[name][1]["config"]
        shared = [*PerianConfig.__dataclass_fields__][:7]
        expected = {key: asked[key] for key in shared if key in asked}
        told = {key: config[key] for key in shared if key in config}
        if "memory" in expected:  # a number of either kind
            expected["memory"], told["memory"] = float(expected["memory"]), float(told["memory"])
        assert told == expected
        environment = ours[name][1].get("environment", {})
        assert environment.items() >= asked.get("environment", {}).items()
    assert ours["listing"][1]["image"] == theirs["listing"][1]["image"]


@pytest.mark.slow
def test_a_file_with_its_import_changed_runs(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(EXAMPLE.replace("MODULE", "perian_shim.task"))
    command = [str(BIN / "perian-shim"), "run", "hello.py", "my_wf", "--name", "you"]
    ran = start(command, tmp_path, {})
    assert ran.end() == 0, ran.text
    assert "o0 = hello you!" in ran.text


@pytest.mark.slow
def test_tasks_of_both_stand_in_one_file(tmp_path: Path) -> None:
    source = f"""
from flytekit import task
import {OFFICIAL} as theirs
import perian_shim as ours

image = "registry.example.org/team/hello:1"


@task(task_config=theirs.PerianConfig(cores=1), container_image=image)
def old(x: int) -> int:
    return x


@task(task_config=ours.PerianConfig(cores=1), container_image=image)
def new(x: int) -> int:
    return x


old_container = theirs.PerianContainerTask("a", theirs.PerianConfig(cores=1), image, ["true"])
new_container = ours.PerianContainerTask("b", ours.PerianConfig(cores=1), image, ["true"])
"""
    names = ("old", "new", "old_container", "new_container")
    for text in (
        source,
        source.replace("import perian_shim as ours", "").replace(
            "from flytekit", "import perian_shim as ours\nfrom flytekit"
        ),
    ):  # whichever is imported first
        tasks = serialized(tmp_path, text, *names, plugin=True)
        assert [tasks[name][0] for name in names] == [
            *("perian_task", "perian_shim", "perian_task", "perian_shim")
        ]


@pytest.mark.slow
def test_the_plugins_container_task_drops_what_it_does_not_know_of_our_config(
    tmp_path: Path,
) -> None:
    source = f"""
from {OFFICIAL} import PerianContainerTask
from perian_shim import PerianConfig

mixed = PerianContainerTask(
    "c", PerianConfig(cores=1, max_price_per_hour=2), "busybox:1", ["true"]
)
"""
    kind, custom = serialized(tmp_path, source, "mixed", plugin=True)["mixed"]
    assert kind == "perian_task"
    assert custom == {"cores": 1, "image": "busybox:1", "command": ["true"]}


# --- one line forgotten --------------------------------------------------------------------------

FORGOTTEN = f"""
import json
from {OFFICIAL} import PerianConfig
from flytekit import workflow
import perian_shim

class Ours(PerianConfig):
    pass

full = PerianConfig(4, 32, 2, "A100", 100, "DE", "OTC")
def function(x: int) -> int:
    return x
def overridden():
    task = perian_shim.PerianContainerTask(
        "t", perian_shim.PerianConfig(cores=1), "busybox:1", ["true"])
    @workflow
    def wf() -> None:
        task().with_overrides(task_config=full)
    wf.compile()
env = perian_shim.PerianEnvironment("e", resources=perian_shim.Resources(cpu=1))
def flyte2():
    from perian_shim.flyte2 import PerianContainerTask
    PerianContainerTask(name="t", image="busybox:1", plugin_config=full, command=["true"])

cases = dict(
    container=lambda: perian_shim.PerianContainerTask("t", full, "busybox:1", ["true"]),
    derived=lambda: perian_shim.PerianContainerTask("t", Ours(cores=1), "busybox:1", ["true"]),
    empty=lambda: perian_shim.PerianContainerTask(
        "t", PerianConfig(cores=1, memory=0, provider=""), "busybox:1", ["true"]),
    function=lambda: perian_shim.PerianTask(full, function),
    node=overridden,
    environment=lambda: perian_shim.PerianEnvironment("e", task_config=full),
    environments_task=lambda: env.task(task_config=PerianConfig(accelerator_type="L4"))(function),
    flyte2=flyte2,
)
told = {{}}
for name, case in cases.items():
    try:
        case()
    except Exception as error:
        told[name] = [isinstance(error, TypeError), isinstance(error, perian_shim.PerianError),
                      str(error)]
print(json.dumps(told))
"""

SAME = (
    "PerianConfig(cores=4, memory=32, accelerators=2, accelerator_type='A100',"
    " os_storage_size=100, country_code='DE', provider='OTC')"
)
SETTINGS = (
    "resources=Resources(cpu=4, mem='32Gi', gpu='A100:2', disk='100Gi'), country_code='DE',"
    " provider='OTC'"
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    program = tmp_path_factory.mktemp("forgotten") / "forgotten.py"
    program.write_text(FORGOTTEN)
    found: dict[str, Any] = run_beside(program, plugin=True)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "same", "module"),
    [
        ("container", SAME, "perian_shim"),
        ("derived", "PerianConfig(cores=1)", "perian_shim"),
        ("empty", "PerianConfig(cores=1)", "perian_shim"),
        ("function", SAME, "perian_shim"),
        ("node", SAME, "perian_shim"),
        ("flyte2", SAME, "perian_shim.flyte2"),
        ("environment", SETTINGS, "perian_shim"),
        ("environments_task", "resources=Resources(gpu='L4')", "perian_shim"),
    ],
)
def test_a_config_of_the_plugins_is_known_and_shown_as_ours(
    case: str, same: str, module: str, told: dict[str, Any]
) -> None:
    is_type_error, is_ours, text = told[case]
    assert (is_type_error, is_ours) == (True, True), text
    assert f"Change the import `from {OFFICIAL} import PerianConfig` to `from {module} i" in text
    assert same in text


@pytest.mark.parametrize("same", [SAME, f"PerianEnvironment('e', {SETTINGS})"])
def test_what_is_shown_can_be_made(same: str) -> None:
    made = eval(same, {name: getattr(perian_shim, name) for name in perian_shim.__all__})
    config = made if isinstance(made, PerianConfig) else made.config()
    assert config == PerianConfig(4, 32, 2, config.accelerator_type, 100, "DE", "OTC")


# --- secrets -------------------------------------------------------------------------------------

CONFIDENTIAL = "not-to-be-shown"


@pytest.mark.parametrize("key", ["perian_token", "docker_registry_password", "aws_access_key_id"])
def test_a_secret_of_the_connectors_form_is_left_out_and_made_in_its_group(key: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        PerianContainerTask(
            "t",
            PerianConfig(cores=1),
            "busybox:1",
            ["true"],
            secret_requests=[Secret(group="", key=key)],
        )
    text = str(caught.value)
    assert f"secret_requests: {key!r} has no group" in text
    assert "from the group 'perian'" in text
    assert "create secret generic perian --from-literal=perian_organization=…" in text
    assert f"--from-literal={key}=…" in text


def test_a_users_own_secret_without_a_group_is_told_to_name_one() -> None:
    def function() -> None: ...

    with pytest.raises(DefinitionError, match=r"'password' has no group; name the .*Secret\(gro"):
        PerianTask(
            PerianConfig(cores=1), function, secret_requests=[Secret(group="", key="password")]
        )


@pytest.mark.parametrize("place", ["variable", "file"])
@pytest.mark.parametrize("key", ["perian_organization", "perian_token"])
def test_the_connectors_own_secret_is_named_but_not_used(
    key: str, place: str, tmp_path: Path
) -> None:
    environ = {}
    if place == "variable":
        environ[f"_FSEC_{key}".upper()] = CONFIDENTIAL
    else:
        (tmp_path / key).write_text(CONFIDENTIAL)
    reader = SecretReader(FlyteSecrets(environ, folder=str(tmp_path)), {})
    with pytest.raises(MissingSecret) as caught:
        reader.require("perian", key)
    where = f"variable _FSEC_{key}".upper() if place == "variable" else str(tmp_path / key)
    assert "There is one without a group, the " in str(caught.value)
    assert where.lower() in str(caught.value).lower()
    assert CONFIDENTIAL not in f"{caught.value!r}{caught.value}{reader!r}"


def test_without_the_connectors_secret_none_is_named(tmp_path: Path) -> None:
    reader = SecretReader(FlyteSecrets({}, folder=str(tmp_path)), {})
    with pytest.raises(MissingSecret) as caught:
        reader.require("perian", "perian_token")
    assert "without a group" not in str(caught.value)


@pytest.mark.parametrize(
    ("group", "name"), [("perian", "perian"), ("arn:aws:secretsmanager:x", "<name>")]
)
def test_the_command_that_creates_the_secret_is_told(group: str, name: str) -> None:
    with pytest.raises(MissingSecret) as caught:
        SecretReader(FlyteSecrets({}), {}).require(group, "perian_token")
    assert (
        f"kubectl --namespace <project>-<domain> create secret generic {name}"
        " --from-literal=perian_organization=… --from-literal=perian_token=…"
    ) in caught.value.remedy


# --- the job's image -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packages", "count"),
    [
        (["flytekitplugins-perian-job"], 1),
        (["flytekitplugins_perian_job==1.16.31"], 1),
        (["perian-shim"], 0),
        (None, 0),
    ],
)
def test_an_image_that_is_built_with_the_plugin_is_warned_of(
    packages: list[str] | None, count: int
) -> None:
    def function() -> None: ...

    image = ImageSpec(name="flyte-test", registry="registry.example.org", packages=packages)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PerianTask(PerianConfig(cores=1), function, container_image=image)
    told = [str(each.message) for each in caught if each.category is PerianWarning]
    assert len([text for text in told if "the job needs perian-shim" in text]) == count
