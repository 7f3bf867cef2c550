"""`save` and `load`: a compressed model as one small file that restores it exactly."""

import io
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jgc.atomic import write_atomic
from jgc.pack.encode import file, tensor
from jgc.pack.encode.tensor import TensorInfo
from jgc.quant.grid import Grid
from jgc.tree import named_leaves

# A file may unpack to 64 MiB of float32 in any case and to 1024 times its own size beyond: more
# than any sparsity in use, and no small file makes a large machine fall over.
_WEIGHTS_ANYWAY = 1 << 24
_WEIGHTS_A_BYTE = 256


class Artefact(NamedTuple):
    """A compressed model, as a file holds it.

    Attributes:
        params: Nested dict of numpy arrays: the masked, quantised parameters, floats again.
        masks: Nested dict of the same shape, bool; True = kept, all True where nothing is pruned.
        grids: Grid of each quantised tensor by its path: scales (float32), zero points and bits.
        stats: Nested dict of what else the model needs: batch statistics, ranges of sites.
        meta: What was said about the model: its recipe, the metrics it was accepted with.
        tensors: Path, shape, kept weights, bits, encodings and bytes of each tensor of `params`.
        n_bytes: Size of the file; the header and `stats` included.
        path: Where it lies.
    """

    params: dict[str, Any]
    masks: dict[str, Any]
    grids: dict[str, Grid]
    stats: dict[str, Any]
    meta: dict[str, Any]
    tensors: tuple[TensorInfo, ...]
    n_bytes: int
    path: str = ""


def save(
    path, params, masks=None, grids=None, *, symmetric: bool = True, meta=None, stats=None
) -> Artefact:
    """Writes a compressed model to one safetensors file.

    For each tensor the smallest encoding is taken of the positions of its kept weights (bitmap,
    index, Rice-coded gaps, ...) and of their values (as they are, byte planes under zstandard,
    codes at their bit width). Before the file takes its name it has been unpacked once, so what is
    on the disk can be restored; a failure leaves the file that was there before.

    Args:
        path: The file, such as `"small/model.safetensors"`; its folder must exist.
        params: Pytree of arrays of any dtype of fixed width.
        masks: Pytree of the same structure, bool; `None` keeps everything.
        grids: Grid of each tensor to quantise by its path (`"conv1/kernel"`), as
            `Quantizer.grids` gives them; `None` quantises nothing.
        symmetric: The grids' codes are -q..q, else 0..2^bits - 1: `Quantizer.symmetric_weights`.
        meta: JSON types only: the recipe, the metrics.
        stats: Pytree of arrays stored as they are.

    Returns:
        The artefact as `load` will give it: each parameter is bit for bit
        `where(mask, fake_quant(param, grid, symmetric=symmetric), 0)`.

    Raises:
        ValueError: if masks or grids do not fit the parameters, a path is not unique, or `meta`
            is not JSON.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> params = {"conv1": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}}
        >>> masks = {"conv1": {"kernel": params["conv1"]["kernel"] > 3}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     artefact = save(f"{folder}/model.safetensors", params, masks, meta={"val": 0.8})
        >>> artefact.params["conv1"]["kernel"].tolist(), artefact.meta
        ([[0.0, 0.0, 0.0], [0.0, 4.0, 5.0]], {'val': 0.8})
        >>> artefact.tensors[0].kept, artefact.tensors[0].positions
        (2, 'bitmap')
    """
    path = Path(path)
    data = to_bytes(params, masks, grids, symmetric=symmetric, meta=meta, stats=stats)
    artefact = _from_bytes(data, str(path), max_weights=None)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`path`: there is no folder `{path.parent}` to write to.")
    write_atomic(path, data)
    return artefact


def load(path, *, max_weights: int | None = None) -> Artefact:
    """Reads a file that `save` wrote; a file from anywhere, however damaged, does no harm.

    Args:
        path: The file.
        max_weights: Number of weights (pruned ones included) beyond which the file is refused
            before memory is taken; by default 2^24, or 256 for each byte of the file if that is
            more.

    Returns:
        The artefact.

    Raises:
        ValueError: if the file is truncated, altered, no artefact, of a newer format or
            unpacks to too much; names the file and the tensor.
        OSError: if it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/model.safetensors"
        ...     _ = save(path, {"kernel": np.ones((2, 2), np.float32)}, meta={"val": 0.8})
        ...     artefact = load(path)
        >>> artefact.params["kernel"].shape, artefact.meta
        ((2, 2), {'val': 0.8})
    """
    data = Path(path).read_bytes()
    if max_weights is None:
        max_weights = max(_WEIGHTS_ANYWAY, _WEIGHTS_A_BYTE * len(data))
    return _from_bytes(data, str(path), max_weights)


