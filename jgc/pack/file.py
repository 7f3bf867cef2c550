"""The file of an artefact: one safetensors blob, a manifest, a digest, written all or nothing."""

import hashlib
import json
import os
import secrets
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

FORMAT = 1
_KEY = "jgc"
_PAYLOAD = "payload"


def to_bytes(manifest: dict, payload: bytes) -> bytes:
    """Builds the file.

    It is a valid safetensors file with one uint8 tensor, `payload`, because a header for every
    tensor costs a small network more than its weights. The manifest is JSON under the metadata key
    `jgc` (one key: safetensors writes several in random order), with the format's version and the
    SHA-256 of manifest and payload.

    Args:
        manifest: What to say about the payload, JSON types only.
        payload: The bytes.

    Returns:
        The bytes of the file; the same arguments give the same bytes.

    Raises:
        ValueError: if `manifest` holds what JSON cannot say, NaN and infinity included.

    Example:
        >>> file = to_bytes({"tensors": []}, b"abc")
        >>> manifest, payload = from_bytes(file, "model.safetensors")
        >>> manifest["tensors"], payload
        ([], b'abc')
    """
    manifest = {"format": FORMAT, **manifest}
    manifest["sha256"] = _digest(manifest, payload)
    blob = np.frombuffer(payload, np.uint8)
    return safetensors.numpy.save({_PAYLOAD: blob}, metadata={_KEY: _json(manifest)})


def from_bytes(file: bytes, name: str) -> tuple[dict, bytes]:
    """Reads and checks a file of `to_bytes`; nothing in it is believed before the digest is right.

    Args:
        file: The bytes of the file.
        name: What to call it in an error.

    Returns:
        The manifest and the payload.

    Raises:
        ValueError: if the file is truncated, damaged, no artefact, or of a format not known here.
    """
    try:
        tensors = safetensors.numpy.load(file)
        header_bytes = int.from_bytes(file[:8], "little")
        metadata = json.loads(file[8 : 8 + header_bytes]).get("__metadata__") or {}
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"`{name}` is no whole safetensors file ({error}). Was it cut off in a download?"
        ) from error
    if _KEY not in metadata or set(tensors) != {_PAYLOAD}:
        raise ValueError(f"`{name}` is a safetensors file but no artefact of `jgc.pack.save`.")
    payload = tensors[_PAYLOAD].tobytes()
    return _checked_manifest(metadata[_KEY], payload, name), payload


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, all or nothing: a failure leaves what was there before.

    Args:
        path: The file. Its folder must exist.
        data: The bytes.

    Raises:
        OSError: if the folder is missing or read-only, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _checked_manifest(text: str, payload: bytes, name: str) -> dict:
    try:
        manifest = json.loads(text)
        version, digest = manifest.pop("format"), manifest.pop("sha256")
        if version != FORMAT:
            raise ValueError(f"its format is {version!r}, this jgc reads {FORMAT}: update jgc")
        if digest != _digest({"format": version, **manifest}, payload):
            raise ValueError("its SHA-256 is not that of its content: it was damaged or altered")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"`{name}`, manifest: {error}.") from error
    return manifest


def _digest(manifest: dict, payload: bytes) -> str:
    return hashlib.sha256(_json(manifest).encode() + payload).hexdigest()


def _json(manifest: dict) -> str:
    return json.dumps(manifest, separators=(",", ":"), allow_nan=False)
