"""Training on stored weights: of a sparse kernel only the kept entries exist, in a step too.

A masked matrix is multiplied as if it were full, and so is its gradient. A stored one is a sparse
product whose gradient is formed for the kept entries alone, and the optimiser's moments are as
few. The whole kernel is put together again once an epoch, for the pruner and for the best model.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.graph import Structure, right_product
from jgc.models.layers import Linear
from jgc.train.descent import Descent
from jgc.train.problem import Problem
from jgc.train.state import Model, PruneLog, TrainState
from jgc.tree import map_named, named_leaves

# The largest density at which a stored kernel was quicker than a masked one: experiments/sparse.
DENSITY = 1 / 8
# Epochs from one look at the masks to the next, where programs may be rebuilt.
LOOK = 20

Rooms = tuple[tuple[str, int], ...]  # (name of a kernel, how many entries it has room for)


class Kept(NamedTuple):
    """Where the kept entries of one kernel `[d_in, d_out]` lie; room that is left is padding.

    Attributes:
        places: In the flat kernel, int32 `[n]`; that of padding is the kernel's size.
        structure: The entries as a pattern `[d_out, d_in]`, in row order; padding is at its end.
    """

    places: Array
    structure: Structure


def kept(mask: Array, room: int) -> Kept:
    """The places of a mask.

    Args:
        mask: Bool `[d_in, d_out]`, True = kept, with at most `room` of them.
        room: Static.

    Example:
        >>> where = kept(jnp.array([[True, False], [True, True]]), room=4)
        >>> where.places.tolist(), where.structure.rows.tolist(), where.structure.cols.tolist()
        ([0, 2, 3, 4], [0, 0, 1, 1], [0, 1, 1, 1])
    """
    d_in, d_out = mask.shape
    n, entry = mask.sum(), jnp.arange(room, dtype=jnp.int32)
    real = entry < n
    by_row, by_col = (_flat(m, room) for m in (mask.T, mask))
    rows, cols = _ends(by_row, d_in, mask.T.shape, real)
    t_cols, t_rows = _ends(by_col, d_out, mask.shape, real)
    rank = jnp.cumsum(mask.T.reshape(-1), dtype=jnp.int32) - 1
    t_order = jnp.where(real, rank[t_rows * d_in + t_cols], entry)
    indptr, t_indptr = (_starts(mask.sum(axis, dtype=jnp.int32), room) for axis in (0, 1))
    pattern = Structure(indptr, rows, cols, t_indptr, t_rows, t_cols, t_order, order=entry)
    return Kept(jnp.where(real, cols * d_out + rows, mask.size), pattern)


def _flat(mask: Array, room: int) -> Array:
    return jnp.nonzero(mask.reshape(-1), size=room, fill_value=0)[0].astype(jnp.int32)


def _ends(flat: Array, width: int, shape: tuple[int, ...], real: Array) -> tuple[Array, Array]:
    """Both indices of each entry of a flat mask; padding is its last entry."""
    rows, cols = divmod(flat, width)
    return jnp.where(real, rows, shape[0] - 1), jnp.where(real, cols, shape[1] - 1)


def _starts(counts: Array, room: int) -> Array:
    starts = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(counts, dtype=jnp.int32)])
    return starts.at[-1].set(room)


def patterns(masks: Any, rooms: Rooms) -> dict[str, Kept]:
    """The places of every kernel that has a room, by name."""
    leaves = named_leaves(masks) if rooms else {}
    return {name: kept(leaves[name], room) for name, room in rooms}


def shortened(state: TrainState, where: dict[str, Kept], descent: Descent) -> TrainState:
    """The state with stored kernels, masks and moments: `[n]` in place of `[d_in, d_out]`."""

    def short(name: str, leaf: Array) -> Array:
        if name not in where:
            return leaf
        return leaf.reshape(-1).at[where[name].places].get(mode="fill", fill_value=0)

    return _mapped(short, state, descent) if where else state


def lengthened(
    state: TrainState, where: dict[str, Kept], descent: Descent, like: Model
) -> TrainState:
    """The state with whole kernels again, 0 where pruned; `like` has their shapes and masks."""
    shapes = {name: leaf.shape for name, leaf in named_leaves(like.params).items()}

    def whole(name: str, leaf: Array) -> Array:
        if name not in where:
            return leaf
        zeros = jnp.zeros(shapes[name], leaf.dtype)
        flat = zeros.reshape(-1).at[where[name].places].set(leaf, mode="drop")
        return flat.reshape(shapes[name])

    return _mapped(whole, state, descent) if where else state


def _mapped(change: Callable[[str, Array], Array], state: TrainState, descent: Descent):
    model = state.model
    moments = descent.each_moment(change, state.opt_state, model.params)
    params, masks = map_named(change, model.params), map_named(change, model.masks)
    return state._replace(model=model._replace(params=params, masks=masks), opt_state=moments)


def kernels_stored(where: dict[str, Kept]):
    """A context in which linear maps run on stored kernels."""

    def visit(call, args, kwargs, context):
        module = context.module
        name = "/".join([*module.path, "kernel"])
        if name not in where or not _is_call_of_linear(context):
            return call(*args, **kwargs)
        values = module.get_variable("params", "kernel")
        y = right_product(args[0], where[name].structure, values)
        bias = module.get_variable("params", "bias")
        return y if bias is None else y + bias[None]

    return nn.intercept_methods(visit)


def storable(model: nn.Module, task: Problem) -> dict[str, int]:
    """Sizes of the kernels that may be stored: of linear maps whose input is an array, by name.

    Example:
        >>> import jgc.data
        >>> from jgc.models import MLP
        >>> from jgc.train import problem
        >>> storable(MLP(hidden=8, out=2), problem(jgc.data.load("temporal-sbm")))
        {'linear1/kernel': 512, 'linear2/kernel': 16}
    """
    found: dict[str, int] = {}

    def record(call, args, kwargs, context):
        y = call(*args, **kwargs)
        if _is_call_of_linear(context) and isinstance(args[0], Array) and args[0].ndim == 2:
            kernel = context.module.get_variable("params", "kernel")
            found["/".join([*context.module.path, "kernel"])] = kernel.size
        return y

    def run(data):
        graph, layout, _ = task.batch(task.select(data, jnp.int32(0)), 0, 0, jax.random.key(0))
        return model.init(jax.random.key(0), graph, layout)

    with nn.intercept_methods(record):
        jax.eval_shape(run, task.data)
    return found


def _is_call_of_linear(context) -> bool:
    return isinstance(context.module, Linear) and context.method_name == "__call__"


def rooms(sizes: dict[str, int], log: PruneLog | None, begin: int, epoch: int) -> Rooms:
    """What is stored from `epoch` on: the kernels that are sparse enough in every lane.

    It depends on the counts at the last look alone, so that a run that was killed goes on with the
    program it had: a sum of stored entries rounds otherwise than one of all.

    Args:
        sizes: From `storable`.
        log: Of all lanes, on the host.
        begin: First epoch of the phase.
        epoch: The next epoch.

    Example:
        >>> log = PruneLog({"kernel": np.array([[9, 9], [12, 12]])}, np.zeros((2, 2)))
        >>> rooms({"kernel": 100}, log, begin=0, epoch=0), rooms({"kernel": 100}, log, 0, 1)
        ((), (('kernel', 12),))
    """
    if log is None or epoch <= begin:
        return ()
    look = begin + max((epoch - begin) // LOOK * LOOK, 1)
    most = {name: int(np.asarray(log.kept[name])[:, look - 1].max()) for name in sizes}
    return tuple((name, n) for name, n in most.items() if 0 < n <= DENSITY * sizes[name])


def cut(span: tuple[int, int], epoch: int, stop: int) -> int:
    """Where a chunk from `epoch` to `stop` ends: at the next look or phase at the latest.

    Args:
        span: First epoch of the phase, and of the one after it.
        epoch: First epoch of the chunk.
        stop: The epoch after its last.

    Example:
        >>> cut((100, 150), 100, 180), cut((100, 150), 101, 180), cut((100, 150), 140, 180)
        (101, 120, 150)
    """
    begin, end = span
    look = begin + 1 if epoch == begin else epoch + LOOK - (epoch - begin) % LOOK
    return min(stop, end, look)


def check_rooms(rooms: Rooms, log: PruneLog | None, begin: int, end: int) -> None:
    """Raises a RuntimeError where epochs `begin..end-1` kept more weights than there was room."""
    if log is None:
        return
    for name, room in rooms:
        most = np.asarray(log.kept[name])[:, begin:end].max()
        if most > room:
            raise RuntimeError(
                f"The pruner let {name!r} grow to {most} weights, stored with room for {room}; "
                "train this method without `stored`."
            )
