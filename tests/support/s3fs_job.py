"""What a function does with its files on S3, by the library that flytekit uses, in a process.

``s3fs_job.py FOLDER SOURCE TARGET`` downloads the folder SOURCE to FOLDER/in, makes some more files
there, one that goes up in parts, and uploads FOLDER/in to TARGET. It prints what TARGET then holds.
"""

import sys
from pathlib import Path

import s3fs  # type: ignore[import-untyped]

PART = 5 * 1024**2


def main(folder: Path, source: str, target: str) -> None:
    store = s3fs.S3FileSystem()
    here = folder / "in"
    here.mkdir()
    store.get(source, str(here), recursive=True)
    (here / "empty").touch()
    (here / "deep" / "er").mkdir(parents=True)
    (here / "deep" / "er" / "big").write_bytes(bytes(2 * PART + 1))
    store.put(f"{here}/", target, recursive=True, chunksize=PART)
    with store.open(f"{target}streamed", "wb", block_size=PART) as stream:
        stream.write(bytes(PART + 1))
    for name in sorted(store.find(target)):
        print(name.removeprefix(target.removeprefix("s3://")), store.size(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
