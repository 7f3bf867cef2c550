"""Sizes of files, counted on the bytes that would be written."""

import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from jgc.pack import artefact


def dense_bytes(params) -> int:
    """Size of the plain safetensors file of all parameters in float32, header included.

    This is what a compressed file is compared with, whatever the dtype in training.

    Args:
        params: Pytree of arrays. Leaves that are not floats count in their own dtype.

    Returns:
        Bytes.

    Example:
        >>> dense_bytes({"kernel": np.zeros((100, 10), np.float32)}) - 4 * 1000
        80
    """
    leaves = artefact.host_leaves(params)
    return len(safetensors.numpy.save({path: _float32(leaf) for path, leaf in leaves.items()}))


def file_bytes(
    params, masks=None, grids=None, *, symmetric: bool = True, meta=None, stats=None
) -> int:
    """Size of the file that `save` would write for the same arguments, without the disk.

    Example:
        >>> params = {"kernel": np.ones((100, 10), np.float32)}
        >>> file_bytes(params) < dense_bytes(params)
        True
    """
    file = artefact.to_bytes(params, masks, grids, symmetric=symmetric, meta=meta, stats=stats)
    return len(file)


def values_bytes(params, masks) -> int:
    """Bytes of the kept values alone in float32, without their places; no file is that.

    Some papers report this size, from which nothing can be restored. It is here to compare with
    them.

    Args:
        params: Pytree of arrays.
        masks: Pytree of the same structure, bool; True = kept.

    Returns:
        Bytes.

    Example:
        >>> kernel = np.array([[1.0, 0.0], [2.0, 3.0]], np.float32)
        >>> values_bytes({"kernel": kernel}, {"kernel": kernel > 1})
        8

    References:
        arXiv 2510.22058, algorithm 1.
    """
    leaves, kept = artefact.host_leaves(params), artefact.host_leaves(masks)
    return 4 * sum(int(kept[name].sum()) for name in leaves)


def _float32(leaf: np.ndarray) -> np.ndarray:
    is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
    return np.ascontiguousarray(leaf.astype(np.float32) if is_float else leaf)
