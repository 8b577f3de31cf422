"""The text of a grant: what a job may use to reach its data now, and where the next one is.

Lines of TAB-separated fields, which the pod writes anew as long as it follows the job:

    version 1
    renew N                 seconds after which the next one should be read
    lives N                 seconds, from its writing, that what is in it is good for
    next URL                where the next one is read
    get PATH URL            where a file of the plan is read
    post URL                where outputs are sent, and with it
    prefix PREFIX/          what every key begins with
    field NAME VALUE        of the form, in this order
    max_bytes N             the largest object of one upload
    piece N                 the size of the pieces of a larger file
    aws ID SECRET TOKEN     temporary keys of S3
    google TOKEN            an OAuth token of Google
    end                     without it the grant is not whole

All but the first four and the last are there if they are needed. Needs nothing but Python >= 3.6.
"""

import os

from perian_shim.job.transfer import Fields, Record

MAX_OBJECT_BYTES = 5 * 1024**3


class GrantText:
    """One grant.

    Args:
        content: as it was received.

    Raises:
        ValueError: it is not whole, or not of this version; never says what is in it.

    Attributes:
        gets: URL by path.
        fields: of the form.
        keys: the records `aws` and `google`, whole.
        renew: seconds after which the next one should be read.
        lives: seconds, from its writing.
        next: URL of the next one.
        post: where outputs are sent, or "".
        prefix: what every key begins with.
        max_bytes: the largest object of one upload.
        piece: the size of the pieces of a larger file.
    """

    def __init__(self, content: bytes) -> None:
        lines = [line.split(b"\t") for line in content.split(b"\n") if line]
        if not lines or lines[-1] != [b"end"]:
            text = "it is not whole"
            raise ValueError(text)
        if lines[0] != [b"version", b"1"]:
            text = "it is not of version 1: another perian-shim made it"
            raise ValueError(text)
        self.content = content
        self.gets: dict[bytes, bytes] = {}
        self.fields: Fields = []
        self.keys: list[Record] = []
        one: dict[bytes, bytes] = {}
        try:
            for line in lines[1:-1]:
                kind = line[0]
                if kind == b"get":
                    self.gets[line[1]] = line[2]
                elif kind == b"field":
                    self.fields.append((line[1], line[2]))
                elif kind in (b"aws", b"google"):
                    self.keys.append(line)
                elif len(line) > 1:  # of a newer version, if it has no value
                    one[kind] = line[1]
            self.renew = float(one[b"renew"])
            self.lives = float(one[b"lives"])
            self.next = os.fsdecode(one[b"next"])
            self.post = os.fsdecode(one.get(b"post", b""))
            self.prefix = os.fsdecode(one.get(b"prefix", b""))
            self.max_bytes = int(one.get(b"max_bytes", MAX_OBJECT_BYTES))
            self.piece = int(one.get(b"piece", self.max_bytes))
        except (LookupError, ValueError):
            text = "it is damaged"
            raise ValueError(text) from None
