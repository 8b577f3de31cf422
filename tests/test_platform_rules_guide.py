"""What the guide to a platform's rules shows can be pasted, and is what happens."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from perian_shim import errors, settings
from perian_shim.api.job_request import Requirements
from perian_shim.errors import AgainstPolicy, ConfigError
from perian_shim.lifecycle.census import HORIZON
from perian_shim.lifecycle.policies import PollPolicy
from perian_shim.lifecycle.tickets import Standing
from perian_shim.lifecycle.turns import LEAST_STALE, STALE_PAUSES
from perian_shim.pod.policy import PlatformPolicy
from perian_shim.pod.ruling import Wish, refuse
from perian_shim.pod.secrets import DEFAULT_DIR, FlyteSecrets
from perian_shim.settings import JOB_RULES

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/platform-rules.md").read_text()
PACKAGE = ROOT / "perian_shim"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


(RULES,) = blocks("json")
CONFIG_MAP, POD_TEMPLATE = map(yaml.safe_load, blocks("yaml"))
MISSPELT, BROKEN, WAITING = (" ".join(block.split()) for block in blocks("text"))


def test_the_rules_shown_are_rules() -> None:
    policy = PlatformPolicy.from_text(RULES)
    assert policy.providers == ("OTC", "OVH")
    assert policy.by_project == {"research": 10, "*": 4}


def test_the_config_map_shown_holds_rules_that_the_pod_template_names(tmp_path: Path) -> None:
    ((name, text),) = CONFIG_MAP["data"].items()
    (tmp_path / name).write_text(text)
    spec = POD_TEMPLATE["template"]["spec"]
    (container,), (volume,) = spec["containers"], spec["volumes"]
    (mount,), (variable,) = container["volumeMounts"], container["env"]
    assert variable == {"name": settings.POLICY, "value": f"{mount['mountPath']}/{name}"}
    assert volume["name"] == mount["name"]
    assert volume["configMap"]["name"] == CONFIG_MAP["metadata"]["name"]
    policy = PlatformPolicy.from_environment({settings.POLICY: str(tmp_path / name)})
    assert policy.max_jobs == 20


def test_every_rule_is_in_the_table_and_no_other() -> None:
    table = GUIDE.split("| rule | meaning |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == {each.name for each in dataclasses.fields(PlatformPolicy)}


def test_a_misspelt_rule_is_told_as_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        PlatformPolicy.from_text(json.dumps({"max_price_per_huor": 1}))
    assert caught.value.message.startswith(MISSPELT.removesuffix("…"))


def test_a_task_that_breaks_rules_is_told_as_shown() -> None:
    wish = Wish(Requirements(provider="GCP"), own_timeout=172800, timeout=172800)
    policy = dataclasses.replace(PlatformPolicy.from_text(RULES), max_price_per_run=None)
    with pytest.raises(AgainstPolicy) as caught:
        refuse(policy, wish)
    assert caught.value.message == BROKEN


def test_a_pod_that_waits_says_so_as_shown() -> None:
    standing = Standing(free=False, ahead=0, why="max_jobs allows 1", jobs=("…",))
    assert f"[perian-shim] no job is asked for yet, for 0 s so far: {standing}" == WAITING
    source = (PACKAGE / "lifecycle/turns.py").read_text()
    assert "no job is asked for yet, for {self.waited} so far: {standing}" in source


def test_every_code_named_is_one_of_ours() -> None:
    codes = {getattr(leaf, "code", "") for leaf in vars(errors).values()}
    named = set(re.findall(r"`(PERIAN:\w+)`", GUIDE))
    assert {"PERIAN:AgainstPolicy", "PERIAN:TooManyJobs"} <= named <= codes


def test_every_variable_named_exists() -> None:
    named = set(re.findall(r"`((?:PERIAN|FLYTE)_[A-Z_]+)`", GUIDE))
    known = {*settings.SETTINGS, *settings.HANDED_ON, JOB_RULES, DEFAULT_DIR}
    assert named
    assert named <= known


def test_a_secret_is_looked_for_where_the_guide_says() -> None:
    secrets = FlyteSecrets.of_container({})
    shown = re.findall(r"`(_FSEC_\S+|/etc/secrets/\S+)`", GUIDE)
    places = " ".join(secrets.places("<group>", "<key>")).casefold()
    assert shown
    for place in shown:
        assert place.casefold() in places


def test_the_numbers_are_those_of_the_code() -> None:
    minutes = STALE_PAUSES * PollPolicy().longest / 60
    numbers: dict[str, Any] = {"seven days": HORIZON.days == 7, "fifteen times": STALE_PAUSES == 15}
    numbers["five minutes"] = minutes == 5
    numbers["at least 20 seconds"] = LEAST_STALE == 20
    for words, right in numbers.items():
        assert words in GUIDE
        assert right
