"""Jobs of a sandbox whose user has no privilege: a root of their own, and the machine untouched."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.tools import require_tool
from support.waiting import LONG_SECONDS

import perian_shim.sandbox
from perian_shim.sandbox.supervisor.mounts import mount_points

pytestmark = pytest.mark.thorough

NOBODY = 65534
SCRIPT = Path(__file__).parent.parent / "support" / "unprivileged.py"
PYTHONS = (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")
CANARIES = ("/etc/perian-canary", "/perian-canary", "/var/perian-canary", "/usr/bin/perian-canary")


@dataclass
class Nobody:
    """An ordinary user with a folder; root's tests become one, all others are one."""

    folder: Path
    python: str

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.python, "-I", "-S", *arguments],
            capture_output=True,
            text=True,
            timeout=LONG_SECONDS,
            check=False,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            **becoming(),
        )

    def job(self, command: str, image_root: str = "/") -> dict[str, Any]:
        arguments = (self.folder / "sandbox", self.folder / "state", command, image_root)
        ended = self.run(str(self.folder / SCRIPT.name), *map(str, arguments))
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found


def becoming() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def usable(python: str) -> bool:
    code = "import sys; sys.exit(sys.version_info < (3, 10))"
    try:
        return subprocess.run([python, "-c", code], check=False, **becoming()).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def nobody() -> Iterator[Nobody]:
    python = next(filter(usable, PYTHONS), None)
    if python is None:
        pytest.skip(f"an ordinary user can run none of {', '.join(PYTHONS)}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(Path(perian_shim.sandbox.__file__).parent, folder / "sandbox")
        # That user cannot write bytecode beside it, and every process would compile it anew.
        compiling = [python, "-m", "compileall", "-q", str(folder / "sandbox")]
        subprocess.run(compiling, check=True, timeout=LONG_SECONDS)
        shutil.copy(SCRIPT, folder)
        state = folder / "state"
        state.mkdir(mode=0o700)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(state, NOBODY, NOBODY)
        user = Nobody(folder, python)
        probe = user.run(str(folder / "sandbox/spawn.py"), "probe", str(state))
        if probe.returncode != 0:
            pytest.skip(f"no isolation for ordinary users here: {probe.stderr.strip()}")
        shutil.rmtree(state)
        state.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(state, NOBODY, NOBODY)
        yield user


def test_the_choice_is_the_overlay_and_its_statement_says_as_whom(nobody: Nobody) -> None:
    found = nobody.job("true")
    assert found["statement"].endswith("in which it is root and the sandbox's user outside")
    assert (found["status"], found["errors"], found["left"]) == ("Done", None, False)


def test_the_job_is_root_and_process_1_and_writes_where_a_containers_may(nobody: Nobody) -> None:
    places = "/var/outputs /var/inputs /perian-shim /opt/x /tmp /usr/local/share $HOME"
    script = (
        f"id -u; echo $$; cat /perian-shim/plan; for place in {places}; do"
        " mkdir -p $place && echo x > $place/file || exit 1; done; cat /var/outputs/file"
    )
    found = nobody.job(f"sh -ec '{script}'")
    assert (found["status"], found["log"]) == ("Done", "0\n1\nplanned\nx\n")


def test_the_machine_is_untouched_by_writes_and_removals(nobody: Nobody) -> None:
    script = (
        f"for each in {' '.join(CANARIES)}; do echo x > $each; done; rm /etc/passwd; ls /etc/passwd"
    )
    found = nobody.job(f"sh -c '{script}'")
    assert found["status"] == "UserError"
    assert [each for each in CANARIES if Path(each).exists()] == []
    assert Path("/etc/passwd").exists()


def test_the_job_sees_no_other_jobs_folder_nor_a_process_outside(nobody: Nobody) -> None:
    found = nobody.job(f"sh -c 'ls {nobody.folder}/state/jobs; ls -d /proc/[0-9]* | wc -l'")
    assert found["status"] == "Done"
    assert int(found["log"]) <= 3


def test_a_file_of_the_machine_that_the_user_may_not_change_stays_as_it_is(nobody: Nobody) -> None:
    before = Path("/etc/passwd").read_bytes()
    found = nobody.job("sh -c 'echo x >> /etc/passwd'")
    assert found["status"] == "UserError"
    assert Path("/etc/passwd").read_bytes() == before


def test_a_directory_is_an_images_root(nobody: Nobody) -> None:
    image = nobody.folder / "image: odd, name"
    (image / "var" / "lib").mkdir(parents=True)
    found = nobody.job("/bin/absent", str(image))
    assert found["errors"].startswith("container exited with code 127")
    assert sorted(path.name for path in image.rglob("*")) == ["lib", "var"]


CLOSED = """
import sys, types
from pathlib import Path
package, state = map(Path, sys.argv[1:])
for name, folder in (("perian_shim", package.parent), ("perian_shim.sandbox", package)):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(folder)]
from perian_shim.sandbox.folder import JobFolder
outside = state / "outside"
outside.mkdir(mode=0o500)
closed = state / "job" / "run" / "part-1" / "work" / "work"
closed.mkdir(parents=True)
(closed.parent / "link").symlink_to(outside)
closed.chmod(0)
JobFolder(state / "job").clear_workspace()
print((state / "job" / "run").exists(), oct(outside.stat().st_mode & 0o777))
"""


def test_what_an_overlay_leaves_closed_is_removed_and_nothing_that_it_links_to(
    nobody: Nobody,
) -> None:
    folders = (nobody.folder / "sandbox", nobody.folder / "state")
    ended = nobody.run("-c", CLOSED, *map(str, folders))
    assert ended.stdout == "False 0o500\n", ended.stderr


def test_mount_points_are_read_as_the_kernel_writes_them() -> None:
    table = (
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "30 27 0:9 / /mnt/with\\040blank\\134 rw - tmpfs x rw\n"
        "31 27 0:9 / /home rw shared:1 - ext4 /dev/vdb rw\n"
    )
    assert mount_points(table) == ["/", "/home", "/mnt/with blank\\"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("user", [0, NOBODY])
def test_what_is_mounted_beside_the_root_is_seen_and_stays_as_it_is(
    user: int, nobody: Nobody
) -> None:
    """/home may be mounted, or what the user works on; and so are a container's name servers."""
    for tool in ("unshare", "mount", "setpriv"):
        require_tool(tool)
    mounted, single = nobody.folder / "mounted", nobody.folder / "single"
    mounted.mkdir(exist_ok=True)
    single.touch()
    state = nobody.folder / f"state-{user}"
    state.mkdir(mode=0o700)
    os.chown(state, user, user)
    job = f"sh -ec 'cat {mounted}/there {single}; echo x > {mounted}/new'"
    arguments = (nobody.folder / SCRIPT.name, nobody.folder / "sandbox", state, job, "/")
    python = shlex.join([nobody.python, "-I", "-S", *map(str, arguments)])
    script = (
        f"mount -t tmpfs -o mode=0777 none {mounted}; echo mounted > {mounted}/there;"
        f" mount --bind {mounted}/there {single};"
        f" setpriv --reuid {user} --regid {user} --clear-groups {python}; ls {mounted} >&2"
    )
    ended = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-ec", script],
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["status"], found["log"]) == ("Done", "mounted\nmounted\n")
    assert ended.stderr.split() == ["there"]
