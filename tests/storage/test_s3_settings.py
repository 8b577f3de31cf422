"""S3 is set up as flytekit sets it up: flytekit's own configuration is the oracle."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from flytekit.configuration import S3Config
from flytekit.configuration.file import get_config_file

from perian_shim.errors import ConfigError
from perian_shim.storage.s3_settings import S3Settings

pytestmark = pytest.mark.usefixtures("no_store_in_the_environment")

INI = """\
[aws]
endpoint = http://in-ini:9000
access_key_id = ini
secret_access_key = ini's
addressing_style = virtual
"""

YAML = """\
admin:
  endpoint: dns:///flyte
storage:
  connection:
    endpoint: http://in-yaml:9000
    access-key: yaml
    secret-key: 12345
    addressing-style: virtual
"""

CASES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "nothing": ({}, {}),
    "environment": (
        {
            "FLYTE_AWS_ENDPOINT": "http://minio:9000",
            "FLYTE_AWS_ACCESS_KEY_ID": "id",
            "FLYTE_AWS_SECRET_ACCESS_KEY": "secret",
            "FLYTE_AWS_ADDRESSING_STYLE": "virtual",
        },
        {},
    ),
    "path style": ({"FLYTE_AWS_ADDRESSING_STYLE": "path"}, {}),
    "yaml in the home directory": ({}, {".flyte/config.yaml": YAML}),
    "ini in the home directory": ({}, {".flyte/config": INI, ".flyte/config.yaml": YAML}),
    "ini in the working directory": ({}, {"flytekit.config": INI, ".flyte/config.yaml": YAML}),
    "named yaml": ({"FLYTECTL_CONFIG": "named.yaml"}, {"named.yaml": YAML, "flytekit.config": INI}),
    "named ini": ({"FLYTECTL_CONFIG": "named.cfg"}, {"named.cfg": INI}),
    "named but absent": ({"FLYTECTL_CONFIG": "absent.yaml"}, {".flyte/config": INI}),
    "pyflyte's own": (
        {"_FLYTECTL_CONFIG_PYFLYTE_OVERRIDE": "a.yaml", "FLYTECTL_CONFIG": "b.cfg"},
        {"a.yaml": YAML, "b.cfg": INI},
    ),
    "environment before the file": (
        {"FLYTE_AWS_ENDPOINT": "http://minio:9000"},
        {".flyte/config.yaml": YAML},
    ),
    "a variable that is set to nothing": (
        {"FLYTE_AWS_ENDPOINT": ""},
        {".flyte/config.yaml": YAML},
    ),
    "a file without a store": ({}, {".flyte/config.yaml": "admin: {}\n"}),
    "an ini file without a store": ({}, {".flyte/config": "[platform]\nurl = x\n"}),
    "a file that is no yaml": ({}, {".flyte/config.yaml": "{"}),
    "an empty file": ({}, {".flyte/config.yaml": ""}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_flytekit_finds_is_found(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, files = CASES[case]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path), **variables}
    found = S3Settings.read(environ)
    theirs = of_flytekit(environ, monkeypatch)
    assert (found.endpoint, found.access_key_id, found.secret_access_key) == (
        theirs.endpoint or "",
        theirs.access_key_id or "",
        str(theirs.secret_access_key or ""),
    )
    if hasattr(theirs, "adressing_style"):  # flytekit 1.14 knows nothing of it
        assert found.virtual_hosts is (theirs.adressing_style == "virtual")


def of_flytekit(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> S3Config:
    """What flytekit reads with such an environment."""
    for name in ("FLYTECTL_CONFIG", "_FLYTECTL_CONFIG_PYFLYTE_OVERRIDE", "FLYTE_AWS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    get_config_file.cache_clear()
    try:
        return S3Config.auto()
    finally:
        get_config_file.cache_clear()


def test_without_flytekits_the_aws_endpoint_counts(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "AWS_ENDPOINT_URL_S3": "http://minio:9000"}
    assert S3Settings.read(environ).endpoint == "http://minio:9000"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, "eu-south-1"),
        ({"AWS_PROFILE": "mine"}, "eu-north-1"),
        ({"AWS_PROFILE": "other"}, ""),
    ],
)
def test_the_region_is_the_environments_or_the_profiles(
    variables: dict[str, str], region: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-south-1\n[profile mine]\nregion = eu-north-1\n")
    environ = {"HOME": str(tmp_path), "AWS_CONFIG_FILE": str(config), **variables}
    assert S3Settings.read(environ).region == region


@pytest.mark.parametrize("variable", ["FLYTE_AWS_ENDPOINT", "PERIAN_S3_PUBLIC_ENDPOINT"])
@pytest.mark.parametrize("value", ["minio:9000", "minio", "https://", "ftp://minio"])
def test_an_endpoint_is_a_url(variable: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one like https://host:9000"):
        S3Settings.read({"HOME": str(tmp_path), variable: value})


def test_a_broken_config_file_is_named_and_not_told(tmp_path: Path) -> None:
    (tmp_path / "x.cfg").write_text("secret without a section")
    environ = {"HOME": str(tmp_path), "FLYTECTL_CONFIG": str(tmp_path / "x.cfg")}
    with pytest.raises(
        ConfigError, match=r"x\.cfg: flytekit's config file cannot be read"
    ) as raised:
        S3Settings.read(environ)
    assert "without a section" not in str(raised.value)
