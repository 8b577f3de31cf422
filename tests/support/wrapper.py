"""Runs the job's wrapper as a platform would: files in a read-only directory, a bare image.

An image is a directory with links to just the programs that a minimal image has; it is the PATH of
the wrapper, and nothing else is in its environment.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.s3 import Bucket, new_bucket
from support.tools import require_tool

from perian_shim.job import ASSETS, read_asset

NEEDED = (
    "cat",
    "dd",
    "env",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "od",
    "rm",
    "sleep",
    "tr",
    "wc",
)
"""What run.sh needs without python3: of coreutils only, so neither find nor sed nor grep."""
TRANSPORTS = ("python3", "curl", "wget", "busybox")
SECONDS = 60


@dataclass(frozen=True)
class Image:
    """A PATH and the shell in it."""

    path: Path
    transport: str

    @property
    def shell(self) -> Path:
        return self.path / "sh"


def make_image(directory: Path, transport: str | None, shell: str = "dash") -> Image:
    """An image with one transport, or with none. `shell` is dash, bash or busybox.

    Transport busybox comes as links to its applets when the shell is busybox's too, else only as
    `busybox`.
    """
    path = directory / "bin"
    path.mkdir()
    target = require_tool(shell)
    (path / "sh").symlink_to(target)
    for name in NEEDED if transport != "python3" else ():
        (path / name).symlink_to(target if shell == "busybox" else require_tool(name))
    if transport == "python3":
        (path / "python3").symlink_to(Path(sys.executable).resolve())
    elif transport == "busybox":
        for name in ("wget", "nc", "ssl_client") if shell == "busybox" else ("busybox",):
            (path / name).symlink_to(require_tool("busybox"))
    elif transport is not None:
        (path / transport).symlink_to(require_tool(transport))
    return Image(path, transport or "")


def every_image() -> list[tuple[str, str]]:
    """The pairs of transport and shell that are worth a test each."""
    pairs = [(transport, "dash") for transport in TRANSPORTS]
    return [*pairs, ("busybox", "busybox"), ("curl", "busybox"), ("curl", "bash")]


ACCESS = frozenset({"get", "post", "prefix", "max_bytes", "piece", "field"})
"""Records of a grant."""


@dataclass
class Grant:
    """A grant in a bucket of its own.

    Attributes:
        bucket: the bucket.
        written: how often it was written.
    """

    bucket: Bucket
    written: int = 0

    @property
    def url(self) -> str:
        """Where it is read."""
        return self.bucket.url("grant")

    def write(self, access: Sequence[tuple[str, ...]], renew: int, *, whole: bool = True) -> None:
        """Write it as a pod does; every one names another next URL."""
        self.written += 1
        records: list[tuple[str, ...]] = [("version", "1"), ("renew", str(renew))]
        records += [("lives", "3600")]
        records += [("next", f"{self.url}&n={self.written}"), *access]
        records += [("end",)] if whole else []
        self.bucket.put("grant", "".join("\t".join(each) + "\n" for each in records).encode())


@dataclass(frozen=True)
class Ended:
    """How a run of the wrapper ended."""

    code: int
    out: str
    err: str


@dataclass
class Job:
    """A plan and a grant under construction, and the wrapper to run it with.

    Attributes:
        grant: where the grant is, once it is written.
        renew: after how many seconds it is read again.
    """

    root: Path
    image: Image
    records: list[tuple[str, ...]] = field(default_factory=lambda: [("version", "1")])
    environment: dict[str, str] = field(default_factory=dict)
    ends: list[Ended] = field(default_factory=list)
    access: list[tuple[str, ...]] = field(default_factory=list)
    grant: Grant | None = None
    renew: int = 60

    @property
    def work(self) -> Path:
        """A directory for inputs and outputs; made here, empty at first."""
        path = self.root / "work"
        path.mkdir(exist_ok=True)
        return path

    def add(self, *record: str | Path) -> None:
        """Add a record to the plan, or to the grant if that is where it belongs."""
        records = self.access if record[0] in ACCESS else self.records
        records.append(tuple(str(part) for part in record))

    def grant_now(self, *, whole: bool = True) -> None:
        """Write the grant, or write it anew."""
        self.grant = self.grant or Grant(new_bucket())
        self.grant.write(self.access, self.renew, whole=whole)

    def post_to(self, bucket: Bucket, prefix: str = "run/") -> None:
        """Let it upload below `prefix`."""
        url, fields = bucket.post(prefix)
        self.post_with(url, fields, prefix)

    def post_with(self, url: str, fields: Mapping[str, str], prefix: str = "run/") -> None:
        self.add("post", url)
        self.add("prefix", prefix)
        self.add("max_bytes", str(5 * 1024**3))
        for name, value in fields.items():
            self.add("field", name, value)

    def install(self) -> Path:
        """Write the wrapper's directory, read-only and without an executable bit."""
        directory = self.root / "perian-shim"
        if directory.exists():
            directory.chmod(0o755)
            shutil.rmtree(directory)
        directory.mkdir()
        if self.access and ("grant",) not in self.records:
            self.records.append(("grant",))
        for name in ASSETS:
            (directory / name).write_bytes(read_asset(name))
        (directory / "plan").write_text("".join("\t".join(r) + "\n" for r in self.records))
        for file in directory.iterdir():
            file.chmod(0o444)
        directory.chmod(0o555)
        return directory / "run.sh"

    def start(self, *command: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start the wrapper; the caller waits for it."""
        temporary = self.root / "tmp"
        temporary.mkdir(exist_ok=True)
        if self.access and self.grant is None:
            self.grant_now()
        environment = {
            **({"PERIAN_SHIM_GRANT": self.grant.url} if self.grant else {}),
            "PATH": str(self.image.path),
            "TMPDIR": str(temporary),
            "PERIAN_SHIM_PATH": "",
            "PERIAN_SHIM_PAUSE": "0",
            "PERIAN_SHIM_PATIENCE": "0",
            **self.environment,
        }
        return subprocess.Popen(
            [*prefix, str(self.image.shell), str(self.install()), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
        )

    def run(self, *command: str) -> Ended:
        """Run the wrapper to its end."""
        with self.start(*command) as process:
            try:
                out, err = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        self.ends.append(Ended(process.returncode, out, err))
        return self.ends[-1]

    def shell(self, script: str, *arguments: str) -> Ended:
        """Run a script as the user's command, with the work directory as $1."""
        script = f"PATH=/usr/bin:/bin; {script}"
        return self.run("/bin/sh", "-c", script, "sh", str(self.work), *arguments)

    def left_behind(self) -> list[str]:
        """What the wrapper left in its temporary directory."""
        return [path.name for path in (self.root / "tmp").iterdir()]


def result_of(bucket: Bucket, prefix: str = "run/") -> dict[str, object]:
    """The result record that a run left."""
    result = json.loads(bucket.get(f"{prefix}_perian/result.json"))
    assert isinstance(result, dict)
    return result
