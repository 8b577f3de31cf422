"""The plan of a job, as run.sh describes it, and what ends a job that cannot do what it says.

Needs nothing but Python >= 3.6, and transfer.py.
"""

import os
from pathlib import Path

from perian_shim.job.transfer import Record, read_records

UNUSABLE, NOT_FETCHED, NOT_UPLOADED = 64, 65, 66


class Failure(Exception):
    """The job cannot be run, or its data not be moved."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Plan:
    """What the plan says.

    Args:
        folder: where the plan and what came with it are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: list[tuple[str, str]] = []
        self.secrets: list[tuple[bytes, str]] = []
        self.outputs: list[tuple[str, str, int]] = []
        self.error = ""
        self.has_grant = False
        self.version = ""
        self.read(folder / "plan")

    def read(self, path: Path) -> None:
        """Add the records of a file."""
        try:
            records = read_records(str(path))
        except OSError:
            raise Failure(UNUSABLE, f"cannot read the plan {path}") from None
        if not self.version and not records:
            raise Failure(UNUSABLE, f"the plan {path} is empty")
        for record in records:
            kind = os.fsdecode(record[0])
            if not self.version and kind != "version":
                text = f"the plan {path} does not begin with its version"
                raise Failure(UNUSABLE, text)
            self.add(kind, record)

    def add(self, kind: str, record: "Record") -> None:
        """Add a record."""
        first, *rest = [os.fsdecode(field) for field in record[1:]] or [""]
        if kind == "version":
            self.version = first
            if first != "1":
                text = f"the plan has version {first}; this wrapper reads version 1, an older one"
                raise Failure(UNUSABLE, text)
        elif kind == "grant":
            self.has_grant = True
        elif kind == "secret":
            self.secrets.append((record[1], rest[0]))
        elif kind == "dir":
            self.places.append((f"{first}/", ""))
        elif kind == "copy":
            self.places.append((rest[0], first))
        elif kind == "output":
            self.outputs.append((first, rest[0], int(rest[1]) if rest[1:] else 0))
        elif kind == "error":
            self.error = first
        else:
            text = f"the plan has a record '{kind}', unknown here: a newer perian-shim made it"
            raise Failure(UNUSABLE, text)
