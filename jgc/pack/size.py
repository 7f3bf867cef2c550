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


def _float32(leaf: np.ndarray) -> np.ndarray:
    is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
    return np.ascontiguousarray(leaf.astype(np.float32) if is_float else leaf)
