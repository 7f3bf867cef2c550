"""What a device needs of the others: rows of its edges' senders that other parts hold.

Everything here runs inside `jax.shard_map` over a mesh with the axis `AXIS`, one part a device.
The loss is then a sum of what every device adds to it, and a gradient taken on a device is that of
the whole sum by the device's own values: cotangents go back the way that the rows came.
"""

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph.product import at_cols
from jgc.graph.structure import Structure

AXIS = "part"
WIRES = ("float32", "int8")
SCALE_BYTES = 2  # A row's scale travels as bfloat16.

Tree = TypeVar("Tree")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Part:
    """One part of a graph, as the `part` of its `Layout`.

    The columns of `layout.edges` are the part's own rows (its nodes, then padding); then
    `n_part * n_send` rows from the others, those of part 0 first; then one row of zeros, the
    sender of padding edges.

    Attributes:
        sends: Own row of each place in what is sent, `[n_part * n_send, n_own]`; places that nobody
            reads hold the last row, which is padding.
        nodes: Number of each own row in the whole graph, int32 `[n_own]`.
        edges: Position of each edge in the whole graph's layout, int32 `[n_edge]`.
        entries: Position of each stored feature in the whole graph's, int32 `[n_entry]`; `None`
            where features are dense.
        n_edge: Edges of the whole graph, int32 `[]`.
        owed: What rounding held back in each exchange of a pass, in their order: pairs `(forward,
            backward)` of float32 `[n_part, n_send, d]`. Without it an int8 exchange forgets.
            Where `jgc.apply` has begun a pass, the `Ledger` that deals it out.
        wire: `"float32"`, rows travel as they are; `"int8"`, as bytes and a scale a row. Static.

    Example:
        >>> import numpy as np
        >>> from jgc.graph import cut, from_edges, layout
        >>> path = from_edges([0, 1, 2], [1, 2, 3], nodes=np.eye(4))
        >>> part = cut(path, layout(path), [0, 0, 1, 1], 2).layout.part
        >>> type(part).__name__
        'Part'
    """

    sends: Structure
    nodes: Array
    edges: Array
    entries: Array | None
    n_edge: Array
    owed: Any = None
    wire: str = dataclasses.field(default="float32", metadata={"static": True})


class Ledger:
    """Deals what is owed to the exchanges of one pass and notes their shapes; while tracing only.

    Example:
        >>> ledger = Ledger(None)
        >>> ledger.take((2, 3, 16)), ledger.shapes
        (None, [(2, 3, 16)])
    """

    def __init__(self, owed: Any):
        self.shapes: list[tuple[int, int, int]] = []
        self._left = None if owed is None else iter(owed)

    def take(self, shape: Any) -> Any:
        """What the next exchange owes, of rows `[n_part, n_send, d]`; `None` where none does."""
        self.shapes.append(shape)
        return None if self._left is None else next(self._left)


def arrived(values: Array, part: Part, backend: str) -> Array:
    """Own values with those of the other parts' nodes behind them: `[n_own, ...] -> [n_col, ...]`.

    Args:
        values: Of the part's own rows.
        part: Of the layout.
        backend: Of the layout: it sums the gradients of a row that several parts asked for.

    Returns:
        A value for each column of `layout.edges`.
    """
    own = values.reshape(values.shape[0], -1)
    n_part = jax.lax.axis_size(AXIS)
    sent = at_cols(part.sends, own, backend).reshape(n_part, -1, own.shape[1])
    owed = part.owed.take(sent.shape) if isinstance(part.owed, Ledger) else None
    got = swap(sent) if part.wire == "float32" else swap_bytes(sent, owed)
    zeros = jnp.zeros((1, own.shape[1]), own.dtype)
    columns = jnp.concatenate([own, got.reshape(-1, own.shape[1]), zeros])
    return columns.reshape(-1, *values.shape[1:])


def swap(blocks: Array) -> Array:
    """Block `i` goes to device `i`; what came from device `i` is block `i`: `[n_part, ...]`."""
    return jax.lax.all_to_all(blocks, AXIS, 0, 0, tiled=True)


