"""Rewrite isolation: absolute paths below known directories, moved into the job's folder.

A path counts only where a path can begin (not in the middle of a word, a longer path or a URL) and
where the known directory's name ends: ``/var/outputs-old`` is none of ``/var/outputs``.
"""

import re
from collections.abc import Callable, Iterable

from perian_shim.sandbox.records import ContainerFile

DEFAULT_PREFIXES = ("/var/inputs", "/var/outputs", "/perian-shim")


def rewriter(root: str, prefixes: Iterable[str]) -> Callable[[str], str]:
    """Give a function that moves paths in a text.

    Args:
        root: prepended to each path found.
        prefixes: absolute directories or files, without a slash at the end.
    """
    # The longest first, so that a file below a known directory is matched as a whole.
    names = sorted({prefix.rstrip("/") for prefix in prefixes} - {""}, key=len, reverse=True)
    if not names:
        return lambda text: text
    pattern = re.compile(
        r"(?<![\w./~%-])(?:" + "|".join(re.escape(name) for name in names) + r")(?![\w.-])"
    )
    return lambda text: pattern.sub(lambda match: root + match.group(), text)


def rewrite_file(file: ContainerFile, rewrite: Callable[[str], str]) -> ContainerFile:
    """Move the paths in a file's text; a file that is not UTF-8 text stays as it is."""
    try:
        text = file.content.decode("utf-8")
    except UnicodeDecodeError:
        return file
    return ContainerFile(file.path, rewrite(text).encode("utf-8"), file.read_only)
