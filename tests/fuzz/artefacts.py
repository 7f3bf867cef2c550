"""Targets: artefacts, damaged from outside, and by liars who know how to compute a digest."""

import hashlib
import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.numpy

from jgc import pack
from jgc.pack import artefact
from jgc.pack.encode import entropy, file
from tests.fuzz.target import Target
from tests.pack.cases import channel_grids, gcn, global_masks
from tests.pack.restored import QAT, untrained

WORDS = (
    b'"float32"', b'"int8"', b'"bool"', b'"bfloat16"', b'"dense"', b'"axes"', b'"bitmap"',
    b'"index"', b'"rice"', b'"gaps"', b'"rows"', b'"zbitmap"', b'"raw"', b'"planes"', b'"packed"',
    b'"coded"', b"[", b"]", b"{", b"}", b"null", b"-1", b"0", b"1e999", b"9" * 20, b'"', b",",
    b"NaN", b"true", b'"\\ud800"', b'"a/b"', b"[1,1]", b"1000000", b"281474976710655",
)  # fmt: skip


@cache
def good() -> tuple[bytes, bytes, bytes]:
    """A small artefact: the file, its manifest as text, its payload."""
    params = gcn(12, 4, 3)
    masks = global_masks(params, 0.8)
    grids = {"conv1/kernel": channel_grids(params, masks, 4)["conv1/kernel"]}
    data = artefact.to_bytes(params, masks, grids, meta={"val": 0.5})
    manifest, payload = file.from_bytes(data, "good")
    return data, json.dumps(manifest).encode(), payload


@cache
def restorable() -> tuple[dict, bytes]:
    """Manifest and payload of a quantised GCN that `restore` builds again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        untrained("node", QAT).save(path)
        return file.from_bytes(path.read_bytes(), "good")


def sealed(manifest: bytes, payload: bytes) -> bytes:
    """A file with a right digest around any text."""
    packed = entropy.compress([manifest], file._COMMON)
    body = len(packed).to_bytes(4, "little") + packed + payload
    blob = np.frombuffer(hashlib.sha256(body).digest() + body, np.uint8)
    return safetensors.numpy.save({"payload": blob}, metadata={"jgc": file.FORMAT})


def _load(data: bytes, folder: Path) -> artefact.Artefact:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return pack.load(path)


def read_file(data: bytes, folder: Path) -> None:
    check(_load(data, folder))


def read_manifest(data: bytes, folder: Path) -> None:
    check(_load(sealed(data, good()[2]), folder))


def read_payload(data: bytes, folder: Path) -> None:
    check(_load(sealed(good()[1], data), folder))


def read_meta(data: bytes, folder: Path) -> None:
    """The whole way to a model; arrays are those of a good file."""
    manifest, payload = restorable()
    text = json.dumps(manifest | {"meta": 0}).encode().replace(b'"meta": 0', b'"meta": ' + data)
    restored = pack.restore(_load(sealed(text, payload), folder))
    assert restored.task in ("node", "link", "graph")


def check(held: artefact.Artefact) -> None:
    """What was read can be written, and is then read as the same."""
    again = artefact.to_bytes(held.params, held.masks, meta=held.meta, stats=held.stats)
    tensors = artefact._from_bytes(again, "again", None).tensors
    assert {t.path: t.kept for t in tensors} == {t.path: t.kept for t in held.tensors}


ARTEFACTS = (
    Target("artefact", (good()[0],), read_file, ValueError, "model.safetensors", WORDS),
    Target("manifest", (good()[1],), read_manifest, ValueError, "model.safetensors", WORDS),
    Target("payload", (good()[2],), read_payload, ValueError, "model.safetensors"),
    Target("meta", (json.dumps(restorable()[0]["meta"]).encode(),), read_meta, ValueError,
           "model.safetensors", WORDS),
)  # fmt: skip