def to_bytes(
    params, masks=None, grids=None, *, symmetric: bool = True, meta=None, stats=None
) -> bytes:
    """The bytes of the file that `save` writes for the same arguments."""
    leaves, grids = host_leaves(params), dict(grids or {})
    if unknown := set(grids) - set(leaves):
        raise ValueError(f"`grids` names {sorted(unknown)}; `params` has {sorted(leaves)}.")
    kept = _mask_leaves(params, masks, leaves)
    packed = [
        tensor.encode(name, x, kept[name], grids.get(name), symmetric=symmetric)
        for name, x in leaves.items()
    ]
    extra = [
        tensor.encode(name, x, np.ones(x.shape, bool), None)
        for name, x in host_leaves({} if stats is None else stats).items()
    ]
    rows = {
        "params": [tensor.to_row(info) for info, _ in packed],
        "stats": [tensor.to_row(info) for info, _ in extra],
    }
    payload = b"".join(data for _, data in packed + extra)
    try:
        return file.to_bytes({**rows, "meta": dict(meta or {})}, payload)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`meta` must hold what JSON can say: {error}.") from error


def host_leaves(tree) -> dict[str, np.ndarray]:
    """Leaves of a tree by name, on the host."""
    return {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}


def _from_bytes(data: bytes, name: str, max_weights: int | None) -> Artefact:
    manifest, payload = file.from_bytes(data, name)
    rows = {key: _rows(manifest, key, name) for key in ("params", "stats")}
    infos = [*rows["params"], *rows["stats"]]
    if not isinstance(manifest.get("meta"), dict):
        raise ValueError(f"`{name}`, manifest: `meta` is missing.")
    due = sum(info.n_bytes for info in infos)
    if due != len(payload):
        raise ValueError(f"`{name}`: its tensors take {due} bytes, it holds {len(payload)}.")
    # An axis of 0 must not hide a huge one beside it.
    size = sum(math.prod(max(axis, 1) for axis in info.shape) for info in infos)
    if max_weights is not None and size > max_weights:
        raise ValueError(
            f"`{name}` of {len(data)} bytes unpacks to {size} weights, more than {max_weights}. "
            f"If you trust it: `load(path, max_weights={size})`."
        )
    stream = io.BytesIO(payload)
    params, stats = (
        {info.path: _decode(info, stream.read(info.n_bytes), name) for info in infos}
        for infos in rows.values()
    )
    return Artefact(
        params=_nested(name, {path: array for path, (array, _, _) in params.items()}),
        masks=_nested(name, {path: mask for path, (_, mask, _) in params.items()}),
        grids={path: grid for path, (_, _, grid) in params.items() if grid is not None},
        stats=_nested(name, {path: array for path, (array, _, _) in stats.items()}),
        meta=manifest["meta"],
        tensors=rows["params"],
        n_bytes=len(data),
        path=name,
    )


def _rows(manifest: dict, key: str, name: str) -> tuple[TensorInfo, ...]:
    rows = manifest.get(key)
    if not isinstance(rows, list):
        raise ValueError(f"`{name}`, manifest: the list `{key}` is missing.")
    infos = []
    for i, row in enumerate(rows):
        try:
            infos.append(tensor.from_row(row))
        except ValueError as error:
            raise ValueError(f"`{name}`, manifest, `{key}[{i}]`: {error}") from error
    if len({info.path for info in infos}) < len(infos):
        raise ValueError(f"`{name}`, manifest: a path of `{key}` is there twice.")
    return tuple(infos)


def _decode(info: TensorInfo, data: bytes, name: str):
    try:
        return tensor.decode(info, data)
    except ValueError as error:
        raise ValueError(f"`{name}`, tensor `{info.path}`: {error}") from error


def _mask_leaves(params, masks, leaves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if masks is None:
        return {path: np.ones(leaf.shape, bool) for path, leaf in leaves.items()}
    theirs, ours = jax.tree.structure(masks), jax.tree.structure(params)
    if theirs != ours:
        raise ValueError(f"`masks` must have the structure of `params`, {ours}; got {theirs}.")
    return host_leaves(masks)


def _nested(name: str, leaves: dict[str, Any]) -> dict[str, Any]:
    tree = {}
    for path, leaf in leaves.items():
        *folders, last = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
            if not isinstance(node, dict):
                break
        if not isinstance(node, dict) or last in node:
            raise ValueError(f"`{name}`: the path {path!r} runs through another tensor's.")
        node[last] = leaf
    return tree
