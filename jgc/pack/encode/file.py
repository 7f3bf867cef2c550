"""The file of an artefact: one safetensors blob, a manifest, a digest."""

import hashlib
import json

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from jgc.pack.encode import entropy

FORMAT = "2"
_KEY = "jgc"
_PAYLOAD = "payload"
_DIGEST = hashlib.sha256().digest_size
_LENGTH = 4  # Bytes of the manifest's own length.
# What manifests mostly say, known to writer and reader and so a part of the format: it halves them.
_COMMON = b"""\
"zbitmap","gaps","rows","axes","bitmap","int32","planes","head1/kernel","head2/kernel","mlp/first/kernel",\
"mlp/second/kernel","norm/scale","batch_stats/norm1/mean","batch_stats/norm1/var"],["uint8",32,\
"dense",0,"raw",64],["sites/bits","uint8",[5],5,8,"dense",0,"raw",5],["sites/hi","float32",[5],5,\
32,"dense",0,"raw",20],["sites/lo",{"params":[["conv1/bias","float32",[16],16,32,"dense",0,"raw",\
64],["conv1/linear/kernel","float32",[16,16],256,4,"rows",32,"coded",32,[1,16],64],["conv2/bias",\
"float32",[16],16,32,"dense",0,"raw",64],["conv2/linear/kernel","float32",[16,16],256,8,"rice",\
32,"packed",32,[1,16],64]],"stats":[],"meta":{}}"""
_TEXT_ANYWAY, _TEXT_A_BYTE = 1 << 16, 256  # A manifest may unpack to that much, no more.


def to_bytes(manifest: dict, payload: bytes) -> bytes:
    """Builds the file.

    It is a valid safetensors file with one uint8 tensor, `payload`, and the format's version under
    the metadata key `jgc`: a header for every tensor, or a manifest as text, costs a small network
    more than its weights. In the tensor lie the SHA-256 of all that follows, the length of the
    manifest (4 bytes, little endian), the manifest as JSON under zstandard, and the bytes it is
    about. `jgc inspect` shows it.

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
    text = json.dumps(manifest, separators=(",", ":"), allow_nan=False).encode()
    packed = entropy.compress([text], _COMMON)
    body = len(packed).to_bytes(_LENGTH, "little") + packed + payload
    blob = np.frombuffer(hashlib.sha256(body).digest() + body, np.uint8)
    return safetensors.numpy.save({_PAYLOAD: blob}, metadata={_KEY: FORMAT})


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
    if metadata[_KEY] != FORMAT:
        raise ValueError(
            f"`{name}`: its format is {metadata[_KEY][:20]!r}, this jgc reads {FORMAT!r}. Write "
            "it anew with this jgc, or read it with the jgc that wrote it."
        )
    blob = tensors[_PAYLOAD].tobytes()
    digest, body = blob[:_DIGEST], blob[_DIGEST:]
    if digest != hashlib.sha256(body).digest():
        raise ValueError(
            f"`{name}`: its SHA-256 is not that of its content: it was damaged or altered."
        )
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    try:
        if end > len(body):
            raise ValueError(f"it ends at byte {end} of {len(body)}")
        packed = body[_LENGTH:end]
        text = entropy.decompress(packed, _TEXT_ANYWAY + _TEXT_A_BYTE * len(packed), _COMMON)
        manifest = json.loads(text)
        if not isinstance(manifest, dict):
            raise ValueError(f"it is a {type(manifest).__name__} and no table")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{name}`, manifest: {error}.") from error
    return manifest, body[end:]