@jax.custom_vjp
def swap_bytes(blocks: Array, owed: tuple[Array, Array] | None) -> Array:
    """As `swap`, in int8 with a scale a row, and with error feedback both ways.

    What is sent is the value and what was owed on its place; what rounding holds back of that is
    owed next. Gradients go the other way in the same manner. The next `owed` cannot be a result of
    the forward pass alone, as half of it appears in the backward pass: it comes as the gradient
    with respect to `owed`. So one call of `jax.grad` steps parameters and feedback, and everything
    that changes is an argument and a result.

    Args:
        blocks: `[n_part, n_send, d]`.
        owed: `(forward, backward)`, float32 of the shape of `blocks`; `None` forgets.

    Returns:
        Of the shape and type of `blocks`.

    References:
        Seide et al., Interspeech 2014 (error feedback of gradients); Song et al., EC-Graph, ICDE
        2022, for the vertices and gradients of a distributed graph network. Differs: EC-Graph
        compensates the forward pass by a prediction of the receiver, here both ways owe alike.
    """
    return _send(blocks, None if owed is None else owed[0])[0]


def _swap_bytes_fwd(blocks, owed):
    got, forward = _send(blocks, None if owed is None else owed[0])
    return got, None if owed is None else (forward, owed[1])


def _swap_bytes_bwd(owed, dy):
    back, backward = _send(dy, None if owed is None else owed[1])
    return back, None if owed is None else (owed[0], backward)


swap_bytes.defvjp(_swap_bytes_fwd, _swap_bytes_bwd)


def _send(blocks: Array, owed: Array | None) -> tuple[Array, Array]:
    """What came, and what is owed now."""
    due = blocks.astype(jnp.float32) if owed is None else blocks + owed
    # Rounded to bfloat16 a scale is at most 2^-8 too small: 127 becomes 127.5, which still fits.
    scale = (jnp.max(jnp.abs(due), -1, keepdims=True) / 127).astype(jnp.bfloat16)
    step = jnp.where(scale > 0, scale, 1).astype(jnp.float32)
    codes = jnp.clip(jnp.round(due / step), -127, 127).astype(jnp.int8)
    told = jax.lax.bitcast_convert_type(scale, jnp.int8).reshape(*scale.shape[:-1], SCALE_BYTES)
    got = swap(jnp.concatenate([codes, told], -1))  # One message, not two.
    came = jax.lax.bitcast_convert_type(got[..., -SCALE_BYTES:], jnp.bfloat16)[..., None]
    values = got[..., :-SCALE_BYTES].astype(jnp.float32) * came.astype(jnp.float32)
    return values.astype(blocks.dtype), due - codes * jnp.where(scale > 0, step, 0)


def begun(layout: Any) -> Any:
    """The layout of a part at the start of a pass, with a fresh `Ledger` in the place of `owed`."""
    part = layout.part
    ledger = part.owed if isinstance(part.owed, Ledger) else Ledger(part.owed)
    return dataclasses.replace(layout, part=dataclasses.replace(part, owed=ledger))


def owing(layout: Any, owed: Any) -> Any:
    """The layout of a part whose exchanges owe what is told; any other layout as it is."""
    if owed is None:
        return layout
    return dataclasses.replace(layout, part=dataclasses.replace(layout.part, owed=owed))


def row_bytes(width: int, wire: str) -> int:
    """Bytes of a row of `width` numbers on the wire.

    Example:
        >>> row_bytes(64, "float32"), row_bytes(64, "int8")
        (256, 66)
    """
    return 4 * width if wire == "float32" else width + SCALE_BYTES


# --- sums over parts ---------------------------------------------------------------------------


def total(x: Tree) -> Tree:
    """The sum over all parts, on every device; its gradient is the sum of theirs."""
    return jax.lax.psum(x, AXIS)


@jax.custom_vjp
def joined(x: Array) -> Array:
    """The sum of what every part adds to a loss; a part's gradient is that of what it added."""
    return total(x)


joined.defvjp(lambda x: (total(x), None), lambda _, dy: (dy,))


@jax.custom_vjp
def shared(tree: Tree) -> Tree:
    """Values that are the same on all devices, parameters; their gradient is summed over parts."""
    return tree


shared.defvjp(lambda tree: (tree, None), lambda _, dy: (total(dy),))
