"""Finding the raw files of a data set: a folder, the user's cache, a download."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from jgc.atomic import write_atomic
from jgc.data.dataset import DataError
from jgc.data.unpack import gunzipped, unzipped

_log = logging.getLogger("jgc.data")


class Source(NamedTuple):
    """Where the raw files of a set live.

    Attributes:
        folder: Folder below the data folder, for example "tudataset/MUTAG".
        files: Names of the files that must be there; each may be gzipped as `NAME.gz`.
        optional: Names of files that some sets of the format have.
        urls: Addresses to try in order. `{file}` stands for each name; an address whose path ends
            in ".zip" is an archive of all of them; ".gz" and plain addresses give the file itself.
    """

    folder: str
    files: tuple[str, ...]
    optional: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()


class Files(NamedTuple):
    """The raw files of a set, found and verified."""

    folder: Path
    notes: tuple[str, ...] = ()

    def path(self, name: str) -> Path | None:
        """The file `name` or `name.gz`, or `None`."""
        for candidate in (self.folder / name, self.folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
        return None

    def read(self, name: str) -> bytes:
        """The plain bytes of the file; `DataError` if it is absent, or a damaged gzip or a bomb."""
        path = self.path(name)
        if path is None:
            raise DataError(f"{name}: not found in {self.folder}.")
        return _plain(path)

    def text(self, name: str) -> str:
        """The file as text; `DataError` if it is not UTF-8."""
        try:
            return self.read(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: not a text file ({error}).") from error


def find_files(name: str, source: Source, *, folder: str | os.PathLike | None = None) -> Files:
    """Finds the raw files: `folder`, then `JGC_DATA_DIR`, then the user's cache, then a download.

    The first two are the user's own: their files are checked by what they hold only. Files in the
    cache and downloads must have the SHA-256 in `digests.sha256` (of the plain content, so that
    gzipped copies pass). Where none is pinned, the digest seen first is written next to the file
    and demanded from then on (trust on first use); a note says so.

    Args:
        name: The data set's name, for messages.
        source: What to look for.
        folder: A folder to look in first.

    Returns:
        The `Files`, verified, with a note for each digest that was trusted on first use.

    Raises:
        DataError: if `folder` is no folder; if a digest is wrong; if the files are nowhere and
            cannot be downloaded: one sentence on what was sought, where, and what to type.
    """
    if folder is not None and not Path(folder).is_dir():
        raise DataError(f"`folder` is {str(folder)!r}, which is no folder.")
    own = [Path(p) for p in (folder, os.environ.get("JGC_DATA_DIR")) if p]
    for place in own:
        found = _look(place, source)
        if found is not None:
            return Files(found)
    cached = _look(_cache_folder(), source)
    if cached is None:
        return _download(name, source, own)
    try:
        return Files(cached, _verify(cached, source))
    except DataError as error:
        raise DataError(f"{cached}: {error} Delete the file to download it again.") from error


def _look(place: Path, source: Source) -> Path | None:
    folders = (place / source.folder, place / Path(source.folder).name, place)
    for folder in folders:
        if all(Files(folder).path(file) for file in source.files):
            return folder
    return None


def _cache_folder() -> Path:
    import pooch  # slow to import, and not needed where files are the user's own

    return Path(pooch.os_cache("jgc"))


@cache
def _pinned() -> dict[str, str]:
    lines = Path(__file__).with_name("digests.sha256").read_text().splitlines()
    return {file: digest for digest, _, file in (line.partition("  ") for line in lines)}


def _plain(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    return gunzipped(data, str(path)) if path.suffix == ".gz" else data


def _verify(folder: Path, source: Source) -> tuple[str, ...]:
    """Compares every file with its digest; returns a note for each that had none."""
    notes = []
    for file in source.files + source.optional:
        path = Files(folder).path(file)
        if path is None:
            continue
        seen = hashlib.sha256(_plain(path)).hexdigest()
        sidecar = folder / f"{file}.sha256"
        wanted = _pinned().get(f"{source.folder}/{file}")
        if wanted is None and sidecar.is_file():
            wanted = sidecar.read_text("utf-8", "replace").partition(" ")[0]
        if wanted is None:
            write_atomic(sidecar, f"{seen}  {file}\n".encode())
            notes.append(f"{file}: no digest is pinned; SHA-256 {seen} trusted on first use.")
            _log.warning("%s", notes[-1])
        elif wanted != seen:
            raise DataError(
                f"{file}: SHA-256 is {seen}, expected {wanted}: truncated, or not the same file."
            )
    return tuple(notes)


def _download(name: str, source: Source, own: Sequence[Path]) -> Files:
    target = _cache_folder() / source.folder
    faults = []
    for url in source.urls:
        try:
            target.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                _download_to(Path(scratch), url, source)
                notes = _verify(Path(scratch), source)
                for path in Path(scratch).iterdir():
                    os.replace(path, target / path.name)
            return Files(target, notes)
        except (OSError, DataError) as error:
            faults.append(f"{url} ({_short(error)})")
    places = [f"{place} (given)" for place in own] or ["JGC_DATA_DIR (not set)"]
    places += [f"{target} (cache)", *faults]
    sought = [*source.files[:3], "..."] if len(source.files) > 3 else list(source.files)
    example = f"FOLDER/{source.folder}/{sought[0]}"
    raise DataError(
        f"{name!r} needs {', '.join(sought)}, which are in none of: {'; '.join(places)}. Put the "
        f"files in a folder and type `export JGC_DATA_DIR=FOLDER` (as {example}), or try again "
        "with a network."
    )


def _download_to(scratch: Path, url: str, source: Source) -> None:
    wanted = source.files + source.optional
    if urlsplit(url).path.endswith(".zip"):
        _fetch(url, scratch / "archive.zip")
        with open(scratch / "archive.zip", "rb") as packed:
            # Members go by their last name only, so that no archive can write elsewhere.
            for member, data in unzipped(packed, url, lambda name: Path(name).name in wanted):
                (scratch / Path(member).name).write_bytes(data)
        (scratch / "archive.zip").unlink()
    else:
        for file in source.files:
            address = url.format(file=file)
            _fetch(address, scratch / (f"{file}.gz" if address.endswith(".gz") else file))
    absent = [file for file in source.files if Files(scratch).path(file) is None]
    if absent:
        raise DataError(f"{url} holds no {absent[0]}.")


def _fetch(url: str, path: Path) -> None:
    import pooch

    pooch.HTTPDownloader(progressbar=False, timeout=30)(url, str(path), None)


def _short(error: Exception) -> str:
    # The words of network errors are a stack of addresses; their kind and status say it all.
    if isinstance(error, OSError):
        status = getattr(getattr(error, "response", None), "status_code", None)
        return type(error).__name__ + (f" {status}" if status else "")
    return str(error)
