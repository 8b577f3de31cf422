"""What the wrapper does around the user's command, and that it leaves the command itself alone."""

import json
import os
import sys
from pathlib import Path

import pytest
from support.s3 import Bucket
from support.tools import require_tool
from support.wrapper import TRANSPORTS, Job, make_image, result_of

from perian_shim.job import ASSETS, read_asset

pytestmark = pytest.mark.sampled("any_job", "shell_job")

SHELLS = ("dash", "busybox", "bash")
KINDS = [(transport, shell) for transport in ("curl", "python3") for shell in SHELLS]
"""Images in which small tools do the work, and such in which Python does."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture(params=KINDS, ids="-".join)
def shell_job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(tmp_path, make_image(tmp_path, *request.param))


@pytest.fixture(params=TRANSPORTS)
def any_job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(tmp_path, make_image(tmp_path, request.param))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path, make_image(tmp_path, "curl"))


def python(script: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).resolve()), "-I", "-S", "-c", script)


@pytest.mark.parametrize("name", ASSETS)
def test_every_asset_is_in_the_package(name: str) -> None:
    assert read_asset(name)


@pytest.mark.every_variant
@pytest.mark.parametrize("code", [0, 1, 3, 64, 126, 255])
def test_the_exit_code_is_the_commands(shell_job: Job, bucket: Bucket, code: int) -> None:
    shell_job.post_to(bucket)

    assert shell_job.shell(f"exit {code}").code == code
    assert result_of(bucket)["exit_code"] == code


def test_a_command_that_does_not_exist_is_refused(shell_job: Job, bucket: Bucket) -> None:
    shell_job.post_to(bucket)

    ended = shell_job.run("/no/such/command")

    assert ended.code == 64
    assert "the command /no/such/command does not exist" in ended.err
    assert result_of(bucket)["problem"] == "the command /no/such/command does not exist"


@pytest.mark.parametrize("name", ["say", "upload", "exit"])
def test_the_wrappers_functions_and_builtins_are_no_commands(shell_job: Job, name: str) -> None:
    ended = shell_job.run(name)
    assert ended.code == 64
    assert f"the command {name} is in no directory of PATH={shell_job.image.path}" in ended.err


def test_a_path_that_nobody_expands_is_named_and_hides_no_tool_of_the_wrappers(
    shell_job: Job, bucket: Bucket
) -> None:
    shell_job.environment["PERIAN_SHIM_PATH"] = str(shell_job.image.path)
    shell_job.environment["PATH"] = "/opt/conda/bin:$PATH"
    shell_job.post_to(bucket)

    ended = shell_job.run("train")

    assert ended.code == 64
    assert "the command train is in no directory of PATH=/opt/conda/bin:$PATH" in ended.err
    assert "nobody expands $" in str(result_of(bucket)["problem"])


@pytest.mark.parametrize("path", ["/opt/conda/bin:$PATH", "", "/a b:/c"])
def test_the_command_has_the_path_that_it_was_given(
    shell_job: Job, bucket: Bucket, path: str
) -> None:
    shell_job.environment["PERIAN_SHIM_PATH"] = str(shell_job.image.path)
    shell_job.environment["PATH"] = path
    shell_job.post_to(bucket)

    ended = shell_job.run(sys.executable, "-c", "import os; print(os.environ['PATH'])")

    assert (ended.code, ended.out) == (0, f"{path}\n"), ended.err


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [("echo ran", 0o755, 0), ("echo ran", 0o644, 126), ("#!/no/such/program", 0o755, 127)],
    ids=["without #!", "not executable", "for a program that is not there"],
)
def test_a_script_is_run_as_a_shell_runs_it(
    shell_job: Job, content: str, mode: int, code: int
) -> None:
    script = shell_job.work / "script"
    script.write_text(content)
    script.chmod(mode)

    ended = shell_job.run(str(script))

    assert ended.code == code, ended.err
    assert ended.out == ("ran\n" if code == 0 else "")


def test_a_command_killed_by_a_signal_is_128_and_its_number(shell_job: Job) -> None:
    assert shell_job.shell("kill -9 $$").code == 137


def test_arguments_arrive_as_they_are(shell_job: Job) -> None:
    arguments = [
        "",
        "two words",
        "new\nline",
        "'\"",
        "$HOME `id` $(id)",
        "-n",
        "*",
        "\\",
        "ü🙂",
        " ",
    ]
    script = "import json, sys; print(json.dumps(sys.argv[1:]))"

    ended = shell_job.run(*python(script), *arguments)

    assert json.loads(ended.out) == arguments


@pytest.mark.parametrize("given", [{}, {"PWD": "/elsewhere", "OLDPWD": "/x", "SHLVL": "3"}])
def test_the_environment_is_the_same(shell_job: Job, given: dict[str, str]) -> None:
    shell_job.environment = {
        **given,
        "EMPTY": "",
        "LINES": "a\nb=c\n\n",
        "a.dotted-name": "two words",
        "1st": "digit",
        "tmp": "kept",
        "code": "kept",
        "IFS": ":",
        "UNICODE": "ü🙂",
    }
    script = "import json, os; print(json.dumps(dict(os.environ)))"

    ended = shell_job.run(*python(script))

    seen = json.loads(ended.out)
    seen.pop("LC_CTYPE", None)  # Python's own: PEP 538 sets it in the C locale
    expected = {
        "PATH": str(shell_job.image.path),
        "TMPDIR": str(shell_job.root / "tmp"),
        "PERIAN_SHIM_PATH": "",
        "PERIAN_SHIM_PAUSE": "0",
        "PERIAN_SHIM_PATIENCE": "0",
        **shell_job.environment,
    }
    assert seen == expected


def test_the_working_directory_is_the_same(shell_job: Job) -> None:
    assert shell_job.run(*python("import os; print(os.getcwd())")).out.strip() == str(Path.cwd())


def test_standard_input_is_empty_and_no_other_file_is_open(shell_job: Job) -> None:
    script = (
        "import os, sys; print(repr(sys.stdin.read()));"
        "print([fd for fd in range(3, 20) if os.path.exists(f'/proc/self/fd/{fd}')"
        " and os.readlink(f'/proc/self/fd/{fd}').startswith(sys.argv[1])])"
    )
    ended = shell_job.run(*python(script), str(shell_job.root))

    assert ended.out.splitlines() == ["''", "[]"]


def test_directories_and_the_parents_of_outputs_exist_before_the_command(shell_job: Job) -> None:
    shell_job.add("dir", shell_job.work / "in" / "empty")
    shell_job.add("output", "x", shell_job.work / "out" / "deep" / "x")
    shell_job.add("error", shell_job.work / "err" / "_ERROR")

    ended = shell_job.shell('cd "$1" && test -d in/empty -a -d out/deep -a -d err && echo yes')

    assert ended.out == "yes\n"
    assert ended.err == ""


@pytest.mark.every_variant
def test_a_failed_command_leaves_a_result_and_no_outputs(any_job: Job, bucket: Bucket) -> None:
    any_job.add("output", "x", any_job.work / "x")
    any_job.post_to(bucket)

    ended = any_job.shell('echo 1 >"$1/x"; exit 3')

    assert ended.code == 3
    assert bucket.keys() == {"run/_perian/result.json"}
    assert result_of(bucket) == {
        "version": 1,
        "exit_code": 3,
        "transport": any_job.image.transport,
        "error": False,
        "outputs": {},
    }


def test_an_error_file_is_uploaded_in_place_of_the_outputs(any_job: Job, bucket: Bucket) -> None:
    any_job.add("output", "x", any_job.work / "x")
    any_job.add("error", any_job.work / "_ERROR")
    any_job.post_to(bucket)

    ended = any_job.shell('echo 1 >"$1/x"; echo "no such gene" >"$1/_ERROR"')

    assert ended.code == 0
    assert bucket.keys() == {"run/_perian/result.json", "run/_perian/error"}
    assert bucket.get("run/_perian/error") == b"no such gene\n"
    assert result_of(bucket)["error"] is True


def test_an_error_file_is_uploaded_of_a_failed_command_too(job: Job, bucket: Bucket) -> None:
    job.add("error", job.work / "_ERROR")
    job.post_to(bucket)

    ended = job.shell('echo "no such gene" >"$1/_ERROR"; exit 5')

    assert ended.code == 5
    assert bucket.get("run/_perian/error") == b"no such gene\n"
    assert result_of(bucket)["exit_code"] == 5


def test_of_a_long_error_file_the_first_64_kib_are_uploaded(job: Job, bucket: Bucket) -> None:
    job.add("error", job.work / "_ERROR")
    job.post_to(bucket)

    job.shell('head -c 100000 /dev/zero | tr "\\0" x >"$1/_ERROR"')

    assert bucket.get("run/_perian/error") == b"x" * 65536


def test_without_a_post_nothing_is_uploaded(job: Job) -> None:
    job.add("output", "x", job.work / "x")

    ended = job.shell('echo 1 >"$1/x"')

    assert (ended.code, ended.err) == (0, "")


def test_without_transfers_no_transport_is_needed(tmp_path: Path) -> None:
    bare = Job(tmp_path, make_image(tmp_path, None))

    assert bare.run("/bin/true").code == 0


def test_without_any_transport_it_says_what_it_looked_for(tmp_path: Path) -> None:
    bare = Job(tmp_path, make_image(tmp_path, None))
    bare.add("get", bare.work / "x", "http://127.0.0.1:9/x")

    ended = bare.run("/bin/true")

    assert ended.code == 64
    for part in ("python3", "curl", "GNU wget", "busybox wget", str(bare.image.path), "Add one"):
        assert part in ended.err


@pytest.mark.parametrize("broken", ["exit 1", "echo Python 3.5; exit 2"])
def test_a_python_that_does_not_work_is_passed_over(job: Job, bucket: Bucket, broken: str) -> None:
    program = job.image.path / "python3"
    program.write_text(f"#!/bin/sh\n{broken}\n")
    program.chmod(0o755)
    job.post_to(bucket)

    assert job.run("/bin/true").code == 0
    assert result_of(bucket)["transport"] == "curl"


def test_python_is_preferred_and_another_can_be_forced(tmp_path: Path, bucket: Bucket) -> None:
    job = Job(tmp_path, make_image(tmp_path, "curl"))
    (job.image.path / "python3").symlink_to(Path(sys.executable).resolve())
    job.post_to(bucket)

    job.run("/bin/true")
    assert result_of(bucket)["transport"] == "python3"
    job.environment["PERIAN_SHIM_TRANSPORT"] = "curl"
    job.run("/bin/true")
    assert result_of(bucket)["transport"] == "curl"


@pytest.mark.parametrize("forced", ["wget", "rsync"])
def test_a_forced_transport_that_cannot_be_is_an_error(job: Job, forced: str) -> None:
    job.environment["PERIAN_SHIM_TRANSPORT"] = forced
    job.add("get", job.work / "x", "http://127.0.0.1:9/x")

    ended = job.run("/bin/true")

    assert ended.code == 64
    assert forced in ended.err


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([("version", "2")], "version 2"),
        ([("version", "1"), ("teleport", "x")], "'teleport'"),
        ([("dir", "/tmp")], "does not begin with its version"),
        ([], "is empty"),
    ],
)
def test_a_plan_that_cannot_be_used_is_64(
    job: Job, records: list[tuple[str, ...]], message: str
) -> None:
    job.records = records

    ended = job.run("/bin/echo", "ran")

    assert (ended.code, ended.out) == (64, "")
    assert message in ended.err


def test_no_command_is_64(job: Job) -> None:
    assert job.run().code == 64


def test_the_command_may_empty_the_temporary_directory(any_job: Job, bucket: Bucket) -> None:
    any_job.add("output", "x", any_job.work / "x")
    any_job.post_to(bucket)

    ended = any_job.shell('rm -rf "$2"/* && echo 1 >"$1/x"', str(any_job.root / "tmp"))

    assert ended.code == 0, ended.err
    assert bucket.get("run/outputs/x") == b"1\n"


def test_the_commands_own_output_passes_through(job: Job) -> None:
    ended = job.shell("echo out; echo err >&2")

    assert (ended.out, ended.err) == ("out\n", "err\n")


def as_nobody(job: Job, *command: str) -> tuple[int | None, str]:
    """Run as a user who may write into the temporary directory only; exit code and messages."""
    setpriv = require_tool("setpriv")
    for directory in (*job.root.parents[:3], job.root):
        directory.chmod(directory.stat().st_mode | 0o755)
    (job.root / "tmp").mkdir()
    (job.root / "tmp").chmod(0o777)
    prefix = (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    with job.start(*command, prefix=prefix) as process:
        _, err = process.communicate(timeout=30)
    return process.returncode, err


@needs_root
def test_an_output_directory_that_may_not_be_written_is_explained(job: Job) -> None:
    job.add("output", "x", job.work / "out" / "x")

    code, err = as_nobody(job, "/bin/true")

    assert code == 64
    assert "output x" in err
    assert "choose another output_data_dir" in err


@needs_root
@pytest.mark.parametrize("transport", ["curl", "wget", "busybox"])
@pytest.mark.parametrize("kind", ["copy", "dir", "get"])
def test_an_input_directory_that_may_not_be_written_is_explained_at_once(
    tmp_path: Path, bucket: Bucket, transport: str, kind: str
) -> None:
    job = Job(tmp_path, make_image(tmp_path, transport))
    job.environment["PERIAN_SHIM_PAUSE"] = "20"
    target = job.work / "in" / "x"
    bucket.put("x", b"1")
    record = {
        "copy": ("copy", "plan", target),
        "dir": ("dir", target),
        "get": ("get", target, bucket.url("x")),
    }
    job.add(*record[kind])
    job.post_to(bucket)

    code, err = as_nobody(job, "/bin/true")

    assert code == 64
    assert "choose another input_data_dir" in err
    assert "attempt" not in err
    assert "choose another input_data_dir" in str(result_of(bucket)["problem"])


@needs_root
@pytest.mark.parametrize("shell", SHELLS)
def test_an_output_of_which_a_part_cannot_be_read_is_an_error(
    tmp_path: Path, bucket: Bucket, shell: str
) -> None:
    job = Job(tmp_path, make_image(tmp_path, "curl", shell))
    (job.root / "mine").mkdir()
    (job.root / "mine").chmod(0o777)
    out = job.root / "mine" / "x"
    job.add("output", "x", out)
    job.post_to(bucket)
    script = f'PATH=/bin; mkdir -p "{out}/d"; : >"{out}/f"; : >"{out}/d/f"; chmod 0 "{out}/d"'

    code, err = as_nobody(job, "/bin/sh", "-c", script)

    assert code == 66
    assert f"output x: cannot read all of {out}: " in err
    assert "Permission denied" in err
    assert bucket.keys() == {"run/_perian/result.json"}


@needs_root
def test_values_reach_a_user_who_is_not_root(job: Job) -> None:
    (job.root / "mine").mkdir()
    (job.root / "mine").chmod(0o777)
    job.add("copy", "plan", job.root / "mine" / "in" / "a value")

    code, err = as_nobody(job, "/bin/true")

    assert code == 0, err
    assert (job.root / "mine" / "in" / "a value").read_text().startswith("version\t1\n")


def test_values_beside_the_wrapper_are_copied_byte_by_byte(shell_job: Job) -> None:
    target = shell_job.work / "in" / "deep" / "x"
    shell_job.add("copy", "transfer.py", target)

    assert shell_job.run("/bin/true").code == 0
    assert target.read_bytes() == read_asset("transfer.py")


def test_a_value_that_was_not_sent_is_64(shell_job: Job) -> None:
    shell_job.add("copy", "values/0", shell_job.work / "x")

    ended = shell_job.run("/bin/true")

    assert ended.code == 64
    assert f"cannot write {shell_job.work}/x" in ended.err
