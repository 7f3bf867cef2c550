"""Targets: every file of every raw format, damaged as it lies and inside its archive."""

import gzip
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import jgc.data
from jgc.data import DataError
from jgc.data.snapshots import read_snapshots
from jgc.data.source import Files
from jgc.data.temporal import read_temporal
from tests.data import cases
from tests.fuzz.target import Target
from tests.fuzz.valid import check_dataset, check_temporal

Read = Callable[[Path], None]
NUMBERS = (
    b"-1",
    b"0",
    b"99999",
    b"9" * 19,
    b"9" * 40,
    b"1e308",
    b"nan",
    b"inf",
    b"1.5",
    b"\xd9\xa3",
)
MARKS = (b"\n", b"\r", b",", b"\t", b" ", b"#", b"\0", b"\x1c", b"\xe2\x80\xa8", b"\xff", b'"')


class Part(NamedTuple):
    """One file of a set, as it is or as what is packed into it: `seal` packs damaged content."""

    file: str
    content: bytes
    seal: Callable[[bytes], bytes] = bytes


def parts_of(write: Callable[[Path], None], only: Callable[[str], bool]) -> Iterator[Part]:
    """Every file that `write` leaves; archives once more from inside."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for path in sorted(Path(folder).rglob("*.*")):
            file = str(path.relative_to(folder))
            if path.is_file() and only(file):
                yield Part(file, path.read_bytes())
                yield from _inside(file, path.read_bytes())


def _inside(file: str, raw: bytes) -> Iterator[Part]:
    if file.endswith(".gz"):
        yield Part(file, gzip.decompress(raw), partial(gzip.compress, compresslevel=1))
    elif file.endswith((".zip", ".npz")):
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        for name, content in members.items():
            yield Part(file, content, partial(_zipped, members, name))


def _zipped(members: dict[str, bytes], name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in (members | {name: content}).items():
            archive.writestr(member, data)
    return buffer.getvalue()


def loader(
    name: str,
    write: Callable[[Path], None],
    read: Read,
    words: tuple[bytes, ...] = NUMBERS + MARKS,
    only: Callable[[str], bool] = lambda file: True,
) -> Target:
    """The first byte of an input says which part it stands for; the other files are whole."""
    parts = list(parts_of(write, only))

    def judge_part(data: bytes, folder: Path) -> None:
        if not (folder / parts[0].file).exists():
            write(folder)
        part = parts[data[0] % len(parts) if data else 0]
        path = folder / part.file
        whole = path.read_bytes()
        path.write_bytes(part.seal(data[1:]))
        try:
            read(folder)
        finally:
            path.write_bytes(whole)

    seeds = tuple(bytes([i]) + part.content for i, part in enumerate(parts))
    return Target(name, seeds, judge_part, DataError, words=words)


def loads(name: str, folder: Path) -> None:
    check_dataset(jgc.data.load(name, folder=folder))


def write_rings(folder: Path) -> None:
    """20 triangles with everything that a TUDataset may have."""
    cases.write_rings(folder)
    more = {
        "node_labels": "".join(f"{i % 4}\n" for i in range(60)),
        "edge_labels": "".join(f"{i % 2}\n" for i in range(120)),
        "node_attributes": "".join(f"{i}.5, -1\n" for i in range(60)),
        "edge_attributes": "".join(f"{i}e-1\n" for i in range(120)),
    }
    for part, text in more.items():
        cases.put(folder, f"tudataset/RING/RING_{part}.txt", text, zipped=part == "node_labels")


def write_temporal(folder: Path) -> None:
    cases.put(folder, "a.txt", "# from to time\n1 2 10\n2 3 20\n3 1 20\n")
    cases.put(folder, "b.txt", "% from, to, weight, time\r\n1,2,7,10\r\n2,9,1,20\r\n")


def read_times(folder: Path) -> None:
    for file in ("a.txt", "b.txt"):
        check_temporal(read_temporal(Files(folder), file))


def write_snapshots(folder: Path) -> None:
    adjacencies = np.zeros((2, 4, 4))
    adjacencies[0, 1, 2] = adjacencies[1, 3, 0] = 1
    entries = {"adjs": adjacencies, "labels": np.eye(2)[[0, 1, 1, 0]]}
    cases.put(folder, "Brain.npz", cases.npz_bytes(entries))


def read_moments(folder: Path) -> None:
    check_temporal(read_snapshots(Files(folder), "Brain.npz"))


ARRAYS = (
    b"'descr': '<f8'",
    b"'|O'",
    b"'<i8'",
    b"'<U9'",
    b"(0,)",
    b"(9, 9)",
    b"(-1,)",
    b"PK\x05\x06",
)
PICKLES = (
    b"cos\nsystem\n", b"c__builtin__\nlist\n", b"cnumpy\ndtype\n", b"ccollections\ndefaultdict\n",
    b"r\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 5 + b"\0\0\0", b"\x96" + b"\xff" * 5 + b"\0\0\0",
    b"(", b")", b"]", b"}", b"2", b"0", b"R", b"b", b"s", b"u", b"e", b"t", b"\x85", b"\x86",
    b"K\x01", b"M\xff\xff", b"J\xff\xff\xff\xff", b"h\x00", b"N.",
)  # fmt: skip
SMILES = (b"C", b"c1ccccc1", b"[Fe+9]", b"(", b"%99", b"[C@@H]", b".", b"[999U]", b"=", b"#", b"$")

LOADERS = (
    loader(
        "planetoid", cases.write_planetoid, partial(loads, "cora"), PICKLES + NUMBERS,
    ),
    loader("npz", cases.write_npz, partial(loads, "cora-npz"), ARRAYS + NUMBERS),
    loader(
        "geom-gcn", cases.write_geom, partial(loads, "chameleon"), NUMBERS + MARKS + ARRAYS,
        lambda file: "_split_" not in file or file.endswith("_0.npz"),
    ),
    loader("tu", write_rings, partial(loads, "tu:RING")),
    loader("dgcnn", cases.write_dgcnn, partial(loads, "reddit-binary-dgcnn")),
    loader("moleculenet", cases.write_bbbp, partial(loads, "bbbp"), NUMBERS + MARKS + SMILES),
    loader("temporal", write_temporal, read_times),
    loader("snapshots", write_snapshots, read_moments, ARRAYS + NUMBERS),
)  # fmt: skip
