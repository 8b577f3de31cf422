"""Removes from shared libraries what only debuggers read; runs in the image's build.

Wheels often carry symbol tables and debugging information of several times their code. A loader
reads only what an ELF file's program headers name; sections beyond that, and the table that lists
them, can go. (binutils' ``strip`` does as much and more, but slim bases have no binutils.) A file
of another kind, and one of a layout not foreseen, is left alone.
"""

import struct
from pathlib import Path

ELF_64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"

# Offsets in a 64-bit ELF header, and in a program header; all are in elf(5).
PROGRAM_HEADERS_AT = 32
SECTION_HEADERS_AT = 40
PROGRAM_HEADER_SIZE_AND_COUNT_AT = 54
SECTION_HEADER_COUNT_AT = 60
HEADER_SIZE = 64
SEGMENT_OFFSET_AT = 8
SEGMENT_SIZE_AT = 32


def without_symbols(content: bytes) -> bytes:
    """Return a library's content without what no program header names.

    Args:
        content: the file.
    """
    if not content.startswith(ELF_64_LITTLE_ENDIAN):
        return content
    try:
        end = end_of_segments(content)
    except (struct.error, OverflowError):  # cut off, or nonsense
        return content
    if not HEADER_SIZE < end < len(content):
        return content
    kept = bytearray(content[:end])
    struct.pack_into("<Q", kept, SECTION_HEADERS_AT, 0)
    struct.pack_into("<HH", kept, SECTION_HEADER_COUNT_AT, 0, 0)
    return bytes(kept)


def end_of_segments(content: bytes) -> int:
    """Return where the last of what program headers name ends, 0 if there are none.

    Raises:
        struct.error: the file is too short for what it says of itself.
    """
    (headers,) = struct.unpack_from("<Q", content, PROGRAM_HEADERS_AT)
    size, count = struct.unpack_from("<HH", content, PROGRAM_HEADER_SIZE_AND_COUNT_AT)
    end: int = headers + size * count if count else 0
    for number in range(count):
        header = headers + number * size
        (offset,) = struct.unpack_from("<Q", content, header + SEGMENT_OFFSET_AT)
        (length,) = struct.unpack_from("<Q", content, header + SEGMENT_SIZE_AT)
        end = max(end, offset + length)
    return end


def strip_libraries(folder: Path) -> None:
    """Rewrite all shared libraries below a folder."""
    for path in sorted(folder.rglob("*.so*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        stripped = without_symbols(content)
        if len(stripped) < len(content):
            path.write_bytes(stripped)
