"""What happens after the command, in an image with Python: what the job leaves is uploaded.

Needs nothing but Python >= 3.6, and the other files of this folder.
"""

import contextlib
import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path

from perian_shim.job.grant import Grant, Grants
from perian_shim.job.listing import Output, warn_of_writers
from perian_shim.job.plan import NOT_UPLOADED, Failure, Plan
from perian_shim.job.transfer import (
    Jobs,
    Piece,
    Source,
    TransferError,
    Transfers,
    ascii_url,
    say,
    shown,
    state_of,
)

ERROR_BYTES = 64 * 1024
"""How much of the error file is uploaded."""

MAX_PIECES = 10_000
"""So many pieces S3 joins."""


class Leaving:
    """Uploads what a job leaves, and its result.

    Args:
        plan: the plan.
        grants: give access; None if the job leaves nothing.
    """

    def __init__(self, plan: Plan, grants: "Grants | None") -> None:
        self.plan = plan
        self.grants = grants if plan.has_grant else None
        self.outputs: dict[str, dict[str, object]] = {}
        self.pieces: list[dict[str, object]] = []
        self.has_error = False

    def everything(self, code: int) -> None:
        """Upload the error file, or the outputs of a command that ended well. Raises Failure."""
        error = self.plan.error
        if self.grants is None or not self.granted(self.grants).post:
            return
        if error and os.path.isfile(error):
            with Path(error).open("rb") as file:
                self.put([("_perian/error", file.read(ERROR_BYTES))])
            self.has_error = True
        elif code == 0:
            self.upload([Output(*output) for output in self.plan.outputs])

    def upload(self, outputs: "list[Output]") -> None:
        """Upload outputs. Raises Failure."""
        assert self.grants is not None
        grant = self.granted(self.grants)
        objects: list[tuple[str, Source]] = []
        pieces: list[dict[str, object]] = []
        for output in outputs:
            if output.kind == "missing":
                say(f"output {output.name}: there is nothing at {output.root}")
            for path, size in output.files:
                if size <= grant.max_bytes:
                    objects.append((output.key(path), path))
                    continue
                parts = split(output.key(path), path, size, grant.piece, len(pieces) + 1)
                objects += parts
                names = [name for name, _ in parts]
                pieces.append({"key": output.key(path), "bytes": size, "parts": names})
            # S3 knows no directories, but what reads them takes such an object for an empty one.
            objects += [(f"{output.key(folder)}/", b"") for folder in output.empty]
        warn_of_writers([output.root for output in outputs])
        self.put(objects)
        self.pieces = pieces
        self.outputs = {output.name: output.record() for output in outputs}
        files = [size for output in outputs for _, size in output.files]
        found = sum(output.kind != "missing" for output in outputs)
        say(f"uploaded {found} outputs ({len(files)} files, {sum(files)} bytes) with python3")

    def granted(self, grants: Grants) -> Grant:
        """The newest grant; if that was not kept fresh, the next one. Raises Failure."""
        try:
            if grants.is_due():
                with contextlib.suppress(TransferError):  # what there is may do
                    grants.fetch()
            return grants.use()
        except TransferError as error:
            raise Failure(NOT_UPLOADED, str(error)) from None

    def put(self, objects: "Iterable[tuple[str, Source]]") -> None:
        """Upload objects. Raises Failure."""
        assert self.grants is not None
        grants = self.grants
        url = shown(self.granted(grants).post)
        transfers = Transfers(grants.limits, grants.renewed)

        def put(name: str, source: Source) -> None:
            grant = grants.use()
            form = [(b"key", os.fsencode(grant.prefix + name)), *grant.fields]
            transfers.put(ascii_url(os.fsencode(grant.post)), form, source)

        jobs: Jobs = []
        for name, source in objects:
            what = source.path if isinstance(source, Piece) else source
            what = name if isinstance(what, bytes) else what
            jobs.append((f"could not upload {what} to {url}", functools.partial(put, name, source)))
        try:
            with grants.kept():
                transfers.run(jobs)
        except TransferError as error:
            raise Failure(NOT_UPLOADED, str(error)) from None

    def result(self, code: int, problem: str) -> bool:
        """Upload the result; say and return whether that worked, or was not asked for."""
        if problem:
            say(f"{problem}; exit code {code}")
        found = self.grants.current() if self.grants is not None else None
        if found is None or not found.post:
            return self.grants is None or found is not None
        result = {"version": 1, "exit_code": code, "transport": "python3", "error": self.has_error}
        result["outputs"] = self.outputs
        if self.pieces:
            result["pieces"] = self.pieces
        if problem:
            result["problem"] = problem.encode("ascii", "replace").decode()
        try:
            self.put([("_perian/result.json", json.dumps(result).encode())])
        except Failure as failure:
            say(f"no result was left: {failure}; exit code {code or NOT_UPLOADED}")
            return False
        return True


def split(key: str, path: str, size: int, piece: int, number: int) -> "list[tuple[str, Piece]]":
    """The pieces of a file that is too large for one upload, and their keys. Raises Failure."""
    starts = range(0, size, piece)
    if len(starts) > MAX_PIECES:
        text = f"{path} ({key}) has {size} bytes, more than {MAX_PIECES} pieces of {piece}"
        raise Failure(NOT_UPLOADED, text)
    state = state_of(path)
    return [
        (f"_perian/pieces/{number}/{part:05}", Piece(path, start, min(piece, size - start), state))
        for part, start in enumerate(starts, 1)
    ]
